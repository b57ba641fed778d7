"""The workloads of tests/live/rss: each byte of RSS in a named part, and the parts as big as the workload itself says."""
import functools
import glob
import os
import shutil
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
