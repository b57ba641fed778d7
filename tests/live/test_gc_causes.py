"""Why each collection ran: a program that starts them in every way there is, and keeps its own log of why.

The score (rightly explained of all that the log has) is printed at the end of a run.
"""
import json
import os
import signal
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from harness import Target, build_dir, end_session, lowtide_path
from harness.extension import CannotBuild, extension_path
from harness.target import clean_environment

SCRIPT = Path(__file__).with_name("gc_causes_target.py")
SERVER = """
import gc
LINE = 6
def serve(hook):
    hook(None)
def clean():
    gc.collect()
"""
LEAST_WAYS = 30
# What the evidence names between the caller and the call.
THROUGH = {
    "signal": "in the program's handler of SIGUSR1",
    "timer": "threading",
    "thread": "in a thread of threading",
    "finalizer": "a finalizer",
    "call soon": "in the event loop of asyncio",
    "library": "an installed library that was called at",
    "ctypes": "called by C code that was called at",
}
# Of collections that polling is sure to see one by one.
POLLED_NS = 3_000_000


@pytest.fixture
def folder():
    """Below the build: there every interpreter at hand sees it, also one with a root of its own."""
    with tempfile.TemporaryDirectory(prefix="gc-causes-", dir=build_dir()) as path:
        yield Path(path)


def extension(interpreter):
    try:
        return str(extension_path(interpreter, "collects"))
    except CannotBuild:
        return ""


class Watcher:
    """`lowtide gc` on a target, begun when the block is entered; `result()` once the target has ended."""

    def __init__(self, pid, source, path):
        self.path = path
        self.process = subprocess.Popen([lowtide_path(), "gc", "--json", "-d", "600", "--source", source, "-o", path,
                                         str(pid)], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=clean_environment(), start_new_session=True)

    def __enter__(self):
        # The first second is in the file: it watches.
        unfinished = Path(str(self.path) + ".unfinished")
        sizes = set()
        for _ in range(1200):
            if self.process.poll() is not None:
                return self
            if unfinished.exists():
                sizes.add(unfinished.stat().st_size)
            if len(sizes) >= 3:
                return self
            time.sleep(0.1)
        raise AssertionError("lowtide did not begin to watch")

    def __exit__(self, *_):
        end_session(self.process.pid)
        self.process.communicate()

    def result(self):
        out, err = self.process.communicate(timeout=300)
        if self.process.returncode == 4:
            pytest.skip("this source is not possible here: " + err.splitlines()[0])
        assert self.process.returncode == 0, err
        return json.loads(out)["result"]


def run_corpus(interpreter, source, folder):
    """The target's log, and what lowtide says."""
    log = folder / "log"
    library = folder / "site-packages"
    library.mkdir()
    (library / "server.py").write_text(SERVER.lstrip())
    compiled = extension(interpreter)
    path = os.pathsep.join(filter(None, [str(library), compiled]))
    with Target(interpreter, SCRIPT, str(log), compiled, env={"PYTHONPATH": path}) as target:
        with Watcher(target.pid, source, folder / "app.tide") as watcher:
            target.send("go")
            found = watcher.result()
    assert found["ended"], "the watch ended before the program did"
    return [json.loads(line) for line in log.read_text().splitlines()], found


def common_ns(truth, one):
    error = one["error_ms"] * 1e6
    start, end = one["monotonic_ns"] - error, one["monotonic_ns"] + one["duration_ms"] * 1e6 + error
    return min(end, truth["end"]) - max(start, truth["start"])


def match(truth, collections):
    """The collection that ran between the two calls of the target's callback: the one that is most in there."""
    best, most = None, 0
    for one in collections:
        common = common_ns(truth, one)
        if common > most:
            best, most = one, common
    return best


def verdict(truth, one):
    """"right", or what is wrong."""
    if one is None:
        return "not seen"
    if one["cause"] != truth["cause"]:
        return f"{one['cause']} in place of {truth['cause']}: {one['evidence']}"
    if truth["cause"] == "explicit" and truth["line"] is not None:
        file, line, _ = (one["where"] or "::").rsplit(":", 2)
        if truth["file"] is not None and os.path.basename(file) != truth["file"] or line != str(truth["line"]):
            return f"at {one['where']} in place of {truth['file']}:{truth['line']}: {one['evidence']}"
    elif truth["cause"] == "explicit" and truth["file"] is not None:
        if not (one["where"] or "").split(":")[0].endswith("/" + truth["file"]):
            return f"at {one['where']} in place of {truth['file']}"
    return "right"


