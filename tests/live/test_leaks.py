"""Growth that is seeded in small services: the first suspect is what grows, and what only turns over is none."""
import json
import signal
import subprocess
import textwrap
import time

import pytest
from harness import Target, lowtide_path, reset_signals

SEVERITIES = ["info", "low", "medium", "high", "critical"]

KEYS = {"rank", "severity", "kind", "title", "expression", "where", "type", "growth_objects", "growth_bytes",
        "growth_bytes_per_second", "steadiness", "retained_bytes", "share", "evidence", "explanation", "fix"}


def service(setup: str, step: str) -> str:
    """A module `shop` that does `step(i)` 1,000 times a second after `setup`, with 2,000 steps before it is ready."""
    source = textwrap.dedent(setup) + "\ndef step(i):\n" + textwrap.indent(textwrap.dedent(step), "    ")
    return textwrap.dedent('''
        import sys, time, types
        shop = types.ModuleType("shop")
        shop.__file__ = "/srv/shop.py"
        sys.modules["shop"] = shop
        exec(compile(%r, "/srv/shop.py", "exec"), shop.__dict__)
        def run():
            step, i = sys.modules["shop"].step, 0
            while i < 2000:
                step(i)
                i += 1
            ready()
            begin = time.monotonic()
            while True:
                due = 2000 + int((time.monotonic() - begin) * 1000)
                while i < due:
                    step(i)
                    i += 1
                time.sleep(0.01)
        del shop, types
        run()
    ''') % source


def leaks(lowtide, target, seconds=3, snapshots=3):
    result = lowtide("leaks", "--json", "-d", str(seconds), "--snapshots", str(snapshots), target.pid)
    assert result.code == 0, result
    found = result.json["result"]
    ranks = [SEVERITIES.index(s["severity"]) for s in found["suspects"]]
    assert ranks == sorted(ranks, reverse=True), "worst first"
    for number, suspect in enumerate(found["suspects"], 1):
        assert set(suspect) >= KEYS
        assert suspect["rank"] == number
        assert suspect["title"] and suspect["explanation"] and suspect["fix"], suspect
    assert len(found["looks"]) == snapshots
    return found["suspects"]


GROWTH = {
    "module-container": ("events = []", 'events.append({"i": i, "text": "event %d" % i})',
                         "sys.modules['shop'].events"),
    "module-container of lists": ("by_day = {}", 'by_day.setdefault(i // 50, []).append("event %d" % i)',
                                  "sys.modules['shop'].by_day"),
    "lru-cache-unbounded": ("import functools\n@functools.lru_cache(maxsize=None)\ndef price(i): return [str(i)] * 3",
                            "price(i)", "sys.modules['shop'].price"),
    "closure-cell": ("def make():\n    seen = {}\n    def note(i): seen[i] = ['n%d' % i]\n    return note\nnote = make()",
                     "note(i)", "sys.modules['shop'].note.__closure__[0].cell_contents"),
    "default-argument": ("def note(i, seen=[]): seen.append('note %d' % i)", "note(i)",
                         "sys.modules['shop'].note.__defaults__[0]"),
    "module-container of a linked list": ("class Node:\n    def __init__(self, v): self.next, self.v = None, v\nhead = tail = Node(0)",
                                          "global tail\ntail.next = Node('value %d' % i)\ntail = tail.next",
                                          "sys.modules['shop'].head"),
    "module-container of fixed lists": ("users = {u: [] for u in range(100)}", "users[i % 100].append('event %d' % i)",
                                        "sys.modules['shop'].users"),
    "class-attribute": ("class Page:\n    seen = set()", "Page.seen.add('address %d' % i)", "sys.modules['shop'].Page.seen"),
    "instance-attribute": ("import queue\njobs = queue.Queue()", "jobs.put({'i': i, 't': 'job %d' % i})",
                           "sys.modules['shop'].jobs.queue"),
    "kept-exception": ("kept = []", "big = ['x%d' % i] * 4\ntry: 1 / 0\nexcept Exception as error: kept.append((i, error))",
                       "sys.modules['shop'].kept"),
    "logging-handler": ("import logging\nlog = logging.getLogger('app')",
                        "if i % 4 == 0:\n    h = logging.NullHandler()\n    h.text = ['text %d' % i] * 50\n    log.addHandler(h)",
                        "sys.modules['shop'].log.handlers"),
    "callback-list": ("hooks = {}\nclass Page:\n    def __init__(self, i): hooks[i] = self.close\n    def close(self): pass",
                      "Page(i)", "sys.modules['shop'].hooks"),
    "unfinished-generator": ("waiting = []\ndef pages(i):\n    rows = ['row %d' % i] * 5\n    yield rows",
                             "g = pages(i)\nnext(g)\nwaiting.append(g)", "sys.modules['shop'].waiting"),
    "repeated-classes": ("made = []", "if i % 10 == 0: made.append(type('Row', (), {'f': lambda self: 1}))",
                         "sys.modules['shop'].made"),
    "untracked-container": ("path = ()", "global path\nif i % 10 == 0:\n    path += tuple(i * 1000.0 + x for x in range(30))",
                            "sys.modules['shop'].path"),
}


