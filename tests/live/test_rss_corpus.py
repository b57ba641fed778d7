"""The workloads of tests/live/rss: each byte of RSS in a named part, and the parts as big as the workload itself says."""
import functools
import glob
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import WORKLOAD_MINORS, Target, has_workload_libraries, interpreters, workload_dir

FOLDER = Path(__file__).resolve().parent / "rss"
# Name of the program -> what it needs beside the standard library: a module, or a library to be preloaded.
WORKLOADS = {
    "small_objects": None, "strings": None, "frames": "pandas", "threads": None, "files": None, "native_leak": None,
    "survivors": None, "jemalloc": "libjemalloc", "mimalloc": "libmimalloc", "workers": "gunicorn", "tasks": None, "shop": "django",
}
LEAST_EXPLAINED = 0.97
PACKAGES = {"libjemalloc": "libjemalloc2", "libmimalloc": "libmimalloc2.0"}


@functools.lru_cache(maxsize=None)
def interpreter_of(minor):
    return next((one for one in interpreters() if one.minor == minor), None)


def preloaded(library, folder):
    """The library in a folder that an interpreter in a root of its own sees too."""
    found = sorted(path for pattern in ("/usr/lib/*/", "/usr/lib64/", "/usr/local/lib/")
                   for path in glob.glob(f"{pattern}{library}.so.*"))
    if not found:
        pytest.skip(f"{library}: not here (Debian's package {PACKAGES[library]})")
    copy = folder / os.path.basename(found[0])
    shutil.copy(os.path.realpath(found[0]), copy)
    return copy


def workload(name, minor, folder):
    interpreter, needs = interpreter_of(minor), WORKLOADS[name]
    if interpreter is None:
        pytest.skip(f"no CPython {minor} here")
    folder.chmod(0o777)
    environment, binds = {"WORKLOAD_DIR": str(folder)}, [folder]
    if needs in PACKAGES:
        environment["LD_PRELOAD"] = str(preloaded(needs, folder))
    elif needs is not None:
        if not has_workload_libraries(minor):
            pytest.skip(f"{needs} for CPython {minor}: not here (scripts/corpus.py tells why)")
        environment["PYTHONPATH"] = str(workload_dir(minor))
        binds.append(workload_dir(minor))
    return Target(interpreter, FOLDER / f"{name}.py", env=environment, binds=binds)


def resident(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Rss")


def check_part(parts, wanted):
    chosen = [part for part in parts if part["layer"] == wanted["layer"] and part["name"].startswith(wanted["name"])]
    assert wanted["least"] <= sum(part["bytes"] for part in chosen) <= wanted["most"], (wanted, chosen, parts)
    if wanted["count"] is not None:
        assert sum(part["count"] for part in chosen) == wanted["count"], (wanted, chosen)


@pytest.mark.parametrize("minor", WORKLOAD_MINORS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_workload(name, minor, lowtide, tmp_path, record_property):
    with workload(name, minor, tmp_path) as target:
        target.wait_asleep()
        pid = target.facts["pid"]
        before = resident(pid)
        result = lowtide("rss", "--json", pid)
        assert result.code == 0, result
        found, facts = result.json["result"], target.facts
        parts = found["parts"]
        record_property("explained", {"workload": name, "python": target.interpreter.label, "ratio": found["explained_ratio"],
                                      "rss": found["rss_bytes"]})
        assert abs(found["rss_bytes"] - before) <= 0.01 * before
        assert found["explained_ratio"] >= LEAST_EXPLAINED, parts
        assert abs(sum(part["bytes"] for part in parts) - found["rss_bytes"]) <= 0.01 * found["rss_bytes"], parts
        for wanted in facts["parts"]:
            check_part(parts, wanted)
        for name_of, least in facts.get("shared_parts", []):
            assert sum(part["shared_bytes"] for part in parts if part["name"] == name_of) >= least, parts
        if "pins" in facts:
            type_name, expression = facts["pins"]
            assert found["pins"][0]["type"] == type_name and expression in found["pins"][0]["expression"], found["pins"]
        if "allocator" in facts:
            assert found["allocator"] == facts["allocator"], found["allocator"]
            other = found["other_allocator"]
            assert other["name"] == name and other["torn"] == 0, other
            for figure, expected in facts["other"].items():
                # The call that asks for the figures, and ready(), need some memory too.
                assert abs(other[figure] - expected) <= 16_384, (figure, other, facts["other"])
            # malloc_trim() and the settings of glibc are no advice there.
            doctor = lowtide("doctor", "--json", pid)
            assert doctor.code == 0, doctor
            assert not {"trim-would-return", "malloc-arenas"} & {one["id"] for one in doctor.json["result"]["findings"]}, doctor
        assert target.alive(), target.output()


# An allocator that nobody knows inside of: one block behind the other, nothing is ever taken back.
SIMPLE = r"""
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
static char *base;
static size_t used;
static void *take(size_t align, size_t size)
{
	if (base == NULL)
		base = mmap(NULL, 1u << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	align = align < 16 ? 16 : align;
	size_t at = __atomic_fetch_add(&used, size + align + 32, __ATOMIC_RELAXED);
	char *block = (char *)(((uintptr_t)base + at + 16 + align - 1) & ~(uintptr_t)(align - 1));
	((size_t *)block)[-1] = size;
	return block;
}
void *malloc(size_t size) { return take(16, size); }
void free(void *block) { (void)block; }
void *calloc(size_t count, size_t size) { return take(16, count * size); }
size_t malloc_usable_size(void *block) { return block == NULL ? 0 : ((size_t *)block)[-1]; }
void *realloc(void *block, size_t size)
{
	void *moved = take(16, size);
	size_t before = malloc_usable_size(block);
	return block == NULL ? moved : memcpy(moved, block, before < size ? before : size);
}
void *memalign(size_t align, size_t size) { return take(align, size); }
void *aligned_alloc(size_t align, size_t size) { return take(align, size); }
int posix_memalign(void **block, size_t align, size_t size) { *block = take(align, size); return 0; }
"""


@pytest.mark.parametrize("minor", WORKLOAD_MINORS)
def test_an_allocator_that_cannot_be_walked_is_one_part(minor, lowtide, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    if interpreter_of(minor) is None:
        pytest.skip(f"no CPython {minor} here")
    tmp_path.chmod(0o755)
    (tmp_path / "simple.c").write_text(SIMPLE)
    library = tmp_path / "libtcmalloc_minimal.so.4"
    subprocess.run(["cc", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "simple.c")], check=True)
    script = """
held = [b"%d" % (10 ** 9 + i) * 300 for i in range(5_000)]
gone = [b"%d" % (10 ** 9 + i) * 300 for i in range(5_000)]
del gone
ready()
"""
    with Target(interpreter_of(minor), script, env={"LD_PRELOAD": str(library)}, binds=[tmp_path]) as target:
        target.wait_asleep()
        result = lowtide("rss", "--json", target.pid)
        assert result.code == 0, result
        found = result.json["result"]
        assert found["allocator"] == "tcmalloc" and found["other_allocator"] is None and found["trim_gain_bytes"] == 0
        assert found["explained_ratio"] >= LEAST_EXPLAINED, found["parts"]
        rest = [part for part in found["parts"] if part["name"] == "tcmalloc"]
        assert [part["detail"] for part in rest] == ["used and free memory as one part"], found["parts"]
        assert 5_000 * 3_000 <= rest[0]["bytes"] <= 5_000 * 3_000 + 8_000_000, found["parts"]
        check_part(found["parts"], {"layer": "objects", "name": "live objects: bytes", "least": 15_000_000, "most": 20_000_000, "count": None})
