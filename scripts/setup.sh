#!/bin/sh
# Gets the machine ready: packages of Debian or Ubuntu, .venv with the Python packages of the tests, and
# .venv-corpus with the libraries of the leak corpus and of the workloads of rss.
#   scripts/setup.sh [build|test|lint|bench]   what is going to be done (default: test)
# Quick when nothing is missing. Asks nothing: without root or password-less sudo it prints the command to run.
set -eu
cd "$(dirname "$0")/.."
what=${1:-test}

packages="gcc make pkg-config meson ninja-build libelf-dev libdw-dev libbpf-dev libjansson-dev libsqlite3-dev libzstd-dev libcmocka-dev python3"
case $what in
build) ;;
test) packages="$packages python3-venv util-linux mount procps strace ca-certificates debootstrap libjemalloc2 libmimalloc2.0" ;;
lint) packages="$packages python3-venv clang clang-format clang-tidy shellcheck" ;;
bench) packages="$packages python3-venv python3-dev util-linux mount debootstrap" ;;
*)
	echo "setup.sh: unknown purpose: $what" >&2
	exit 2
	;;
esac

missing=
if command -v dpkg-query >/dev/null 2>&1; then
	for package in $packages; do
		case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || :) in
		"install ok installed") ;;
		*)
			# Newer releases name the same thing otherwise.
			if [ "$package" = pkg-config ] && command -v pkg-config >/dev/null 2>&1; then
				continue
			fi
			if [ "$package" = libmimalloc2.0 ] && ! apt-cache show "$package" >/dev/null 2>&1 &&
				apt-cache show libmimalloc3 >/dev/null 2>&1; then
				dpkg-query -W libmimalloc3 >/dev/null 2>&1 && continue
				package=libmimalloc3
			fi
			missing="$missing $package"
			;;
		esac
	done
else
	for tool in cc pkg-config meson ninja python3; do
		if ! command -v "$tool" >/dev/null 2>&1; then
			echo "setup.sh: '$tool' is missing and this is no Debian or Ubuntu: install the equivalents of: $packages" >&2
			exit 1
		fi
	done
fi

if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ]; then
		root=
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		root="sudo -n"
	else
		echo "setup.sh: packages are missing, and installing them takes root. Run this, then try again:" >&2
		echo "    sudo apt-get install -y --no-install-recommends$missing" >&2
		exit 1
	fi
	echo "setup: installing$missing"
	install_missing() {
		# shellcheck disable=SC2086
		$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 $missing </dev/null >"$log" 2>&1
	}
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	# The package lists are fetched only when the install does not succeed with those at hand.
	if ! install_missing; then
		$root apt-get update -qq </dev/null >>"$log" 2>&1 || :
		if ! install_missing; then
			cat "$log" >&2
			echo "setup.sh: apt-get could not install:$missing" >&2
			exit 1
		fi
	fi
fi

[ "$what" = build ] && exit 0

# The virtual environment is complete when its stamp holds the wanted list.
wanted=$(cat tests/requirements.txt)
[ "$what" = bench ] && wanted="$wanted
guppy3"
stamp=.venv/.complete
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
	rm -rf .venv
fi
if [ "$what" = bench ] || ! grep -q guppy3 "$stamp" 2>/dev/null; then
	current=$(cat "$stamp" 2>/dev/null || :)
else
	current=$(grep -v guppy3 "$stamp")
fi
if [ "$current" != "$wanted" ]; then
	echo "setup: making .venv"
	# The system's interpreter where there is one: its headers come with python3-dev.
	python=python3
	[ -x /usr/bin/python3 ] && python=/usr/bin/python3
	[ -x .venv/bin/python ] || "$python" -m venv .venv
	printf '%s\n' "$wanted" >.venv/requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r .venv/requirements.txt
	printf '%s\n' "$wanted" >"$stamp"
fi

# The libraries of the leak corpus and of the workloads, and the peers of the benchmarks.
case $what in
test | bench) python3 scripts/corpus.py ;;
esac
