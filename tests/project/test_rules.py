"""The rules of the source tree: layers, sizes of files, where versions are known, headers on their own."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import REPOSITORY, interpreters

SOURCE = REPOSITORY / "src"
LONGEST = 999

# What each layer may include, itself aside.
ALLOWED = {
    "base": set(),
    "target": {"base"},
    "layout": {"base", "target"},
    "graph": {"base"},
    "heap": {"base", "target", "layout", "graph"},
    "watch": {"base", "target", "layout", "graph", "heap"},
    "store": {"base", "graph"},
    "analysis": {"base", "target", "layout", "graph", "heap", "watch", "store"},
    "report": {"base", "target", "layout", "graph", "heap", "watch", "store", "analysis"},
    "cli": {"base", "target", "layout", "graph", "heap", "watch", "store", "analysis", "report"},
    "agent": {"base", "layout"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
C_COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
# A version of CPython that is compared: its hexadecimal form, or its minor number.
VERSION = re.compile(
    r"(?:\bhex\b|version\w*|\bminor\b|\bmajor\b)\s*(?:[<>]=?|[!=]=)\s*(?:0x0?3|3\b|[0-9])|PY_VERSION_HEX|PY_MINOR_VERSION"
    r"|(?:[<>]=?|[!=]=)\s*0x030[0-9a-fA-F]{5}")


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository; all files where there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--",
                               *patterns], capture_output=True, text=True, check=True)
        names = [name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(p.relative_to(REPOSITORY)) for pattern in patterns for p in REPOSITORY.rglob(pattern.rsplit("/", 1)[-1])]
    return sorted(REPOSITORY / name for name in names if (REPOSITORY / name).is_file())


def code_of(path: Path) -> str:
    """C without comments and the contents of strings, lines kept."""
    def blank(match: re.Match) -> str:
        text = match.group(0)
        return text if text[0] == '"' and "/" in text else re.sub(r"[^\n]", " ", text)
    return C_COMMENT_OR_STRING.sub(blank, path.read_text())


def test_includes_go_one_way():
    wrong = []
    for path in tracked("src/*.c", "src/*.h", "src/*.def"):
        layer = path.relative_to(SOURCE).parts[0]
        assert layer in ALLOWED, f"{path}: a layer without a rule"
        for name in INCLUDE.findall(path.read_text()):
            other = name.split("/")[0]
            if "/" not in name:
                wrong.append(f"{path.relative_to(REPOSITORY)} includes \"{name}\": name the layer too")
            elif other != layer and other not in ALLOWED[layer]:
                wrong.append(f"{path.relative_to(REPOSITORY)} includes \"{name}\"")
    assert not wrong, "\n".join(wrong)


def test_no_file_is_long():
    long = []
    for path in tracked("*.c", "*.h", "*.def", "*.py", "*.sh", "*.md"):
        lines = path.read_text(errors="replace").count("\n")
        # Tables made by a tool are data, not a text that somebody reads from top to bottom.
        if lines > LONGEST and not ("generated" in path.read_text(errors="replace")[:600] and path.suffix in (".def", ".md")):
            long.append(f"{path.relative_to(REPOSITORY)}: {lines} lines")
    assert not long, "\n".join(long)


def test_versions_are_compared_in_layout_only():
    wrong = []
    for path in tracked("src/*.c", "src/*.h"):
        if path.relative_to(SOURCE).parts[0] in ("layout", "agent"):
            continue
        for number, line in enumerate(code_of(path).splitlines(), 1):
            if VERSION.search(line):
                wrong.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}")
    assert not wrong, "a difference between releases is a named fact in src/layout/:\n" + "\n".join(wrong)


def test_the_version_rule_finds_what_it_must():
    for text in ("python->hex >= 0x030d0000", "if (minor < 12)", "version_minor == 9", "x > 0x030c00f0"):
        assert VERSION.search(text), text
    for text in ("header->version == wanted", "lt_has(layout, x)", "hex = read()", "schema == 1"):
        assert not VERSION.search(text), text


def test_no_leftover_words():
    # The words are put together here, so that this file does not meet its own rule.
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK", "stu" + "b(bed)?")) + r")\b")
    wrong = []
    for path in tracked("*.c", "*.h", "*.def", "*.py", "*.sh", "*.build", "Makefile", "*.md"):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if words.search(line):
                wrong.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_nothing_but_the_command_line_prints():
    call = re.compile(r"(?<!format\()\b(printf|puts|putchar|perror|fprintf\s*\(\s*(?:stdout|stderr)|fputs\s*\([^;]*std(?:out|err))\s*[(,]?")
    wrong = []
    for path in tracked("src/*.c"):
        if path.relative_to(SOURCE).parts[0] in ("cli", "agent"):
            continue
        for number, line in enumerate(code_of(path).splitlines(), 1):
            if call.search(line):
                wrong.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def headers() -> list[Path]:
    return tracked("src/*.h", "include/*.h")


def test_each_header_compiles_on_its_own():
    compiler = os.environ.get("CC", "gcc").split()

    def compile_one(path: Path) -> str:
        done = subprocess.run([*compiler, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                               '-DLT_VERSION="0"', "-I", str(SOURCE), "-I", str(REPOSITORY / "include"),
                               "-include", str(path), "-x", "c", os.devnull],
                              capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{path.relative_to(REPOSITORY)}:\n{done.stderr}"

    with ThreadPoolExecutor(2) as pool:
        wrong = [message for message in pool.map(compile_one, headers()) if message]
    assert not wrong, "\n".join(wrong)


def test_headers_say_their_purpose_and_are_guarded():
    wrong = []
    for path in headers():
        text = path.read_text()
        layer, name = path.parent.name, path.stem.replace("-", "_")
        guard = f"LT_{layer}_{name}_H".upper() if "src" in path.parts else f"{name}_H".upper()
        if not text.startswith("/*\n * " + path.name + ": "):
            wrong.append(f"{path.relative_to(REPOSITORY)}: opens with a comment \"{path.name}: purpose\"")
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            wrong.append(f"{path.relative_to(REPOSITORY)}: no guard {guard}")
    assert not wrong, "\n".join(wrong)


def test_no_typedefs_of_structs():
    wrong = [str(path.relative_to(REPOSITORY)) for path in tracked("src/*.c", "src/*.h")
             if re.search(r"^\s*typedef\s+(struct|union|enum)\b", code_of(path), re.M)]
    assert not wrong, "\n".join(wrong)


def test_every_unit_test_file_is_registered():
    registered = set(re.findall(r"'(\w+)'\s*:", (REPOSITORY / "tests/unit/meson.build").read_text()))
    missing = [path.name for path in tracked("tests/unit/test_*.c") if path.stem.removeprefix("test_") not in registered]
    assert not missing, "not in tests/unit/meson.build: " + ", ".join(missing)


def test_links_in_the_documentation_lead_somewhere():
    wrong = []
    for path in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                wrong.append(f"{path.relative_to(REPOSITORY)}: {target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not os.environ.get("CI"), reason="asked for in continuous integration only")
def test_continuous_integration_has_the_interpreters():
    have = {one.minor for one in interpreters()}
    assert {"3.11", "3.13", "3.14", "3.15"} <= have, f"only {sorted(have)}"