def score(truths, found, interpreter, source, record_property):
    answers = [(truth["way"], verdict(truth, match(truth, found["collections"]))) for truth in truths]
    for way, answer in answers:
        record_property("cause of a collection", f"{interpreter.label} {source} {way}: {answer}")
    return answers


def test_causes_seen_by_probes(interpreter, folder, record_property):
    truths, found = run_corpus(interpreter, "probe", folder)
    assert found["source"] == "probe"
    assert len({truth["way"] for truth in truths}) >= LEAST_WAYS
    answers = score(truths, found, interpreter, "probe", record_property)
    wrong = [answer for answer in answers if answer[1] != "right"]
    assert len(wrong) * 100 <= len(answers), "\n".join(map(str, wrong))
    assert any(one["cause"] == "shutdown" for one in found["collections"])
    through = {truth["way"]: match(truth, found["collections"])["evidence"] for truth in truths if truth["way"] in THROUGH}
    assert through.keys() == THROUGH.keys()
    for way, evidence in through.items():
        assert THROUGH[way] in evidence, (way, evidence)


def test_places_of_code_that_is_gone(interpreter, folder):
    """An interpreter ends with all its code, and code of exec() makes room for other code, before lowtide comes to look:
    the places are those of the moment."""
    script = textwrap.dedent('''
        import gc
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        inside = "import gc\\n\\ndef sweep_within():\\n    gc.collect()\\n\\nsweep_within()\\n"
        ready()
        wait_line()
        one = interpreters.create()
        getattr(interpreters, "exec", interpreters.run_string)(one, inside)
        interpreters.destroy(one)
        for i in range(20):
            source = "\\n" * i + "import gc\\ndef sweep_%d():\\n    gc.collect()\\nsweep_%d()\\n" % (i, i)
            exec(compile(source, "/made/up/%d.py" % i, "exec"), {})
        ready()
        wait_line()
        raise SystemExit
    ''')
    with Target(interpreter, script) as target, Watcher(target.pid, "probe", folder / "app.tide") as watcher:
        if watcher.process.poll() is None:
            os.kill(watcher.process.pid, signal.SIGSTOP)
            target.send("go")
            target.wait_ready()
            os.kill(watcher.process.pid, signal.SIGCONT)
        target.send("go")
        found = watcher.result()
    explicit = [one for one in found["collections"] if one["cause"] == "explicit"]
    places = [one["where"] for one in explicit]
    made_up = [f"/made/up/{i}.py:{i + 3}:sweep_{i}" for i in range(20)]
    assert [place for place in places if "/made/up/" in place] == made_up
    within = [place.rsplit(":", 2) for place in places if "sweep_within" in place]
    assert len(within) == 1 and within[0][1:] == ["4", "sweep_within"]
    for i, one in enumerate(one for one in explicit if "/made/up/" in one["where"]):
        assert [[frame["file"], frame["line"]] for frame in one["stack"][:2]] == [[f"/made/up/{i}.py", i + 3], [f"/made/up/{i}.py", i + 4]]
    # What the interpreter did at its end nobody called for, and no threshold.
    ids = {one["interpreter"] for one in explicit} - {0}
    own = [one["cause"] for one in found["collections"] if one["interpreter"] in ids]
    assert set(own[own.index("explicit") + 1:]) <= {"shutdown"}


@pytest.mark.parametrize("source", ["poll", "ring"])
def test_causes_concluded_from_memory(interpreter, folder, record_property, source):
    truths, found = run_corpus(interpreter, source, folder)
    assert found["source"] == source
    # Of the short ones the counters tell only how many there were.
    answers = [(truth["way"], verdict(truth, match(truth, found["collections"]))) for truth in truths
               if truth["end"] - truth["start"] >= POLLED_NS]
    for way, answer in answers:
        record_property("cause of a collection", f"{interpreter.label} {source} {way}: {answer}")
    assert len(answers) >= 10, "too few collections were seen one by one"
    right = sum(answer == "right" for _, answer in answers)
    assert right * 10 >= len(answers) * 8, "\n".join(map(str, answers))
