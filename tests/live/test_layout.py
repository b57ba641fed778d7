"""Finding the interpreter of a process, its release and its layout; the tables against headers and debug information."""
import dataclasses
import os
import re
import shutil
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness import REPOSITORY, Target, build_dir, interpreters, run_command

sys.path.insert(0, str(REPOSITORY / "tools" / "layout"))
import generate  # noqa: E402

READY = "import sys; ready(hexversion=sys.hexversion, version='.'.join(map(str, sys.version_info[:3])))"

# Makes the target say that it is another release, in every place where it says so: the text of Py_GetVersion()
# up to 3.10, the constant Py_Version in 3.11 and 3.12, the head of the runtime from 3.13 on.
PRETEND = textwrap.dedent('''
    import ctypes, mmap, sys

    def writable(address, size):
        page = mmap.PAGESIZE
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        start = address // page * page
        if libc.mprotect(start, address + size - start, 3):
            raise OSError(ctypes.get_errno(), "mprotect")

    hexversion, free_threaded = int(sys.argv[1], 16), int(sys.argv[2])
    python = ctypes.pythonapi
    if sys.version_info >= (3, 13):
        address = ctypes.addressof(ctypes.c_char.in_dll(python, "_PyRuntime"))
        ctypes.memmove(address + 8, hexversion.to_bytes(8, "little") + free_threaded.to_bytes(8, "little"), 16)
    elif sys.version_info >= (3, 11):
        address = ctypes.addressof(ctypes.c_ulong.in_dll(python, "Py_Version"))
        writable(address, 8)
        ctypes.c_ulong.in_dll(python, "Py_Version").value = hexversion
    else:
        python.Py_GetVersion.restype = ctypes.c_void_p
        level = {0xa: "a", 0xb: "b", 0xc: "rc"}.get(hexversion >> 4 & 15)
        text = "%d.%d.%d" % (hexversion >> 24, hexversion >> 16 & 255, hexversion >> 8 & 255)
        text += level + str(hexversion & 15) if level else ""
        text += sys.version[sys.version.index(" "):]
        address = python.Py_GetVersion()
        ctypes.memmove(address, text.encode() + b"\\0", len(text) + 1)
    ready(hexversion=sys.hexversion)
''')


@pytest.fixture(scope="module")
def find():
    """Runs lt_python on a PID: {"version": ..., "hex": ...} or the exit code and sentence."""
    program = build_dir() / "tests" / "tools" / "lt_python"
    if not program.exists():
        pytest.skip(f"{program} is not built")

    def run(*arguments):
        result = run_command(program, *arguments)
        facts = dict(re.findall(r"(\w+)=(\S+)", result.out.splitlines()[0])) if result.out else {}
        return result.code, facts, result.err, result.out

    return run


def hex_of(interpreter):
    major, minor, patch = interpreter.version
    return major << 24 | minor << 16 | patch << 8 | 0xf0


def test_identity(interpreter, find):
    with Target(interpreter, READY) as target:
        code, found, errors, _ = find(target.pid)
        assert code == 0, errors
        assert int(found["hex"], 16) == target.facts["hexversion"]
        assert found["version"] == target.facts["version"]
        assert found["column"] == generate.column_for(target.facts["hexversion"])
        assert found["debug_offsets"] == ("1" if interpreter.version >= (3, 13) else "0")
        assert errors == ""


def test_own_offsets_agree_with_the_column(interpreter, find):
    if interpreter.version < (3, 13):
        pytest.skip("this release tells no offsets")
    if not generate.is_verified(hex_of(interpreter)):
        pytest.skip(f"the column was not made from {interpreter.label}")
    with Target(interpreter, READY) as target:
        code, found, errors, output = find(target.pid)
        assert code == 0, errors
        assert found["differing"] == "0", output


# Where a build of CPython may differ from another one of the same release; the target tells it.
LISTS = "LT__gc_runtime_state_generations"


