#!/bin/bash
# Tries the README's promise: a bare Debian stable with only git and make, a clone, `make demo`, `make test`.
#   scripts/fresh-machine.sh [TARGET...]      make targets to try (default: demo test)
# What is tried is the last commit. Everything runs in private mount and PID namespaces and in one temporary
# folder: when this script ends, however it ends, no process, mount or file of it is left.
set -eu
cd "$(dirname "$0")/.."
suite=${LOWTIDE_FRESH_SUITE:-stable}
mirror=${LOWTIDE_DEBIAN_MIRROR:-} # empty: debootstrap chooses
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(demo test)

if [ "$(id -u)" != 0 ]; then
	echo "fresh-machine.sh: takes root, for debootstrap and chroot: sudo $0" >&2
	exit 1
fi
command -v debootstrap >/dev/null || scripts/setup.sh test

scratch=$(mktemp -d /var/tmp/lowtide-fresh.XXXXXX)
child=
end() {
	if [ -n "$child" ]; then
		# The first process of the PID namespace dies with its unshare, and all others with it.
		kill -KILL "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
	fi
	rm -rf --one-file-system "$scratch"
}
trap end EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP

# Runs a command in its own namespaces, in the background so that a trap is not held up.
apart() {
	unshare --mount --propagation private --pid --fork --kill-child -- "$@" </dev/null &
	child=$!
	local code=0
	wait "$child" || code=$?
	child=
	return "$code"
}

root=$scratch/root
echo "fresh: a bare Debian $suite with git and make"
# shellcheck disable=SC2016
apart sh -c 'mount -t proc proc /proc && exec debootstrap --variant=minbase --include=git,make "$@"' \
	sh "$suite" "$root" ${mirror:+"$mirror"} >"$scratch/log" 2>&1 || {
	tail -20 "$scratch/log" >&2
	echo "fresh-machine.sh: debootstrap failed" >&2
	exit 1
}
rm -f "$root"/var/cache/apt/archives/*.deb
git bundle create --quiet "$root/root/lowtide.bundle" HEAD
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
# The name servers, proxies and certificates of this machine are part of its network, not of its set-up.
settings=()
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
	[ -z "${!name:-}" ] || settings+=("$name=${!name}")
done
if [ -n "${PIP_CERT:-}" ] && [ -r "$PIP_CERT" ]; then
	cp -L "$PIP_CERT" "$root/root/certificates.crt"
	settings+=("PIP_CERT=/root/certificates.crt")
fi

for target in "${targets[@]}"; do
	echo "fresh: make $target"
	begin=$SECONDS
	code=0
	# shellcheck disable=SC2016
	apart sh -c '
		set -e
		root=$1
		shift
		mount --bind "$root" "$root"
		cd "$root"
		mount -t proc proc "$root/proc"
		mount --rbind /sys "$root/sys"
		mount --rbind /dev "$root/dev"
		mkdir -p mnt/before
		pivot_root . mnt/before
		umount -l /mnt/before
		exec chroot / "$@"' sh "$root" \
		/usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		${settings[@]+"${settings[@]}"} \
		sh -c 'cd /srv; [ -d lowtide ] || git -c advice.detachedHead=false -c init.defaultBranch=main clone --quiet /root/lowtide.bundle lowtide; cd lowtide; exec make "$1"' sh "$target" || code=$?
	echo "fresh: make $target ended with $code after $((SECONDS - begin)) s"
	[ "$code" = 0 ] || exit "$code"
done
