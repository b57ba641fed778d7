"""The collector seen by probes in the kernel, against the log that the target keeps in gc.callbacks."""
import json
import os
import subprocess
import tempfile
import textwrap
import time

import pytest
from harness import Target, build_dir, end_session

WAYS = ("usdt", "symbol", "write")

# Logs each collection with its times, on the clock that probes have.
PRELUDE = textwrap.dedent('''
    import gc, os, sys, threading, time

    gc.disable()
    gc.collect()
    log, started = [], [0]

    def note(phase, info):
        if phase == "start":
            started[0] = time.monotonic_ns()
        else:
            log.append([started[0], time.monotonic_ns(), info["generation"], info["collected"], info["uncollectable"],
                        threading.get_native_id()])

    gc.callbacks.append(note)

    class Cart:
        pass

    def make_cycles(count):
        for _ in range(count):
            cart = Cart()
            cart.self = cart
''')


class Probe:
    """lt_gcprobe on a target. `way` is None when the build does not have that way."""

    def __init__(self, pid, way="any"):
        self.out = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([build_dir() / "tests/tools/lt_gcprobe", way, str(pid)], text=True, stdin=subprocess.PIPE,
                                        stdout=self.out, stderr=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + 60
        while not self.lines() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self.way = json.loads(self.lines()[0])["way"] if self.lines() else None
        self.problem = ""
        if self.way is None:
            assert self.process.poll() is not None, "lt_gcprobe neither watches nor ends"
            self.problem = self.process.stderr.read().strip()

    def lines(self):
        return [line for line in os.pread(self.out.fileno(), 1 << 30, 0).decode().splitlines(True) if line.endswith("\n")]

    def wait_for(self, count, kind="collection", timeout=60):
        """The first `count` events of a kind, as soon as there are so many."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = [event for event in map(json.loads, self.lines()[1:]) if event["kind"] == kind]
            if len(found) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError(f"only {len(found)} events of the kind {kind}, not {count}")

    def stop(self, end_input=True):
        if end_input:
            self.process.stdin.close()
        assert self.process.wait(120) == 0, self.process.stderr.read()
        return [json.loads(line) for line in self.lines()[1:]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_session(self.process.pid)
        self.process.wait(30)
        for file in (self.process.stdin, self.process.stderr, self.out):
            file.close()


def permitted(probe):
    if probe.way is None:
        if probe.process.returncode == 4:
            pytest.skip("no probes on this machine: " + probe.problem.splitlines()[0])
        raise AssertionError(probe.problem)
    return probe


def each_way(run):
    """Runs `run(way)` for each way that the build has; it gives False when it has it not."""
    done = [way for way in WAYS if run(way)]
    if not done:
        pytest.skip("no probes on this machine")
    return done


def of_kind(events, kind):
    return [event for event in events if event["kind"] == kind]


def found(entries):
    return [[generation, collected, uncollectable] for _, _, generation, collected, uncollectable, _ in entries]


def seen(events):
    return [[event["generation"], event["collected"], event["uncollectable"]] for event in of_kind(events, "collection")]


MIXED = PRELUDE + textwrap.dedent('''
    ready()
    wait_line()
    gc.enable()
    gc.set_threshold(500, 4, 3)
    held = []
    for step in range(120):
        make_cycles(150)
        held.append([[] for _ in range(150)])
    gc.disable()
    for generation in (0, 1, 2):
        make_cycles(10)
        gc.collect(generation)
    ready(log=log)
''')


def test_every_collection_with_its_times(interpreter):
    def run(way):
        with Target(interpreter, MIXED) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            target.send()
            log = target.wait_ready()["log"]
            events = probe.stop()
        assert len(log) > 30
        assert seen(events) == found(log), way
        collections = of_kind(events, "collection")
        late = [abs(event["start"] - entry[0]) / 1000 for event, entry in zip(collections, log)]
        longer = [abs(event["end"] - event["start"] - entry[1] + entry[0]) / 1000 for event, entry in zip(collections, log)]
        print(f"{interpreter.label} by {way}: {len(log)} collections; start off by at most {max(late):.0f} us, "
              f"duration by {sorted(longer)[len(longer) // 2]:.0f} us (median), {max(longer):.0f} us at most")
        for event, entry in zip(collections, log):
            # The moments enclose or are enclosed by those of the callbacks: one collection, not another one.
            assert event["start"] < entry[1] and event["end"] > entry[0], (way, event, entry)
            assert event["thread"] == entry[5]
            assert event["exact"] and event["certain"] and not event["finalizing"] and event["error"] == 0
        # Nothing was missed, and the calls are those that there were.
        assert not of_kind(events, "missed") and not of_kind(events, "changed")
        assert [event["call"] for event in of_kind(events, "called")] == ["gc.enable", "gc.set_threshold", "gc.disable"]
        assert [event["call"] for event in collections[-3:]] == ["gc.collect"] * 3
        assert {event["call"] for event in collections[:-3]} == {""}
        return True

    each_way(run)


def test_state_at_the_moment(interpreter):
    """Counts before a collection that a threshold started are over it, and what it left is counted on."""
    with Target(interpreter, MIXED) as target, Probe(target.pid) as probe:
        permitted(probe)
        target.send()
        target.wait_ready()
        collections = of_kind(probe.stop(), "collection")
    for event in collections[:-3]:
        before, after, generation = event["before"], event["after"], event["generation"]
        assert before["thresholds"] == [500, 4, 3] and before["enabled"]
        for i in {0, generation}:
            assert before["counts"][i] > before["thresholds"][i], event
        if generation < 2:
            assert after["counts"][generation + 1] == before["counts"][generation + 1] + 1, event
        assert after["collections"][generation] == before["collections"][generation] + 1
