#!/bin/sh
# Unit and CLI tests with a sanitizer build:  scripts/sanitize.sh BUILD-DIRECTORY
set -eu
cd "$(dirname "$0")/.."
ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:allocator_may_return_null=1
UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS
exec .venv/bin/python scripts/run_tests.py --build "$1" --only unit --only cli
