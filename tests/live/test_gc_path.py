"""The path of the count of generation 0 (src/watch/path.c), against bursts of a known height."""
import json
import subprocess

import pytest
from harness import Target, build_dir

START, MOVE, BEGIN, END, GAP, HELD = range(6)
TOOL = build_dir() / "tests/tools/lt_what_if"

# Bursts of `height` lists, each gone before the next; `kept` of each stay. sys.argv: height, kept, threshold.
BURSTS = r"""
import gc, sys
height, kept, threshold = map(int, sys.argv[1:])
gc.collect()
gc.set_threshold(threshold, 10, 10)
held = []
ready()
while True:
    burst = []
    for _ in range(height):
        burst.append([burst])
    for one in burst:
        one.clear()
    if kept and len(held) < 3000000:
        held.extend([0] for _ in range(kept))
    del one, burst
"""


def path_of(target: Target, seconds: float, *how: str) -> list[list[int]]:
    with subprocess.Popen([TOOL, *(how or ("--stretch", "200", "--every", "300")), str(target.pid)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout.readline() == "ready\n"
        try:
            tool.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        out, _ = tool.communicate()
        assert tool.returncode == 0
    return json.loads(out)["points"]


def slopes(points: list[list[int]]) -> list[int]:
    """How far the path goes up or down at a stretch: the same whether it was looked once on the way or five times."""
    found, goes_on = [], False
    for a, b in zip(points, points[1:]):
        move = b[1] - a[1]
        if b[2] != MOVE:
            goes_on = False
        elif goes_on and (found[-1] > 0) == (move > 0):
            found[-1] += move
        else:
            found.append(move)
            goes_on = True
    return found


def test_the_height_of_bursts_is_seen(interpreter):
    with Target(interpreter, BURSTS, "3000", "0", "100000") as target:
        points = path_of(target, 1)
    counts = [point[1] for point in points]
    assert 2900 <= max(counts) <= 7000, "a burst, or what the one before left behind and a burst"
    assert all(a[0] <= b[0] for a, b in zip(points, points[1:]))
    # Up and down again, even when lowtide itself is kept from reading now and then.
    moves = slopes(points)
    assert max(moves) > 1000 and min(moves) < -1000


# The same, each burst after a rest; `still` ms of work that makes no objects come first.
RESTS = BURSTS.replace("map(int, sys.argv[1:])", "map(int, sys.argv[1:4])").replace("while True:\n", """
import time
still = int(sys.argv[4]) / 1000
while True:
    time.sleep(0.004)
    end = time.monotonic() + still
    while time.monotonic() < end:
        pass
""")


@pytest.mark.three_interpreters("how often it is looked is lowtide's own", every={"still": ("0",)})
@pytest.mark.parametrize("still", ["0", "2"])
def test_bursts_between_rests_are_seen_in_a_cheap_path(interpreter, still):
    with Target(interpreter, RESTS, "3000", "0", "100000", still) as target:
        points = path_of(target, 2, "--cheap", "1", "--stretch", "40", "--every", "100")
    moves = slopes(points)
    if not moves or max(moves) < 100:
        pytest.skip("this machine is too busy for the path of the count to be read")
    assert max(moves) > 1000 and min(moves) < -1000


@pytest.mark.three_interpreters("how often it is looked is lowtide's own")
def test_a_process_that_sleeps_is_looked_at_less_often(interpreter):
    with Target(interpreter, "ready()") as target:
        points = path_of(target, 3, "--cheap", "1")
    begins = [point[0] for point in points if point[2] == START]
    assert 2 <= len(begins) <= 13, "the first ones are a tenth of a second apart, then four tenths"
    assert not [point for point in points if point[2] in (BEGIN, END)]


def test_collections_end_a_rise(interpreter):
    with Target(interpreter, BURSTS, "1000", "50", "4000") as target:
        points = path_of(target, 1)
    begins = [i for i, point in enumerate(points) if point[2] == BEGIN]
    assert begins
    for i in begins:
        if i + 1 < len(points):
            assert points[i + 1][2] in (END, START), "what begins ends, or the stretch ends within"
    assert 3500 <= max(points[i][1] for i in begins) <= 4400, "a collection begins where the threshold is reached"


# A call of C code that makes 20,000 lists, then as many made one by one.
CALLS = r"""
import gc, json
text = json.dumps([[] for _ in range(20000)])
gc.collect()
gc.set_threshold(1000000)
ready()
while True:
    document = json.loads(text)
    document = None
    one_by_one = []
    for number in range(20000):
        one_by_one.append([number])
    one_by_one = None
"""


def test_calls_in_which_no_collection_can_begin(interpreter):
    with Target(interpreter, CALLS) as target:
        points = path_of(target, 1)
    rises = [(b[1] - a[1], b[2]) for a, b in zip(points, points[1:]) if b[2] in (MOVE, HELD) and b[1] - a[1] > 4000]
    held = sum(rise for rise, kind in rises if kind == HELD)
    if interpreter.version < (3, 12):
        assert held == 0, "collections begin in the midst of a call"
        return
    if not rises:
        pytest.skip("this machine is too busy for the path of the count to be read")
    # The loop is as high as the call, and is none. What of a call is seen as one depends on how often lowtide gets to look.
    assert 0 < held <= 0.8 * sum(rise for rise, _ in rises)


# Garbage of 1,500 tuples of three and 300 of five, collected every other ms. Once told to, it says what the interpreter itself knows.
TUPLES = r"""
import gc, sys, threading, time
def work():
    garbage = [tuple([k, k, k]) for k in range(1500)] + [tuple([k] * 5) for k in range(300)]
    garbage.append(garbage)
    del garbage
    gc.collect(1)
gc.disable()
told = []
def listen():
    told.append(wait_line())
ready()
threading.Thread(target=listen, daemon=True).start()
while not told:
    work()
    time.sleep(0.002)
work()
sys._debugmallocstats()
ready()
time.sleep(600)
"""


def test_tuples_in_free_lists(interpreter):
    with Target(interpreter, TUPLES) as target:
        points = path_of(target, 1)
        target.send("")
        target.wait_ready()
        log = target.log.read_text(errors="replace")
    seen = [point[3] for point in points if point[2] == END]
    if interpreter.version < (3, 10):
        assert all(tuples == -1 for tuples in seen), "there they are no part of the interpreter"
        return
    own = [int(words[0]) for line in log.splitlines() for words in [line.split()] if len(words) > 2 and "-sized" in words[2]]
    assert sum(own) >= 1500, log
    if not seen:
        pytest.skip("this machine is too busy for the path of the count to be read")
    assert abs(sorted(seen)[len(seen) // 2] - sum(own)) <= 60, (sorted(seen), own)
