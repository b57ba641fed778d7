"""Shared fixtures: `interpreter` runs a test once for each CPython at hand; `lowtide` is the built program.

At the end of the session it is an error when a process or a mount of the tests is left.
"""
import os
import sys
import time
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import interpreters, lowtide_path, residue, run_lowtide  # noqa: E402
from harness.pythons import missing_minors  # noqa: E402

# Every process that the tests start inherits the mark.
_run = os.environ.setdefault(residue.MARK, uuid.uuid4().hex)
_mounts_before = residue.mounts()


def pytest_generate_tests(metafunc):
    if "interpreter" in metafunc.fixturenames:
        values = [pytest.param(i, id=i.id) for i in interpreters()]
        values += [pytest.param(None, id=minor, marks=pytest.mark.skip(reason=f"no CPython {minor} on this machine"))
                   for minor in missing_minors()]
        metafunc.parametrize("interpreter", values)


def pytest_configure(config):
    config.addinivalue_line("markers", "three_interpreters(why, every={parameter: values}): only on the oldest CPython, one in the middle and the newest, "
                                       "as `why` says; a case with one of the values in `every` runs on each CPython")


def pytest_collection_modifyitems(config, items):
    """LOWTIDE_EVERY=1 runs all cases on all interpreters."""
    if os.environ.get("LOWTIDE_EVERY"):
        return
    known = [one.id for one in interpreters()]
    three = {known[at] for at in (0, len(known) // 2, -1)} if known else set()

    def wanted(item):
        mark = item.get_closest_marker("three_interpreters")
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        one = parameters.get("interpreter")
        if mark is None or one is None or one.id in three:
            return True
        every = mark.kwargs.get("every")
        return every is not None and all(parameters[name] in values for name, values in every.items())

    left_out = [item for item in items if not wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if wanted(item)]


@pytest.fixture(scope="session")
def lowtide():
    """run_lowtide, or a skip when the program is not built."""
    if not lowtide_path().exists():
        pytest.skip(f"{lowtide_path()} is not built")
    return run_lowtide


def pytest_sessionfinish(session, exitstatus):
    if hasattr(session.config, "workerinput") or session.config.pluginmanager.hasplugin("dsession"):
        return  # with pytest-xdist each side sees the other's processes: scripts/run_tests.py looks afterwards
    deadline = time.monotonic() + 5
    left = residue.marked_processes(_run)
    while left and time.monotonic() < deadline:
        residue.reap_orphans()
        time.sleep(0.1)
        left = residue.marked_processes(_run)
    new_mounts = residue.mounts() - _mounts_before
    problems = [f"process {pid} is left behind: {command}" for pid, command in left.items()]
    problems += [f"mount {where} is left behind" for where in sorted(new_mounts)
                 if where.startswith((str(session.config.rootpath), "/tmp"))]
    if problems:
        print("\n" + "\n".join(problems), file=sys.stderr)
        session.exitstatus = 1