@pytest.mark.three_interpreters("what holds is found by the references; those that releases keep in ways of their own run on each", every={"name": ("module-container of dicts", "closure-cell", "kept-exception", "unfinished-generator")})
@pytest.mark.parametrize("name", GROWTH)
def test_what_grows_is_the_first_suspect(interpreter, lowtide, name):
    setup, step, expression = GROWTH[name]
    with Target(interpreter, service(setup, step)) as target:
        suspects = leaks(lowtide, target)
        assert suspects, "nothing found"
        assert (suspects[0]["kind"], suspects[0]["expression"]) == (name.split()[0], expression), suspects[0]
        assert SEVERITIES.index(suspects[0]["severity"]) >= SEVERITIES.index("medium"), suspects[0]
        assert suspects[0]["growth_objects"] > 500
        assert suspects[0]["growth_bytes"] <= suspects[0]["retained_bytes"]


TURNOVER = {
    "a ring": ("import collections\nring = collections.deque(maxlen=500)", 'ring.append({"i": i, "t": "event %d" % i})'),
    "a cache at its bound": ("import functools\n@functools.lru_cache(maxsize=256)\ndef price(i): return [str(i)] * 3",
                             "price(i)"),
    "a cache of the service's own at its bound": (
        "from collections import OrderedDict\nclass Cache:\n    def __init__(self): self.max_entries, self.data = 20000, OrderedDict()\n"
        "    def put(self, k, v):\n        self.data[k] = v\n        if len(self.data) > self.max_entries: self.data.popitem(last=False)\n"
        "cache = Cache()", "cache.put(i, {'value': 'value %d' % i})"),
    "a cache that fills up": ("import functools\n@functools.lru_cache(maxsize=50000)\ndef price(i): return [str(i)] * 3",
                              "price(i)"),
    "objects of one step": ("", 'rows = [{"i": i, "x": "row %d" % x} for x in range(20)]\nlen(rows)'),
}


@pytest.mark.three_interpreters("rates are compared, whatever the objects are", every={"name": ("a ring",)})
@pytest.mark.parametrize("name", TURNOVER)
def test_what_turns_over_is_no_suspect(interpreter, lowtide, name):
    with Target(interpreter, service(*TURNOVER[name])) as target:
        suspects = leaks(lowtide, target)
        assert all(s["severity"] in ("info", "low") for s in suspects), suspects


def test_garbage_is_told_from_growth(interpreter, lowtide):
    """Of cycles that nobody collects the collector's state decides; they belong to no owner."""
    cycle = ("import gc\nclass Part:\n    def __init__(self): self.me, self.text = self, ['part'] * 9\n    def __del__(self): pass",
             "if i == 0: gc.disable()\nPart()")
    with Target(interpreter, service(*cycle)) as target:
        suspects = leaks(lowtide, target)
    assert suspects[0]["kind"] == "cycle-with-del" and suspects[0]["type"] == "shop.Part", suspects
    assert SEVERITIES.index(suspects[0]["severity"]) >= SEVERITIES.index("medium")
    assert suspects[0]["evidence"]["has_finalizer"] is True


LIBC = """import ctypes, mmap, threading
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.mmap.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mallopt(-3, 1 << 20)
steps = threading.Semaphore(0)
def small(count):
    for _ in range(count): libc.memset(libc.malloc(4000), 1, 4000)
def work():
    while steps.acquire(): small(1)
"""
# Small blocks of the main thread, those of another thread, big blocks.
LOST = {
    "[heap]": (LIBC, "small(1)", "heap_growth_bytes"),
    "arenas of threads": (LIBC + "threading.Thread(target=work, daemon=True).start()", "steps.release()", "arena_growth_bytes"),
    "anonymous mappings": (LIBC, "if i % 50 == 0: libc.memset(libc.mmap(None, 200000, 3, 0x22, -1, 0), 1, 200000)", "mapping_growth_bytes"),
}


