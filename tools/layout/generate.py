#!/usr/bin/env python3
"""Makes src/layout/columns*.inc from the debug information or the headers of CPython releases.

    generate.py COLUMN=PYTHON...    read these interpreters, keep the other columns as they are
    generate.py --check COLUMN=PYTHON...   write nothing; exit 1 and tell where the table differs

PYTHON is an interpreter, e.g. 3.13.13=/usr/bin/python3.13, or ROOT:/usr/bin/python3.13 for one in another root
file system. The files of the interpreter and, where they have none themselves, their separate debug files
(usr/lib/debug/.build-id below the root) are read with the helper layout-structs. Columns without an interpreter
come from overlay/COLUMN.txt: "like COLUMN", then changed rows ("STRUCT.MEMBER = NUMBER", "sizeof(STRUCT) =
NUMBER", "shift STRUCT after MEMBER by NUMBER"), each with its source. With --headers the
interpreter's headers are compiled and read instead: fewer structs, no debug information needed.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import names  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
LAYOUT = TOP / "src" / "layout"
OVERLAYS = Path(__file__).resolve().parent / "overlay"
ABSENT = -1


class Problem(Exception):
    """The table cannot be made; the text says why."""


def lines_of(name):
    """(file, line) of fields.def, with those of the parts that it includes in their place."""
    for line in (LAYOUT / name).read_text().splitlines():
        part = re.match(r'#include "layout/(\w+\.def)"$', line)
        if part is None:
            yield name, line
        else:
            yield from lines_of(part.group(1))


def rows_by_file():
    """{file: [(enumerator, struct, member or None for the size)]}."""
    found = {}
    for name, line in lines_of("fields.def"):
        match = re.match(r"LT_(FIELD|SIZEOF)\((\w+)(?:, (\w+))?\)$", line)
        if match is None:
            if line.startswith("LT_"):
                raise Problem(f"{name}: cannot read: {line}")
            continue
        kind, struct, member = match.groups()
        enumerator = f"LT_{struct}_{member}" if kind == "FIELD" else f"LT_sizeof_{struct}"
        found.setdefault(name, []).append((enumerator, struct, member))
    return found


def rows():
    """[(enumerator, struct, member or None for the size)] in order."""
    found = [row for part in rows_by_file().values() for row in part]
    seen = [row[0] for row in found]
    if len(set(seen)) < len(seen):
        raise Problem("fields.def: twice: " + " ".join(sorted({name for name in seen if seen.count(name) > 1})))
    return found


def columns():
    """[name] in the order of columns.def."""
    text = (LAYOUT / "columns.def").read_text()
    return re.findall(r'^LT_COLUMN\(\w+, "([^"]+)"', text, re.M)


def column_for(hexversion):
    """The name of the column that serves a release, None for none."""
    for name, first, last in re.findall(r'^LT_COLUMN\(\w+, "([^"]+)", (\w+), (\w+)\)', (LAYOUT / "columns.def").read_text(), re.M):
        if int(first, 16) <= hexversion <= int(last, 16):
            return name
    return None


def is_verified(hexversion):
    return f"LT_VERIFIED({hexversion:#010x})" in (LAYOUT / "columns.def").read_text()


def table_name(fields_file):
    """columns.inc for fields.def, and so on."""
    return fields_file.replace("fields", "columns").replace(".def", ".inc")


def read_table():
    """{column: {enumerator: number}} of the committed tables."""
    table = {}
    for name in rows_by_file():
        path = LAYOUT / table_name(name)
        order = []
        for line in path.read_text().splitlines() if path.exists() else []:
            head = re.match(r"/\* columns: (.*) \*/", line)
            if head:
                order = head.group(1).split()
            match = re.match(r"\t\[(\w+)\] = \{(.*)\},", line)
            if match:
                for column, number in zip(order, match.group(2).split(",")):
                    table.setdefault(column, {})[match.group(1)] = int(number)
    return table


def write_table(table):
    order = columns()
    parts = rows_by_file()
    for name, part in parts.items():
        lines = [
            f"/* {table_name(name)}: made by tools/layout/generate.py from the debug information of each release. Do not edit. */",
            "/* clang-format off */",
            f"/* columns: {' '.join(order)} */",
        ]
        for enumerator, _, _ in part:
            numbers = ", ".join(str(table.get(column, {}).get(enumerator, ABSENT)) for column in order)
            lines.append(f"\t[{enumerator}] = {{{numbers}}},")
        if name == "fields.def":
            lines += [f'#include "layout/{table_name(other)}"' for other in parts if other != name]
        (LAYOUT / table_name(name)).write_text("\n".join(lines) + "\n")


class Interpreter:
    """The files of one CPython installation."""

    def __init__(self, spec):
        root, _, path = spec.rpartition(":")
        self.root = Path(root) if root else Path("/")
        self.program = self.inside(path)
        if not self.program.exists():
            raise Problem(f"{spec}: no such file")
        match = re.search(r"python(3\.\d+)$", str(self.program)) or re.search(
            r"python(3\.\d+)$", str(self.inside(path, "python3")))
        if match is None:
            raise Problem(f"{spec}: the name tells no version")
        self.minor = match.group(1)
        self.prefix = self.program.parent.parent

    def inside(self, path, *_):
        """The file that a path names in that root, links followed there."""
        current = self.root / path.lstrip("/")
        for _ in range(20):
            if not current.is_symlink():
                break
            target = os.readlink(current)
            current = self.root / target.lstrip("/") if target.startswith("/") else current.parent / target
        return Path(os.path.normpath(current))

    def files(self):
        """ELF files: program, libpython, the extension modules that names.py lists."""
        found = [self.program]
        for directory in (self.prefix / "lib", self.prefix / "lib" / "x86_64-linux-gnu"):
            found += sorted(directory.glob(f"libpython{self.minor}.so.1.0"))
        dynload = self.prefix / "lib" / f"python{self.minor}" / "lib-dynload"
        tag = self.minor.replace(".", "")
        for module in names.MODULES:
            found += sorted(dynload.glob(f"{module}.cpython-{tag}-*.so"))
        return found

    def include(self):
        return self.prefix / "include" / f"python{self.minor}"


def debug_file(path, root):
    """The file with the debug information of an ELF file, None for none."""
    text = subprocess.run(["readelf", "-SWn", str(path)], capture_output=True, text=True).stdout
    if re.search(r"\.debug_info\b", text):
        return path
    match = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", text)
    if match is None:
        return None
    separate = root / "usr/lib/debug/.build-id" / match.group(1) / f"{match.group(2)}.debug"
    return separate if separate.exists() else None


def helper():
    """The path of layout-structs."""
    for candidate in (os.environ.get("LT_LAYOUT_STRUCTS"), TOP / "build/tools/layout/layout-structs"):
        if candidate and Path(candidate).exists():
            return str(candidate)
    raise Problem("layout-structs is not built: ninja -C build")


class Structs:
    """What layout-structs printed: struct -> [(source, size, {path: (offset, bit, size, count)})]."""

    def __init__(self):
        self.structs = {}
        self.enumerators = {}

    def read(self, path, wanted):
        out = subprocess.run([helper(), str(path), *wanted], capture_output=True, text=True)
        if out.returncode != 0:
            raise Problem(out.stderr.strip())
        current = {}
        for line in out.stdout.splitlines():
            part = line.split("\t")
            if part[0] == "S":
                current = {}
                self.structs.setdefault(part[1], []).append((part[3], int(part[2]), current))
            elif part[0] == "M":
                current.setdefault(part[2], tuple(int(number) for number in part[3:7]))
            elif part[0] == "E":
                self.enumerators.setdefault(part[1], int(part[2]))

    def find(self, struct, member):
        """Offset or size, ABSENT; Problem when definitions disagree."""
        answers = {}
        for name in names.STRUCTS.get(struct, [struct]):
            for source, size, members in self.structs.get(name, []):
                if struct in names.SOURCES and not source.endswith(names.SOURCES[struct]):
                    continue
                answers.setdefault(size if member is None else self.offset(struct, member, members), source)
        if len(answers) > 1:
            raise Problem(f"{struct}.{member or 'size'}: differs between source files: {answers}; see SOURCES in names.py")
        return next(iter(answers), ABSENT)

    @staticmethod
    def offset(struct, member, members):
        for path in names.MEMBERS.get(f"{struct}.{member}", [member]):
            if path in members:
                return members[path][0]
        for path, place in members.items():
            if path.replace(".", "_") == member:
                return place[0]
        return ABSENT


def wanted_structs():
    found = []
    for _, struct, _ in rows():
        for name in names.STRUCTS.get(struct, [struct]):
            if name not in found:
                found.append(name)
    return found


def structs_from_debug(interpreter):
    structs = Structs()
    for path in interpreter.files():
        separate = debug_file(path, interpreter.root)
        if separate is not None:
            structs.read(separate, wanted_structs())
    return structs


def structs_from_headers(interpreter):
    """Compiles all headers of the release with debug information and reads that."""
    include = interpreter.include()
    internal = sorted(path.name for path in (include / "internal").glob("pycore_*.h")
                      if "must not be included directly" not in path.read_text())
    structs = Structs()
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "probe.c"
        for skip in (set(), {"pycore_opcode_metadata.h", "pycore_uop_metadata.h", "pycore_uop_ids.h"}):
            lines = ['#include "Python.h"', '#include "frameobject.h"', '#include "structmember.h"']
            lines += [f'#include "internal/{name}"' for name in internal if name not in skip]
            source.write_text("\n".join(lines) + "\n")
            obj = source.with_suffix(".so")  # linked: the debug sections of an object file are not relocated yet
            done = subprocess.run(
                ["gcc", "-std=gnu11", "-w", "-g", "-shared", "-fPIC", "-fno-eliminate-unused-debug-types", "-DPy_BUILD_CORE", "-D_GNU_SOURCE", "-D_Py_TIER2=1",
                 f"-I{include}", f"-I{include / 'internal'}", f"-I{include / 'cpython'}",
                 f"-I{include / 'internal' / 'mimalloc'}", "-idirafter", str(interpreter.root / "usr" / "include"),
                 str(source), "-o", str(obj)],
                capture_output=True, text=True)
            if done.returncode == 0:
                structs.read(obj, wanted_structs())
                return structs
        raise Problem(f"{include}: the headers do not compile:\n{done.stderr[:2000]}")


def make_column(interpreter, headers):
    structs = structs_from_headers(interpreter) if headers else structs_from_debug(interpreter)
    if not structs.structs:
        raise Problem(f"{interpreter.program}: no debug information found")
    return {enumerator: structs.find(struct, member) for enumerator, struct, member in rows()}


def overlay_column(column, table):
    """A column that no interpreter at hand has: another one with changes."""
    path = OVERLAYS / f"{column}.txt"
    if not path.exists():
        return None
    known = {(f"{struct}.{member}" if member else f"sizeof({struct})"): enumerator
             for enumerator, struct, member in rows()}
    numbers = None
    for line in path.read_text().splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        if line.startswith("like "):
            numbers = dict(table.get(line[5:].strip(), {}))
            continue
        shift = re.match(r"shift (\w+) after (\w+) by (-?\d+)$", line)
        if shift and numbers is not None:
            struct, member, distance = shift.groups()
            start = numbers[f"LT_{struct}_{member}"]
            for enumerator, of, row in rows():
                if of == struct and row is not None and numbers[enumerator] > start:
                    numbers[enumerator] += int(distance)
            continue
        name, _, number = line.partition("=")
        if name.strip() not in known or numbers is None:
            raise Problem(f"{path.name}: no such row: {name.strip()}")
        numbers[known[name.strip()]] = int(number)
    return numbers


def compare(column, fresh, committed, partial):
    """(rows found, [what differs]); `partial`: rows that were not found say nothing."""
    known = committed.get(column, {})
    differing = [f"{column} {enumerator}: table {known.get(enumerator, ABSENT)}, found {number}"
                 for enumerator, number in fresh.items()
                 if number != known.get(enumerator, ABSENT) and not (partial and number == ABSENT)]
    return sum(number != ABSENT for number in fresh.values()), differing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("interpreters", nargs="*", metavar="COLUMN=PYTHON")
    arguments = parser.parse_args()
    committed = read_table()
    table = {column: dict(numbers) for column, numbers in committed.items()}
    for spec in arguments.interpreters:
        column, _, python = spec.partition("=")
        if column not in columns():
            raise Problem(f"{column}: not in columns.def")
        fresh = make_column(Interpreter(python), arguments.headers)
        if arguments.check:
            found, differing = compare(column, fresh, committed, arguments.headers)
            print(f"{column}: {found} of {len(fresh)} rows found, {len(differing)} differ")
            if differing:
                print("\n".join(differing))
                return 1
        else:
            table[column] = fresh
    if arguments.check:
        return 0
    for column in columns():
        numbers = overlay_column(column, table)
        if numbers is not None:
            table[column] = numbers
    unknown = [enumerator for enumerator, _, _ in rows()
               if all(table.get(column, {}).get(enumerator, ABSENT) == ABSENT for column in columns())]
    if unknown:
        print("in no release: " + " ".join(unknown), file=sys.stderr)
    write_table(table)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Problem as problem:
        sys.exit(f"generate.py: {problem}")