@pytest.mark.parametrize("source", ["headers", "debug"])
def test_table(interpreter, source, find, monkeypatch):
    """The committed numbers against the headers and the debug information of this very release."""
    helper = build_dir() / "tools" / "layout" / "layout-structs"
    if not helper.exists():
        pytest.skip(f"{helper} is not built")
    if not generate.is_verified(hex_of(interpreter)):
        pytest.skip(f"the column was not made from {interpreter.label}")
    monkeypatch.setenv("LT_LAYOUT_STRUCTS", str(helper))
    spec = f"{interpreter.root}:{interpreter.path}" if interpreter.root else interpreter.path
    installation = generate.Interpreter(spec)
    if source == "headers":
        if not (installation.include() / "internal").is_dir():
            pytest.skip("its headers are not installed")
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
    elif not any(generate.debug_file(path, installation.root) for path in installation.files()[:2]):
        pytest.skip("its debug information is not installed")
    column = generate.column_for(hex_of(interpreter))
    fresh = generate.make_column(installation, source == "headers")
    if fresh[LISTS] != generate.ABSENT:
        with Target(interpreter, READY) as target:
            assert int(find(target.pid)[1]["lists"]) == fresh.pop(LISTS)
    found, differing = generate.compare(column, fresh, generate.read_table(), partial=True)
    assert not differing, "\n".join(differing)
    assert found > (300 if source == "headers" else 600)


FACTS = textwrap.dedent('''
    import gc, os, sys, tempfile
    class Plain: pass
    class Slots: __slots__ = ()
    with tempfile.TemporaryFile() as out:
        kept = os.dup(2)
        os.dup2(out.fileno(), 2)
        sys._debugmallocstats()
        os.dup2(kept, 2)
        out.seek(0)
        stats = out.read().decode()
    ready(thresholds=gc.get_threshold(), stats=stats, digit_bits=sys.int_info.bits_per_digit,
          untracked=not gc.is_tracked({"a": 1}), immortal=sys.getrefcount(None) > 1 << 28,
          preheader=sys.getsizeof(Plain()) - Plain().__sizeof__() - sys.getsizeof(Slots()) + Slots().__sizeof__(),
          flags=[Plain.__flags__, int.__flags__, Slots.__flags__])
''')


def column_facts(find, column):
    _, _, _, output = find("--table")
    return {name: int(value) for name, value in re.findall(rf"^{re.escape(column)} fact (\w+) (-?\d+)$", output, re.M)}


def test_facts_that_a_target_can_tell(interpreter, find):
    facts = column_facts(find, generate.column_for(hex_of(interpreter)))
    with Target(interpreter, FACTS) as target:
        told = target.facts
        code, found, errors, _ = find(target.pid)
        assert code == 0, errors
        assert int(found["arena"]) == int(re.search(r"arenas \* (\d+) bytes/arena", told["stats"]).group(1))
    assert [facts[f"gc_threshold{i}"] for i in range(3)] == told["thresholds"]
    assert facts["long_digit_bits"] == told["digit_bits"]
    assert facts["gc_untracks_dicts"] == told["untracked"]
    assert facts["immortal"] == told["immortal"]
    assert facts["sizeof_preheader"] == (told["preheader"] == 16)
    plain, integer, slots = told["flags"]
    assert plain & facts["tpflag_heap_type"] and plain & facts["tpflag_have_gc"] and plain & facts["tpflag_ready"]
    assert not integer & facts["tpflag_heap_type"] and integer >> facts["tpflag_subclass_shift"] & 1
    assert bool(plain & facts["tpflag_managed_dict"]) == (facts["managed_dict"] > 0)
    assert bool(plain & facts["tpflag_inline_values"]) == (facts["managed_dict"] == 3)
    assert bool(plain & facts["tpflag_managed_weakref"]) == (facts["managed_weakref_offset"] != 0)
    assert bool(integer & facts["tpflag_static_builtin"]) == facts["static_type_state"]
    assert not slots & facts["tpflag_managed_dict"]
    assert int(re.search(r"arenas \* (\d+) bytes/arena", told["stats"]).group(1)) == facts["arena_size"]
    assert int(re.search(r"unused pools \* (\d+) bytes", told["stats"]).group(1)) == facts["pool_size"]
    assert f"Small block threshold = {facts['small_request_max']}," in told["stats"]


