#!/bin/bash
# Format, static analysis, scripts. Prints what is wrong; exit code 1 when anything is.
set -u
cd "$(dirname "$0")/.." || exit 1
code=0

mapfile -t sources < <(git ls-files '*.c' '*.h')
if ((${#sources[@]})); then
	echo "lint: clang-format"
	clang-format --dry-run --Werror "${sources[@]}" || code=1
fi

echo "lint: clang build"
[ -f build-clang/build.ninja ] || CC=clang meson setup build-clang -Dwerror=true >/dev/null || exit 1
ninja -C build-clang --quiet || code=1

echo "lint: clang-tidy"
mapfile -t units < <(git ls-files 'src/*.c')
if ((${#units[@]})); then
	printf '%s\0' "${units[@]}" | xargs -0 -P "$(nproc)" -n 4 clang-tidy -p build-clang --quiet 2>/dev/null || code=1
fi

echo "lint: shell scripts"
mapfile -t scripts < <(git grep -lE '^#!/bin/(ba)?sh' -- scripts .ci tests examples)
if command -v shellcheck >/dev/null; then
	shellcheck "${scripts[@]}" || code=1
else
	echo "lint: shellcheck is not installed: only the syntax is checked"
	for script in "${scripts[@]}"; do bash -n "$script" || code=1; done
fi

echo "lint: Python scripts"
git ls-files -z '*.py' | xargs -0 python3 -c '
import ast, sys
for path in sys.argv[1:]:
    with open(path) as source:
        ast.parse(source.read(), path)
' || code=1
[ "$code" = 0 ] && echo "lint: nothing found"
exit "$code"