@pytest.mark.three_interpreters("the parts of malloc are those of the C library", every={"where": ("[heap]",)})
@pytest.mark.parametrize("where", LOST)
def test_memory_of_c_code(interpreter, lowtide, where):
    setup, step, evidence = LOST[where]
    with Target(interpreter, service(setup, step)) as target:
        first = leaks(lowtide, target)[0]
    assert (first["kind"], first["expression"], first["type"]) == ("native-growth", None, None), first
    assert first["growth_bytes"] > 4 << 20
    assert first["where"] == where and first["evidence"][evidence] > 4 << 20, first


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    line = next(line for line in open(f"/proc/{pid}/status") if line.startswith("SigCgt:"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.three_interpreters("the command's own course")
def test_interrupt_takes_the_last_look_at_once(interpreter):
    setup, step, expression = GROWTH["module-container"]
    with Target(interpreter, service(setup, step)) as target:
        process = subprocess.Popen([lowtide_path(), "leaks", "--json", "-d", "600", str(target.pid)], stdout=subprocess.PIPE,
                                   preexec_fn=reset_signals)
        try:
            while not catches(process.pid, signal.SIGINT):
                time.sleep(0.05)
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0
    result = json.loads(out)["result"]
    assert result["ended_early"] is True and len(result["looks"]) == 2
    assert result["suspects"][0]["expression"] == expression


@pytest.mark.three_interpreters("a file is the same whatever it is of")
def test_snapshot_files_give_what_the_process_gives(interpreter, lowtide, tmp_path):
    setup, step, expression = GROWTH["module-container"]
    files = [tmp_path / f"{number}.tide" for number in range(2)]
    with Target(interpreter, service(setup, step)) as target:
        for file in files:
            assert lowtide("snapshot", target.pid, "-o", file).code == 0
            time.sleep(1)
        with_pid = lowtide("leaks", "--json", *files, target.pid)
    result = lowtide("leaks", "--json", *files)
    for answer, count in ((result, 2), (with_pid, 3)):
        assert answer.code == 0, answer
        found = answer.json["result"]
        assert len(found["looks"]) == count
        first = found["suspects"][0]
        assert (first["kind"], first["expression"]) == ("module-container", expression), first
        assert first["growth_bytes_per_second"] > 0
        assert SEVERITIES.index(first["severity"]) >= SEVERITIES.index("medium"), first
        assert ("cannot tell a burst from a leak" in first["explanation"]) == (count == 2), first
    backwards = lowtide("leaks", *reversed(files))
    assert backwards.code == 2 and "older than the one before" in backwards.err, backwards


@pytest.mark.three_interpreters("numbers of files are compared")
def test_two_files_do_not_take_a_burst_for_a_leak(interpreter, lowtide, tmp_path):
    """Nothing but the life before the first one tells it: the entries of a second against those of all time before."""
    script = textwrap.dedent("""
        import sys, types, time
        shop = sys.modules["shop"] = types.ModuleType("shop")
        shop.jobs = ["first", "second", "third"]
        time.sleep(1)
        ready()
        wait_line()
        shop.jobs.extend(["job %d" % i for i in range(20000)])
        ready()
        wait_line()
    """)
    files = [tmp_path / f"{number}.tide" for number in range(2)]
    with Target(interpreter, script) as target:
        for number, file in enumerate(files):
            # A text that ready() still had in the first look would leave its address to one of the new ones, which then passes for old.
            target.wait_asleep()
            assert lowtide("snapshot", target.pid, "-o", file).code == 0
            if number == 0:
                target.send()
                target.wait_ready()
    result = lowtide("leaks", "--json", "--fail-on", "medium", *files)
    assert result.code == 0, result
    first = result.json["result"]["suspects"][0]
    assert (first["expression"], first["growth_objects"]) == ("sys.modules['shop'].jobs", 20000), first
    assert first["severity"] == "low" and first["steadiness"] < 0.25, first
    assert first["evidence"]["looks"] == 2 and "cannot tell a burst from a leak" in first["explanation"], first


def test_one_snapshot_is_not_enough(lowtide, tmp_path):
    (tmp_path / "a.tide").write_text("no snapshot")
    result = lowtide("leaks", tmp_path / "a.tide")
    assert result.code == 2 and "two or more" in result.err, result
    result = lowtide("leaks", tmp_path / "a.tide", tmp_path / "a.tide")
    assert result.code == 6, result


@pytest.mark.three_interpreters("the command's own course")
def test_level_decides_the_exit_code(interpreter, lowtide):
    setup, step, _ = GROWTH["module-container"]
    with Target(interpreter, service(setup, step)) as target:
        assert lowtide("leaks", "-d", "2", "--fail-on", "low", target.pid).code == 1
        assert len(lowtide("leaks", "--json", "-d", "1", target.pid).json["result"]["looks"]) == 3
        assert lowtide("leaks", "-d", "2", "--fail-on", "critical", target.pid).code == 0


@pytest.mark.three_interpreters("the command's own course")
def test_target_that_ends_meanwhile(interpreter, lowtide):
    with Target(interpreter, "import time\nready()\ntime.sleep(1)\nraise SystemExit") as target:
        result = lowtide("leaks", "-d", "20", target.pid)
        assert result.code == 5, result