# Facts that are enumerators of CPython; a release without the enumerator has nothing to compare.
ENUMERATORS = {
    "frame_owner_thread": "FRAME_OWNED_BY_THREAD",
    "frame_owner_generator": "FRAME_OWNED_BY_GENERATOR",
    "frame_owner_frame_object": "FRAME_OWNED_BY_FRAME_OBJECT",
    "gen_created": "FRAME_CREATED",
    "gen_executing": "FRAME_EXECUTING",
    "dict_kind_general": "DICT_KEYS_GENERAL",
    "dict_kind_unicode": "DICT_KEYS_UNICODE",
    "dict_kind_split": "DICT_KEYS_SPLIT",
}
# Facts that are lengths of arrays: struct, member.
ARRAYS = {
    "deque_block_items": ("BLOCK", "data"),
    "teedata_items": ("teedataobject", "values"),
    "gc_young_ring": ("gc_young_stats_buffer", "items"),
    "gc_old_ring": ("gc_old_stats_buffer", "items"),
    "static_types_max": ("PyInterpreterState", "types.builtins.initialized"),
    "static_ext_types_max": ("PyInterpreterState", "types.for_extensions.initialized"),
}
# Facts that are places of bit fields in PyASCIIObject.
BITS = {"unicode_kind_shift": "state.kind", "unicode_compact_shift": "state.compact", "unicode_ascii_shift": "state.ascii",
        "unicode_ready_shift": "state.ready"}


def test_facts_in_debug_information(interpreter, find, monkeypatch):
    helper = build_dir() / "tools" / "layout" / "layout-structs"
    if not helper.exists() or not generate.is_verified(hex_of(interpreter)):
        pytest.skip("layout-structs is not built, or the column was not made from this release")
    monkeypatch.setenv("LT_LAYOUT_STRUCTS", str(helper))
    installation = generate.Interpreter(f"{interpreter.root}:{interpreter.path}" if interpreter.root else interpreter.path)
    structs = generate.structs_from_debug(installation)
    if not structs.structs:
        pytest.skip("its debug information is not installed")
    facts = column_facts(find, generate.column_for(hex_of(interpreter)))
    compared = 0
    for fact, enumerator in ENUMERATORS.items():
        if enumerator in structs.enumerators:
            assert facts[fact] == structs.enumerators[enumerator], fact
            compared += 1
    shims = [value for name, value in structs.enumerators.items() if name in ("FRAME_OWNED_BY_CSTACK", "FRAME_OWNED_BY_INTERPRETER")]
    if shims:
        assert facts["frame_owner_shim"] == min(shims)
    for fact, (struct_name, member) in ARRAYS.items():
        lengths = {members[member][3] for source, _, members in structs.structs.get(struct_name, [])
                   if member in members and source.endswith(generate.names.SOURCES.get(struct_name, ""))} - {-1}
        if lengths:
            assert lengths == {facts[fact]}, fact
            compared += 1
    for fact, member in BITS.items():
        places = {members[member][1] for _, _, members in structs.structs["PyASCIIObject"] if member in members}
        if places:
            assert places == {facts[fact]}, fact
            compared += 1
    assert compared >= 5


def with_patch(interpreter, patch):
    return hex_of(interpreter) & 0xffff00ff | patch << 8


def same_column(interpreter):
    """A patch release that nobody has verified, with the layout of this one if there is such a release."""
    column = generate.column_for(hex_of(interpreter))
    others = [with_patch(interpreter, patch) for patch in (90, 91, *range(24))]
    unknown = [other for other in others if not generate.is_verified(other)]
    return next((other for other in unknown if generate.column_for(other) == column), unknown[0])


def test_unknown_patch_release_is_accepted_after_the_check(interpreter, find):
    other = same_column(interpreter)
    with Target(interpreter, PRETEND, f"{other:x}", "0") as target:
        code, found, errors, _ = find(target.pid)
        assert code == 0, errors
        assert int(found["hex"], 16) == other


def refused(interpreter, find, hexversion, free_threaded=0):
    with Target(interpreter, PRETEND, f"{hexversion:x}", str(free_threaded)) as target:
        code, found, errors, _ = find(target.pid)
        assert code == 3 and not found
        assert target.alive()
        return errors


