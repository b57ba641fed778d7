"""The collector watched from outside, against the target's own gc.callbacks and gc.get_stats()."""
import json
import subprocess
import textwrap

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
        self.process = subprocess.Popen([build_dir() / "tests/tools/lt_watch", *arguments, str(target.pid)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True)
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        self.opened = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_session(self.process.pid)
        self.process.communicate()

    def stop(self, end_input=True):
        """Ends the watch, or waits until it ends by itself."""
        out, err = self.process.communicate(timeout=120) if end_input else (self._rest(), self.process.stderr.read())
        assert self.process.returncode == 0, err
        *self.events, self.last = [json.loads(line) for line in out.splitlines()]
        return self.events

    def _rest(self):
        out = self.process.stdout.read()
        self.process.wait(120)
        return out


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
