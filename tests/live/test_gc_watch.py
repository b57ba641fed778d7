"""The collector watched from outside, against the target's own gc.callbacks and gc.get_stats()."""
import json
import os
import signal
import textwrap
import time

from harness import Target, build_dir, run_command
from harness.watch import Watch

# Keeps its own log of collections; `run` leaves how many of which generation there were since it began.
PRELUDE = textwrap.dedent('''
    import gc, os, sys, threading, time

    gc.disable()
    log, started = [], [0]

    def note(phase, info):
        if phase == "start":
            started[0] = time.monotonic_ns()
        else:
            log.append([started[0], time.monotonic_ns(), info["generation"], info["collected"], info["uncollectable"]])

    gc.callbacks.append(note)

    def make_cycles(count):
        for _ in range(count):
            ring = []
            ring.append(ring)

    held = []

    def hold(count):
        held.extend([] for _ in range(count))

    def totals():
        return [[one["collections"], one["collected"], one["uncollectable"]] for one in gc.get_stats()]
''')


def seen_totals(events, interpreter=0):
    """Collections, collected and uncollectable of each generation that the events tell of."""
    found = [[0, 0, 0] for _ in range(3)]
    for event in events:
        if event["interpreter"] != interpreter or event["kind"] not in ("collection", "missed"):
            continue
        row = found[event["generation"]]
        row[0] += event["missed"] if event["kind"] == "missed" else 1
        row[1] += max(event["collected"], 0)
        row[2] += max(event["uncollectable"], 0)
    return found


def difference(after, before):
    return [[a - b for a, b in zip(x, y)] for x, y in zip(after, before)]



def near(entry, event, slack=0):
    """Whether an event is this entry of the target's log: of its generation, and as far off as it says at most."""
    start, end, generation = entry[:3]
    error = event["error"] + slack
    return (event["kind"] == "collection" and event["generation"] == generation
            and event["start"] <= end + error and event["end"] >= start - error)


def wait_lines(watch, wanted, timeout=60):
    """Until the watch has told so many events that `wanted` holds of them."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        events = [json.loads(line) for line in watch.lines()[1:]]
        if wanted(events):
            return events
        time.sleep(0.02)
    raise AssertionError(f"not told in {timeout} s: {events}")


# Collections of every kind, from tens of microseconds to many milliseconds, single and in crowds.
MIXED = PRELUDE + textwrap.dedent("""
    ready(totals=totals())
    wait_line()
    gc.set_threshold(300, 5, 5)
    gc.enable()
    for step in range(100):
        make_cycles(200)
        hold(100)
        time.sleep(0.001)
    gc.disable()
    gc.collect()
    time.sleep(0.01)
    gc.collect(1)
    hold(300000)
    for _ in range(4):
        gc.collect()
        time.sleep(0.005)
    make_cycles(50000)
    gc.collect(0)
    time.sleep(0.005)
    gc.set_threshold(20, 5, 1000)
    gc.enable()
    make_cycles(50000)
    gc.disable()
    ready(totals=totals(), log=log)