def test_a_release_of_another_layout_is_refused(interpreter, find):
    """An interpreter that says it is the next or last minor has other structures, and this is found out."""
    minor = interpreter.version[1]
    for other in (minor - 1, minor + 1):
        if not 9 <= other <= 15 or (minor >= 13) != (other >= 13):
            continue
        errors = refused(interpreter, find, 0x03000000 | other << 16 | 0x63f0)
        assert f"CPython 3.{other}.99" in errors and "does not match the layout of" in errors


def test_the_target_tells_where_its_lists_lie(find):
    """Builds of one release lay the lists of the collector four bytes apart: the target tells which."""
    tried = 0
    for interpreter in interpreters():
        if interpreter.minor != "3.13":
            continue
        with Target(interpreter, READY) as target:
            lists = find(target.pid)[1]["lists"]
            assert lists in ("20", "24")
        for patch in (0, 1, 5, 10, 12, 13, 15, 99):
            other = with_patch(interpreter, patch)
            with Target(interpreter, PRETEND, f"{other:x}", "0") as target:
                code, found, errors, _ = find(target.pid)
                assert code == 0 and errors == "", errors
                assert (found["lists"], found["column"]) == (lists, generate.column_for(other))
        tried += 1
    if tried == 0:
        pytest.skip("no CPython 3.13 on this machine")


def test_too_old_too_new_pre_release_and_free_threaded(interpreter, find):
    minor = interpreter.version[1]
    if minor < 13:  # the head of the runtime is looked at for 3.13 and later only
        assert "the oldest that is known is 3.9" in refused(interpreter, find, 0x030812f0)
    assert "the newest that is known is 3.15" in refused(interpreter, find, 0x031000f0)
    assert "a pre-release" in refused(interpreter, find, 0x03000000 | minor << 16 | 0xa1)
    if minor >= 13:
        assert "free-threaded build" in refused(interpreter, find, hex_of(interpreter), 1)


def test_single_reads_that_go_wrong(interpreter, find):
    """No read that fails, comes short or is torn does harm, and hardly any keeps the interpreter from being found."""
    with Target(interpreter, READY) as target:
        code, found, errors, _ = find(target.pid, 40)
        assert code == 0, errors
        assert int(found["found"]) + int(found["lost"]) == 120
        assert int(found["lost"]) <= 6


COLLECTS = textwrap.dedent('''
    import gc, threading
    def churn():
        while True:
            cycle = [[] for _ in range(200)]
            cycle.append(cycle)
            gc.collect(0)
    for _ in range(2):
        threading.Thread(target=churn, daemon=True).start()
    keep = [[] for _ in range(50000)]
    def collect():
        while True:
            gc.collect()
    threading.Thread(target=collect, daemon=True).start()
''')


def test_a_target_that_collects_all_the_time(interpreter, find):
    with Target(interpreter, COLLECTS + READY) as target:
        if not generate.is_verified(hex_of(interpreter)):
            pytest.skip(f"the lists of {interpreter.label} must be seen at rest once")
        for _ in range(20):
            code, _, errors, _ = find(target.pid)
            assert code == 0, errors
        assert target.alive()


def test_an_unknown_patch_release_that_collects_all_the_time(interpreter, find):
    """Where its lists lie is known while a collection runs: it is taken, if need be with a warning."""
    other = same_column(interpreter)
    with Target(interpreter, COLLECTS + PRETEND, f"{other:x}", "0") as target:
        for _ in range(3):
            code, found, errors, _ = find(target.pid)
            assert code == 0, errors
            assert int(found["hex"], 16) == other
            assert errors == "" or "could not be checked: collections run all the time" in errors


STUCK = textwrap.dedent('''
    import gc, threading, time
    inside = threading.Event()
    class Slow:
        def __del__(self):
            inside.set()
            while True:
                time.sleep(60)
    def collect():
        slow = Slow()
        slow.me = slow
        del slow
        gc.collect()
    threading.Thread(target=collect, daemon=True).start()
    inside.wait()
''')


