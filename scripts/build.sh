#!/bin/sh
# Configures (once) and builds, quietly when all is well:  scripts/build.sh DIRECTORY [MESON OPTION...]
# In continuous integration a warning is an error.
set -eu
cd "$(dirname "$0")/.."
directory=$1
shift
[ -z "${CI:-}" ] || set -- -Dwerror=true "$@"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "$directory/build.ninja" ]; then
	meson setup "$directory" "$@" >"$log" 2>&1 || {
		cat "$log" >&2
		exit 1
	}
fi
ninja -C "$directory" --quiet >"$log" 2>&1 || {
	cat "$log" >&2
	exit 1
}
# Warnings of the compiler, with their lines of source; not what Meson says when it configures again.
if grep -q ': warning: ' "$log"; then
	cat "$log" >&2
fi