""")


def watched(target, source):
    """The events of a whole run of MIXED and its totals before."""
    before = target.facts["totals"]
    with Watch(target, "--source", source) as watch:
        assert watch.opened["source"] == source
        target.send()
        target.wait_ready()
        events = watch.stop()
    assert not watch.last["ended"]
    return events, difference(target.facts["totals"], before)


def test_polling_tells_the_totals_and_all_long_collections(interpreter):
    with Target(interpreter, MIXED) as target:
        events, totals = watched(target, "poll")
        assert seen_totals(events) == totals
        log = target.facts["log"]
        assert len(log) == sum(row[0] for row in totals)
        # One that lasted longer than lowtide was kept from looking was seen running, so there is an event of it.
        longest_gap = max((2 * event["error"] for event in events), default=0)
        long = [entry for entry in log if entry[1] - entry[0] >= max(2_000_000, 2 * longest_gap)]
        for entry in long:
            found = [event for event in events if near(entry, event) and event["end"] > event["start"]]
            assert found, (entry, events)


def test_records_tell_each_collection(interpreter):
    if interpreter.version < (3, 15):
        with Target(interpreter, MIXED) as target:
            refused = run_command(build_dir() / "tests/tools/lt_watch", "--source", "ring", target.pid)
            assert refused.code == 4 and "keeps no timed records" in refused.err
        return
    with Target(interpreter, MIXED) as target:
        events, totals = watched(target, "ring")
        assert seen_totals(events) == totals
        log = target.facts["log"]
        told = [event for event in events if event["kind"] == "collection"]
        missed = sum(event["missed"] for event in events if event["kind"] == "missed")
        assert len(told) + missed == len(log)
        # Its own log brackets each collection, so an exact time lies in exactly one entry.
        by_start = sorted(log)
        entries = set()
        for event in told:
            holding = [i for i, entry in enumerate(by_start) if entry[0] <= event["start"] <= event["end"] <= entry[1]]
            assert len(holding) == 1 and by_start[holding[0]][2] == event["generation"], event
            entries.add(holding[0])
            if event["collected"] >= 0:
                assert [event["collected"], event["uncollectable"]] == by_start[holding[0]][3:5]
            assert event["error"] == 0
        assert len(entries) == len(told), "no collection is told twice"


STACKS = PRELUDE + textwrap.dedent("""
    hold(300000)

    class Gone:
        def __del__(self):
            deadline = time.monotonic() + 0.03
            while time.monotonic() < deadline:
                pass

    def explicit():
        gc.collect()

    def in_a_thread():
        explicit()

    def young_of_many():
        hold(300000)
        gc.collect(0)

    def with_a_finalizer():
        ring = [Gone()]
        ring.append(ring)
        del ring
        explicit()

    def automatic():
        gc.set_threshold(100000, 1000, 1000)
        gc.enable()
        hold(500000)
        gc.disable()

    ready()
    wait_line()
    marks = []
    for function in (explicit, young_of_many, with_a_finalizer, automatic, explicit):
        begin = time.monotonic_ns()
        if function is explicit:
            thread = threading.Thread(target=in_a_thread)
            thread.start()
            native = thread.native_id
            thread.join()
        else:
            native = threading.get_native_id()
            function()
        marks.append([function.__name__, begin, time.monotonic_ns(), native])
        time.sleep(0.02)
    ready(marks=marks, log=log)
""")


def sources(interpreter):
    return ("poll", "ring") if interpreter.version >= (3, 15) else ("poll",)


def test_stacks_threads_and_calls_of_long_collections(interpreter):
    for source in sources(interpreter):
        with Target(interpreter, STACKS) as target:
            with Watch(target, "--source", source) as watch:
                target.send()
                target.wait_ready()
                wait_lines(watch, lambda events: any(e["end"] >= target.facts["log"][-1][0] for e in events))
                events = watch.stop()
            for name, begin, end, thread in target.facts["marks"]:
                inside = [e for e in events if e["kind"] == "collection" and e["stack"] and begin < e["end"] and e["start"] < end]
                for event in inside:
                    assert event["thread"] == thread, event
                    names = [frame[0] for frame in event["stack"]]
                    assert "<module>" in names or "in_a_thread" in names
                    if name == "automatic":
                        assert names[0] in ("automatic", "hold", "<listcomp>", "<genexpr>"), event
                        assert event["call"] == "" and event["generation"] == 0
                    else:
                        assert names[0] == ("explicit" if name != "young_of_many" else name), (name, event)
                        assert event["call"] == "gc.collect"
                        assert event["certain"] or event["generation"] == 0
                # Full collections of this many objects take far longer than the time between two polls.
                if name in ("explicit", "with_a_finalizer"):
                    assert [e["generation"] for e in inside] == [2], (name, events)


CALLBACKS = PRELUDE + textwrap.dedent("""
    import functools

    def spin():
        deadline = time.monotonic() + 0.003
        while time.monotonic() < deadline:
            pass

    def function(phase, info):
        spin()

    class Meter:
        def method(self, phase, info):
            spin()

    def in_partial(meter, phase, info):
        spin()

    def automatic():
        hold(20 * 500)

    ready()
    wait_line()
    gc.set_threshold(500, 1000, 1000)
    for callback in (function, Meter().method, functools.partial(in_partial, Meter())):
        gc.callbacks[:] = [callback]
        gc.enable()
        automatic()
        gc.disable()
    ready()
""")


def test_a_callback_is_not_what_began_the_collection(interpreter):
    """Nearly all the time of these collections is that of what gc.callbacks holds."""
    with Target(interpreter, CALLBACKS) as target, Watch(target, "--source", "poll") as watch:
        target.send()
        target.wait_ready()
        events = [event for event in watch.stop() if event["kind"] == "collection" and event["stack"]]
    assert len(events) >= 30
    for event in events:
        assert event["stack"][0][0] in ("automatic", "hold", "hold.<locals>.<genexpr>", "<genexpr>"), event
        assert event["call"] == ""


CHANGES = PRELUDE + textwrap.dedent("""
    def step():
        ready()
        wait_line()

    step()
    gc.enable(); step()
    gc.set_threshold(900, 12, 13); step()
    gc.set_debug(gc.DEBUG_SAVEALL); step()
    gc.freeze(); step()
    gc.unfreeze(); step()
    gc.set_debug(0); gc.disable(); step()