@pytest.mark.three_interpreters("how long it is waited is lowtide's own")
def test_a_collection_that_does_not_end(interpreter, find):
    """A finalizer that blocks: a release that is known is taken at once, another one with a warning."""
    facts = column_facts(find, generate.column_for(hex_of(interpreter)))
    if facts["gc_incremental"]:
        pytest.skip("this collector has no pointer to its lists")
    with Target(interpreter, STUCK + READY) as target:
        if generate.is_verified(hex_of(interpreter)):
            code, _, errors, _ = find(target.pid)
            assert code == 0 and errors == ""
    other = same_column(interpreter)
    with Target(interpreter, STUCK + PRETEND, f"{other:x}", "0") as target:
        code, found, errors, _ = find(target.pid)
        assert code == 0 and int(found["hex"], 16) == other
        assert "could not be checked: collections run all the time" in errors
        assert target.alive()


def test_no_python(find):
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            code, _, errors, _ = find(process.pid)
            assert code == 3
            assert f"process {process.pid} (" in errors and "runs no CPython that can be found" in errors
        finally:
            process.kill()


# ---- programs with an interpreter inside: static, stripped, without section headers ----

MAIN = "int Py_BytesMain(int argc, char **argv); int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }"


def static_library(interpreter, kind):
    """Debian has one of its own for position-independent programs."""
    prefix = Path(interpreter.path).resolve().parent.parent
    for suffix in ("-pic", "") if kind == "pie" else ("",):
        for found in sorted(prefix.glob(f"lib/python{interpreter.minor}/config-*/libpython{interpreter.minor}{suffix}.a")):
            return found
    return None


def without_sections(program):
    """The program as packers leave it: no section headers."""
    image = bytearray(program.read_bytes())
    image[0x28:0x30] = struct.pack("<Q", 0)
    image[0x3a:0x40] = struct.pack("<HHH", 64, 0, 0)
    program.write_bytes(image)


@pytest.mark.parametrize("kind", ["pie", "no-pie", "static"])
def test_static_programs(interpreter, kind, find, tmp_path):
    if interpreter.root is not None:
        pytest.skip("nothing to link with in that root")
    library = static_library(interpreter, kind)
    if library is None:
        pytest.skip(f"no libpython{interpreter.minor}.a")
    source, program = tmp_path / "main.c", tmp_path / "shop"
    source.write_text(MAIN)
    system = ["-ldl", "-lm", "-lutil", "-lpthread"]
    if interpreter.path.startswith("/usr/bin/"):
        system += ["-lexpat", "-lz"]
    linked = subprocess.run(["gcc", f"-{kind}", str(source), "-Wl,--whole-archive", str(library), "-Wl,--no-whole-archive",
                             *system, "-o", str(program)], capture_output=True, text=True, check=False)
    if linked.returncode != 0:
        pytest.skip("it does not link: " + linked.stderr.strip().splitlines()[-1])
    prefix = str(Path(interpreter.path).resolve().parent.parent)
    inside = dataclasses.replace(interpreter, path=str(program), label="shop")
    for step in ("plain", "stripped", "no sections"):
        if step == "stripped":
            subprocess.run(["strip", "--strip-all", str(program)], check=True)
        elif step == "no sections":
            without_sections(program)
        with Target(inside, READY, env={"PYTHONHOME": prefix}) as target:
            code, found, errors, _ = find(target.pid)
            assert code == 0, (step, errors)
            assert int(found["hex"], 16) == target.facts["hexversion"]
            assert found["file"] == str(program)


def test_stripped_library(interpreter, find, tmp_path):
    """A libpython without its symbol table: the dynamic symbols or the section are enough."""
    if not interpreter.shared or interpreter.root is not None:
        pytest.skip("not an interpreter with a libpython of its own")
    prefix = Path(interpreter.path).resolve().parent.parent
    library = prefix / "lib" / f"libpython{interpreter.minor}.so.1.0"
    if not library.exists():
        pytest.skip(f"no {library.name}")
    copy = tmp_path / library.name
    subprocess.run(["strip", "--strip-all", str(library), "-o", str(copy)], check=True)
    with Target(interpreter, READY, env={"LD_LIBRARY_PATH": str(tmp_path)}) as target:
        code, found, errors, _ = find(target.pid)
        assert code == 0, errors
        assert int(found["hex"], 16) == target.facts["hexversion"]
        if os.path.samefile(found["file"], library):
            pytest.skip("this program does not take another libpython")


