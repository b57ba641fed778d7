#!/bin/sh
# Starts a web shop that leaks, lets visitors in, and shows what lowtide says about it:  scripts/demo.sh [BUILD-DIRECTORY]
# DEMO_VISITS is how many visitors come first (2000), PYTHON the interpreter of the shop (python3).
set -eu
cd "$(dirname "$0")/.."
lowtide=${1:-build}/lowtide
python=${PYTHON:-python3}
visits=${DEMO_VISITS:-2000}

work=$(mktemp -d -t lowtide-demo.XXXXXX)
shop=
load=
finish() {
	code=$?
	trap - EXIT
	for pid in $load $shop; do
		kill -TERM "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	rm -rf "$work"
	exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# What is started here ends with this script even when that is killed (PR_SET_PDEATHSIG), and lets
# itself be looked at where Yama allows that to parents only (PR_SET_PTRACER, any process).
cat >"$work/start.py" <<'END'
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
libc.prctl(1, signal.SIGTERM, 0, 0, 0)
libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
os.chdir("examples/shop")
os.execvp(sys.argv[1], sys.argv[1:])
END
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

"$python" "$work/start.py" "$python" -m shop --port 0 --fault price-cache >"$work/url" 2>"$work/log" &
shop=$!
tries=0
while [ ! -s "$work/url" ]; do
	tries=$((tries + 1))
	if [ "$tries" -gt 300 ] || ! kill -0 "$shop" 2>/dev/null; then
		echo "demo: the shop did not start" >&2
		cat "$work/log" >&2
		exit 1
	fi
	sleep 0.1
done
url=$(cat "$work/url")

echo "A web shop runs as process $shop at $url. It caches its prices, with one mistake in the key."
printf '%s visitors ... ' "$visits"
# In the background, since a shell does not hear signals while it waits for a program in the foreground.
"$python" "$work/start.py" "$python" -m shop.load "$url" --visits "$visits" &
load=$!
wait "$load" || {
	cat "$work/log" >&2
	exit 1
}
# More of them come while lowtide looks, as in real life.
"$python" "$work/start.py" "$python" -m shop.load "$url" --seconds 600 --threads 2 --rate 20 >/dev/null 2>&1 &
load=$!

echo
echo "\$ lowtide doctor $shop"
code=0
"$lowtide" doctor "$shop" || code=$?
# 1 says that there are findings: there must be.
if [ "$code" -gt 1 ]; then
	exit "$code"
fi
kill -0 "$shop" 2>/dev/null || {
	echo "demo: the shop has ended" >&2
	cat "$work/log" >&2
	exit 1
}
echo
echo "Look at a service of your own:  $lowtide ps   and then   $lowtide doctor PID"
echo "Try other mistakes:             cd examples/shop && $python -m shop --list-faults"
