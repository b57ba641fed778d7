#!/bin/sh
# Builds a small CPython on the musl C library in .pythons/musl, which tests/live/test_musl.py looks for (LOWTIDE_PYTHONS
# names another place than .pythons). Nothing else does this: it takes some minutes, and Debian's musl-tools and source packages.
#   scripts/musl.sh
set -eu
cd "$(dirname "$0")/.."
version=3.11
mkdir -p "${LOWTIDE_PYTHONS:-.pythons}/musl"
place=$(cd "${LOWTIDE_PYTHONS:-.pythons}/musl" && pwd)
if [ -x "$place/build/python" ] && "$place/build/python" -c ''; then
	echo "musl: $place/build/python is there"
	exit 0
fi
command -v musl-gcc >/dev/null || {
	echo "musl.sh: musl-gcc is missing: apt-get install musl-tools" >&2
	exit 1
}

# The source package, by lists of its own: nothing of the machine's is changed.
VERSION_CODENAME=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
mkdir -p "$place/lists/partial" "$place/cache/archives/partial"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $VERSION_CODENAME main" >"$place/sources.list"
cd "$place"
get() {
	apt-get -qq -o Dir::Etc::sourcelist="$place/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::Lists="$place/lists" \
		-o Dir::Cache="$place/cache" -o APT::Sandbox::User=root "$@"
}
get update
get source --download-only "python$version"
tar xzf "python${version}_"*.orig.tar.gz
mv Python-"$version"* source

# Debian's musl-gcc says that it is a compiler for glibc, which configure takes for a mistake.
cat >cc <<'EOF'
#!/bin/sh
case " $* " in *" --print-multiarch "*) echo x86_64-linux-musl && exit ;; esac
exec musl-gcc "$@"
EOF
chmod +x cc
mkdir build
cd build
# Without extension modules: they need headers of the kernel, which musl-gcc does not look for.
make_python() {
	../source/configure -q --build=x86_64-pc-linux-musl CC="$place/cc" CFLAGS="-O1 -g0" --disable-shared --without-ensurepip \
		ac_cv_file__dev_ptmx=yes ac_cv_file__dev_ptc=no && make -s -j2 python
}
make_python >../log 2>&1 || {
	tail -20 ../log >&2
	exit 1
}
echo "musl: made $place/build/python, CPython $("$place/build/python" -c 'import sys; print(sys.version.split()[0])')"