def test_deleted_library(interpreter, find, tmp_path):
    """An upgrade replaces the files of a service that runs on: the one that it has mapped is read."""
    if not interpreter.shared or interpreter.root is not None:
        pytest.skip("not an interpreter with a libpython of its own")
    library = Path(interpreter.path).resolve().parent.parent / "lib" / f"libpython{interpreter.minor}.so.1.0"
    copy = tmp_path / library.name
    shutil.copy(library, copy)
    with Target(interpreter, READY, env={"LD_LIBRARY_PATH": str(tmp_path)}) as target:
        if str(copy) not in Path(f"/proc/{target.pid}/maps").read_text():
            pytest.skip("this program does not take another libpython")
        copy.unlink()
        code, found, errors, _ = find(target.pid)
        assert code == 0, errors
        assert int(found["hex"], 16) == target.facts["hexversion"]


PLUGIN = '''
int Py_BytesMain(int argc, char **argv);
__attribute__((visibility("default"))) int shop_main(int argc, char **argv) { return Py_BytesMain(argc, argv); }
'''
HOST = '''
#include <dlfcn.h>
int main(int argc, char **argv)
{
	void *plugin = dlopen(PLUGIN, RTLD_NOW);
	int (*run)(int, char **) = plugin ? (int (*)(int, char **))dlsym(plugin, "shop_main") : 0;
	return run ? run(argc, argv) : 99;
}
'''


def test_plugin(interpreter, find, tmp_path):
    """A program that knows nothing of Python and loads a plugin that holds an interpreter."""
    if interpreter.root is not None:
        pytest.skip("nothing to link with in that root")
    library = static_library(interpreter, "pie")
    if library is None:
        pytest.skip(f"no libpython{interpreter.minor}.a")
    plugin, host = tmp_path / "shop.so", tmp_path / "host"
    (tmp_path / "plugin.c").write_text(PLUGIN)
    (tmp_path / "host.c").write_text(HOST)
    linked = subprocess.run(["gcc", "-shared", "-fPIC", str(tmp_path / "plugin.c"), "-Wl,--whole-archive", str(library),
                             "-Wl,--no-whole-archive", "-Wl,-Bsymbolic", "-ldl", "-lm", "-lutil", "-lpthread", "-lexpat", "-lz",
                             "-o", str(plugin)], capture_output=True, text=True, check=False)
    if linked.returncode != 0:
        pytest.skip("it does not link: " + linked.stderr.strip().splitlines()[-1])
    subprocess.run(["gcc", f'-DPLUGIN="{plugin}"', str(tmp_path / "host.c"), "-o", str(host), "-ldl"], check=True)
    inside = dataclasses.replace(interpreter, path=str(host), label="host")
    prefix = str(Path(interpreter.path).resolve().parent.parent)
    with Target(inside, READY, env={"PYTHONHOME": prefix}) as target:
        code, found, errors, _ = find(target.pid)
        assert code == 0, errors
        assert int(found["hex"], 16) == target.facts["hexversion"] and found["file"] == str(plugin)


def test_several_interpreters(interpreter, find):
    script = textwrap.dedent('''
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        made = [interpreters.create() for _ in range(3)]
        ready(count=len(made))
    ''')
    with Target(interpreter, script) as target:
        assert target.facts["count"] == 3
        code, _, errors, _ = find(target.pid)
        assert code == 0 and errors == ""


def test_a_program_that_changes_sys(interpreter, find):
    """What a program does to its own modules is no reason to refuse a release that is known well."""
    if not generate.is_verified(hex_of(interpreter)):
        pytest.skip(f"the column was not made from {interpreter.label}")
    with Target(interpreter, "import sys; del sys.hexversion; ready()") as target:
        code, found, errors, _ = find(target.pid)
        assert code == 0 and "sys.hexversion cannot be read" in errors
