#!/bin/sh
# Configures (once) and builds:  scripts/build.sh DIRECTORY [MESON OPTION...]
set -eu
cd "$(dirname "$0")/.."
directory=$1
shift
if [ ! -f "$directory/build.ninja" ]; then
	meson setup "$directory" "$@" >"$directory.log" 2>&1 || {
		cat "$directory.log" >&2
		exit 1
	}
	rm -f "$directory.log"
fi
exec ninja -C "$directory" --quiet
