"""A whole look at a small process, with a read fault at each of its reads in turn, and over random bytes.

LOWTIDE_READ_STRIDE thins out the reads (1: every one), LOWTIDE_MUTATIONS is how many images are tried. Without
them every read is tried on the newest interpreter and every ninth one on the others.
"""
import json
import os

import pytest

from harness import Target, build_dir, interpreters, run_command

SCRIPT = """
import collections, functools, gc, weakref

class Plain:
    def __init__(self, n):
        self.n, self.text, self.inner = n, "t%d" % n, {n: [n]}

class Slotted:
    __slots__ = ("a", "b")

@functools.lru_cache(maxsize=None)
def cached(n):
    return [n]

def generate():
    local = [1, 2]
    yield local

things = [Plain(i) for i in range(30)]
slotted = Slotted()
slotted.a = things
containers = (collections.deque(range(100)), collections.OrderedDict(a=1), {1, 2, "three"}, frozenset([4]),
              collections.defaultdict(list, x=[1]), [cached(i) for i in range(5)], weakref.ref(things[0]),
              functools.partial(print, 1), bytearray(2000), memoryview(b"abc"), 2 ** 200, 1.5, "\\u1234")
running = generate()
next(running)
try:
    1 / 0
except ZeroDivisionError as error:
    kept = error
big = {i: str(i) for i in range(2000)}
gc.collect()
ready()
"""


def faults(target, *arguments):
    tool = build_dir() / "tests" / "tools" / "lt_disturb"
    if not tool.exists():
        pytest.skip(f"{tool} is not built")
    # Freed memory that a sanitizer keeps back is not what grows with what is read.
    sanitizer = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "abort_on_error=1") + ":quarantine_size_mb=1"}
    result = run_command(tool, *arguments, target.pid, timeout=1100, env=sanitizer)
    assert not result.timed_out, result
    assert result.code == 0, result
    return json.loads(result.out)


def test_fault_at_each_read(interpreter):
    stride = os.environ.get("LOWTIDE_READ_STRIDE") or (1 if interpreter == interpreters()[-1] else 9)
    with Target(interpreter, SCRIPT, options=("-S",)) as target:
        target.wait_asleep()
        got = faults(target, "--limit", 5000, "--stride", stride, "--identify", 12)
        assert target.alive()
    for part in ("heap", "identify"):
        assert got[part]["status"] == "ok", got[part]
        assert got[part]["reads"] > 10
        for kind in ("fail", "short", "tear", "hole", "every"):
            assert got[part][kind]["violations"] == [], (part, kind)
    assert got["heap"]["unreadable"] == 0
    assert got["heap"]["objects"] > 1000
    # The faults must have done something, or they were not felt at all.
    assert got["heap"]["hole"]["other"] + got["heap"]["hole"]["refused"] > 0
    assert got["peak_kib"] < 4 * got["first_kib"] + 65536, "memory grows with what is read"


def test_random_bytes(interpreter):
    count = os.environ.get("LOWTIDE_MUTATIONS", "120")
    with Target(interpreter, SCRIPT, options=("-S",)) as target:
        target.wait_asleep()
        got = faults(target, "--limit", 0, "--identify", 0, "--mutations", count, "--seed", 11)
        assert target.alive()
    assert got["mutations"]["looks"] == int(count)
    assert got["mutations"]["other"] + got["mutations"]["refused"] > 0
    assert got["peak_kib"] < 4 * got["first_kib"] + 65536, "memory grows with what is read"


TORN_TUPLE = '''
import ctypes, gc
gc.disable()
held = [(i, [i]) for i in range(1000)]
behind = [object() for _ in range(200_000)]
count = ctypes.c_ssize_t.from_address(id(held[500]) + object.__basicsize__)
def tear():
    count.value = 9_000_000
def mend():
    count.value = 2
ready()
wait_line()
tear()
ready()
wait_line()
mend()
ready(right=held[500] == (500, [500]))
wait_line()
'''


@pytest.mark.three_interpreters("where a pool ends is the same in every release")
@pytest.mark.parametrize("mode", ["fork", "live"])
def test_a_count_that_no_pool_has_room_for(interpreter, lowtide, tmp_path, mode):
    """What lies behind the object is not read as its items."""
    def references():
        result = lowtide("snapshot", "--json", "--mode", mode, "-o", tmp_path / "out.tide", target.pid)
        assert result.code == 0, result
        return result.json["result"]["references"], result.json["unreadable"]

    with Target(interpreter, TORN_TUPLE) as target:
        target.wait_asleep()
        whole, _ = references()
        target.send()
        target.wait_ready()
        target.wait_asleep()
        torn, unreadable = references()
        assert whole - 100 < torn <= whole and unreadable > 0
        target.send()
        assert target.wait_ready()["right"]