""")


def test_changes_of_the_settings(interpreter):
    wanted = ["gc.enable", "gc.set_threshold", "gc.set_debug", "gc.freeze", "gc.unfreeze", "gc.disable", "gc.set_debug"]
    for source in sources(interpreter):
        with Target(interpreter, CHANGES) as target, Watch(target, "--source", source) as watch:
            seen = 0
            for number in range(6):
                target.send()
                target.wait_ready()
                seen += 1 if number < 5 else 2
                wait_lines(watch, lambda events: sum(e["kind"] == "changed" for e in events) >= seen)
            changes = [e for e in watch.stop() if e["kind"] == "changed"]
            calls = [e["call"] for e in changes]
            assert calls[:5] == wanted[:5] and sorted(calls[5:]) == wanted[5:]
            assert changes[1]["after"]["thresholds"][:2] == [900, 12] and changes[0]["after"]["enabled"]
            assert not changes[0]["before"]["enabled"] and changes[3]["after"]["frozen"]


INTERPRETERS = PRELUDE + textwrap.dedent("""
    import importlib
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            subinterpreters = importlib.import_module(name)
            break
        except ImportError:
            pass
    ready()
    wait_line()
    one = subinterpreters.create()
    number = int(one)
    code = "import gc, time; time.sleep(0.3); held = [[] for _ in range(400000)]; gc.collect(); time.sleep(0.02)"
    subinterpreters.run_string(one, code)
    ready(number=number)
    wait_line()
    subinterpreters.destroy(one)
    gc.collect()
    ready(totals=totals())
""")


def test_several_interpreters(interpreter):
    for source in sources(interpreter):
        with Target(interpreter, INTERPRETERS) as target, Watch(target, "--source", source) as watch:
            target.send()
            number = target.wait_ready()["number"]
            assert number > 0

            def theirs(events):
                return [e for e in events if e["interpreter"] == number and e["call"] == "gc.collect"]

            full = theirs(wait_lines(watch, theirs))
            assert full[0]["generation"] == 2 and full[0]["end"] > full[0]["start"]
            target.send()
            target.wait_ready()
            events = wait_lines(watch, lambda all: any(e["interpreter"] == 0 and e["generation"] == 2 for e in all))
            assert watch.process.poll() is None
            events = watch.stop()
            assert {e["interpreter"] for e in events} == {0, number}


ENDING = PRELUDE + textwrap.dedent("""
    hold(300000)
    ready()
    wait_line()
    gc.collect()
    time.sleep(0.02)
""")


def test_the_process_ends(interpreter):
    for source in sources(interpreter):
        for last in ("os._exit(0)", "sys.exit(0)", "os.kill(os.getpid(), 9)", "os.execv('/bin/sleep', ['sleep', '100'])"):
            with Target(interpreter, ENDING + last + "\n") as target, Watch(target, "--source", source) as watch:
                target.send()
                events = watch.stop(end_input=False)
                assert watch.last["ended"], last
                full = [e for e in events if e["generation"] == 2 and not e["finalizing"]]
                assert full and full[0]["call"] == "gc.collect", (last, events)
                assert all(e["finalizing"] for e in events if e["generation"] == 2 and e["start"] > full[0]["end"] + 10_000_000)


def test_lowtide_stopped_for_a_while(interpreter):
    """The totals hold over a gap in which nothing was read."""
    for source in sources(interpreter):
        with Target(interpreter, MIXED) as target:
            before = target.facts["totals"]
            with Watch(target, "--source", source) as watch:
                os.kill(watch.process.pid, signal.SIGSTOP)
                target.send()
                target.wait_ready()
                os.kill(watch.process.pid, signal.SIGCONT)
                events = watch.stop()
            assert seen_totals(events) == difference(target.facts["totals"], before)
            assert any(e["kind"] == "missed" for e in events)


def test_the_target_stopped_for_a_while(interpreter):
    with Target(interpreter, ENDING + "gc.collect()\nready(totals=totals())\n") as target, Watch(target, "--source", "poll") as watch:
        os.kill(target.pid, signal.SIGSTOP)
        time.sleep(0.1)
        target.send()
        os.kill(target.pid, signal.SIGCONT)
        target.wait_ready()
        events = watch.stop()
        assert [e["generation"] for e in events if e["kind"] == "collection"] == [2, 2]
