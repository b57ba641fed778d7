"""The collector watched from outside, against the target's own gc.callbacks and gc.get_stats()."""
import json
import os
import subprocess
import tempfile
import textwrap
import time

from harness import Target, build_dir, end_session

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


class Watch:
    """lt_watch on a target: `events` once stop() was called."""

    def __init__(self, target, *arguments):
        self.out = tempfile.TemporaryFile("w+")  # a pipe would be full soon
        self.process = subprocess.Popen([build_dir() / "tests/tools/lt_watch", *arguments, str(target.pid)], text=True,
                                        stdin=subprocess.PIPE, stdout=self.out, stderr=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + 60
        while not self.lines() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.lines(), self.process.stderr.read()
        self.opened = json.loads(self.lines()[0])

    def lines(self):
        """What it has written so far, whole lines only."""
        return [line for line in os.pread(self.out.fileno(), 1 << 30, 0).decode().splitlines(True) if line.endswith("\n")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_session(self.process.pid)
        self.process.wait(30)
        for file in (self.process.stdin, self.process.stderr, self.out):
            file.close()

    def stop(self, end_input=True):
        """Ends the watch, or waits until it ends by itself; returns the events."""
        if end_input:
            self.process.stdin.close()
        code = self.process.wait(120)
        assert code == 0, self.process.stderr.read()
        _, *events, self.last = [json.loads(line) for line in self.lines()]
        return events


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


MIXED = PRELUDE + textwrap.dedent('''
    ready(totals=totals())
    wait_line()
    gc.set_threshold(300, 5, 5)
    gc.enable()
    for step in range(200):
        make_cycles(200)
        hold(100)
        time.sleep(0.001)
    gc.disable()
    gc.collect()
    time.sleep(0.01)
    gc.collect(1)
    ready(totals=totals(), log=log)
''')


def test_totals_are_those_of_the_target(interpreter):
    with Target(interpreter, MIXED) as target:
        before = target.facts["totals"]
        with Watch(target, "--source", "poll") as watch:
            assert watch.opened["source"] == "poll"
            target.send()
            target.wait_ready()
            events = watch.stop()
        assert seen_totals(events) == difference(target.facts["totals"], before)
        assert not watch.last["ended"]
