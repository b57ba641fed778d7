#!/usr/bin/env python3
"""Watching the collector: what each source tells of the target's own log of its collections, how far off, and what it costs.

Complete and exact: a target with collections of microseconds to tens of milliseconds, its gc.callbacks log with time.monotonic_ns()
beside the events. Cost: a service that makes and parses documents, and a loop that only makes objects, at default thresholds; runs of the
same work, watched and unwatched in turn, by the target's own processor time and by the clock: where lowtide only reads memory, 200 pairs of a
sixteenth of a second under one watch that stands still for one of the two, as a machine is faster in one second than in the next. With a file: the same of `lowtide gc -o FILE`,
which reads the path of the count too and writes each second. At rest: processor time of lowtide while the
target sleeps, with a file from its third second to its thirteenth. Opening and closing: from the start of the watch to its first line, and from the end of its input to its exit.
The share of a processor that the thread which polls can take at most: lt_greedy, which computes without a break.

    bench_gc.py [LABEL...]    LOWTIDE_BENCH_LOAD=N: N busy processes beside the part on accuracy; LOWTIDE_BENCH_PARTS=accuracy: that part only;
                              =rest: what lowtide takes at rest; LOWTIDE_BENCH_SOURCES=poll: that source only
"""
import contextlib
import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import result, skip  # noqa: E402

from harness import Target, build_dir, interpreters  # noqa: E402
from harness.run import lowtide_path  # noqa: E402
from harness.target import clean_environment, reset_signals  # noqa: E402
from harness.watch import Watch  # noqa: E402

SOURCES = os.environ.get("LOWTIDE_BENCH_SOURCES", "probe,ring,poll").split(",")
PAIRS = int(os.environ.get("LOWTIDE_BENCH_PAIRS", "12"))
SHORT_PAIRS = int(os.environ.get("LOWTIDE_BENCH_SHORT_PAIRS", "200"))
LOAD = int(os.environ.get("LOWTIDE_BENCH_LOAD", "0"))
PARTS = os.environ.get("LOWTIDE_BENCH_PARTS", "accuracy,cost").split(",")
ROUNDS = 3  # of the part on accuracy
REST_SECONDS = 5
FILE_REST_SECONDS = (3, 13)
PR_CAPBSET_DROP, CAP_SYS_NICE = 24, 23  # linux/prctl.h, linux/capability.h
# Bounds on the error of a duration, in milliseconds.
WANTED = {"probe": 0.05, "ring": 0.05, "poll": 1.0}
LONG_NS = 2_000_000
LOG_MS = 0.05

LOGGED = r"""
import gc, time
gc.disable()
log, started = [], [0]
def note(phase, info):
    if phase == "start":
        started[0] = time.monotonic_ns()
    else:
        log.append([started[0], time.monotonic_ns(), info["generation"]])
gc.callbacks.append(note)
held = []
def hold(count):
    held.extend([] for _ in range(count))
ready()
wait_line()
for size in (10_000, 30_000, 100_000, 300_000):
    hold(size)
    for _ in range(15):
        gc.collect()
        time.sleep(0.004)
gc.set_threshold(700, 10, 10)
gc.enable()
for step in range(300):
    hold(300)
    ring = [[] for _ in range(200)]
    ring.append(ring)
    del ring
    time.sleep(0.001)
gc.disable()
ready(log=log)
"""

SERVICE = r"""
import gc, json
document = json.dumps([{"id": i, "name": "name %d" % i, "tags": [str(j) for j in range(5)]} for i in range(50)])
class Node:
    def __init__(self, parent):
        self.parent, self.children = parent, []
def request():
    data = json.loads(document)
    root = Node(None)
    for entry in data:
        child = Node(root)
        child.entry = entry
        root.children.append(child)
    page = "".join("<li>%d: %s</li>" % (i, "name") for i in range(800))  # text: nothing that the collector knows
    return len(json.dumps(data)) + len(page)
cache = [[str(i)] for i in range(200_000)]
"""

# More containers at a time than any release's first threshold, and nothing but that is done.
ALLOCATION = r"""
import gc
def request():
    held = [[] for _ in range(20_000)]
    return len(held)
cache = [[str(i)] for i in range(200_000)]
"""

MEASURED = r"""
import time
def collections():
    return sum(entry["collections"] for entry in gc.get_stats())
ready()
while True:
    count = int(wait_line())
    before, wall, cpu = collections(), time.perf_counter(), time.process_time()
    for _ in range(count):
        request()
    ready(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu, collections=collections() - before)
"""

# Work, and what its throughput under watch should be, of that without.
WORKS = (("service", SERVICE, ">= 0.99"), ("allocation loop", ALLOCATION, None))


class Recording:
    """`lowtide gc -o FILE` on a target, as Watch is lt_watch: `last` has its processor time from then on, until stop()."""

    def __init__(self, target: Target, *arguments: str):
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, "file.tide")
        self.process = subprocess.Popen([lowtide_path(), "gc", "-q", "-d", "3600", *arguments, "-o", path, str(target.pid)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=clean_environment(),
                                        preexec_fn=reset_signals)
        deadline = time.monotonic() + 60
        while not path.with_name("file.tide.unfinished").exists() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.process.poll() is None, "lowtide has ended"
        self.begin()

    def used_ns(self) -> int:
        """Of all its threads."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)

    def begin(self) -> None:
        self.first = (self.used_ns(), time.monotonic_ns())

    def stop(self) -> None:
        self.last = {"cpu_ns": self.used_ns() - self.first[0], "elapsed_ns": time.monotonic_ns() - self.first[1]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def possible(interpreter, source: str) -> bool:
    with Target(interpreter, "ready()") as target:
        try:
            with Watch(target, "--source", source) as watch:
                watch.stop()
        except AssertionError:
            return False
    return True


@contextlib.contextmanager
def busy(count: int):
    """So many processes that compute without a break."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def compare(log: list, told: list) -> tuple[int, list]:
    """How many collections of 2 ms and longer there were, and of those that were told, how far off begin, end and duration are and what
    was said of it, in ms."""
    rows = []
    long = [entry for entry in log if entry[1] - entry[0] >= LONG_NS]
    for start, end, generation in long:
        near = [e for e in told if e["generation"] == generation and e["start"] < end and e["end"] > start and e["end"] > e["start"]]
        if near:
            best = max(near, key=lambda e: min(e["end"], end) - max(e["start"], start))
            off = max(abs(best["start"] - start), abs(best["end"] - end))
            rows.append((abs((best["end"] - best["start"]) - (end - start)) / 1e6, off / 1e6, best["error"] / 1e6))
    return len(long), rows


def accuracy(interpreter, source: str) -> None:
    counted = logged = single = of_long = late = 0
    rows = []
    for _ in range(ROUNDS):
        with busy(LOAD), Target(interpreter, LOGGED) as target, Watch(target, "--source", source) as watch:
            target.send()
            log = target.wait_ready(120)["log"]
            time.sleep(0.1)
            events = watch.stop()
        told = [e for e in events if e["kind"] == "collection"]
        counted += len(told) + sum(e["missed"] for e in events if e["kind"] == "missed")
        logged += len(log)
        single += len(told)
        # Longer than two intervals between two looks: somebody else had the processor.
        late += sum(2 * e["error"] > 2_000_000 for e in told)
        long, of_round = compare(log, told)
        of_long += long
        rows += of_round
    name = f"{source}, CPython {interpreter.label}" + (f", beside {LOAD} busy processes" if LOAD else "")
    if not rows:
        print(f"{name}: no collection of 2 ms or longer was told")
        return
    errors = sorted(row[0] for row in rows)
    p99 = errors[min(len(errors) - 1, int(len(errors) * 0.99))]
    good = sum(error <= WANTED[source] for error in errors)
    # Its own log takes the time a little inside of what the collector does.
    said = sum(off <= error + LOG_MS for _, off, error in rows)
    print(f"{name}: {counted} of {logged} counted, {single} told one by one; of {of_long} of 2 ms and longer {len(rows)}; "
          f"duration off by {statistics.median(errors):.3f} ms, p99 {p99:.3f}, most {errors[-1]:.3f}; {late} told by a look that came late")
    result(f"{name}: collections counted", str(counted), str(logged), f"{counted / logged:.4f}", ">= 1")
    result(f"{name}: of 2 ms and longer", str(len(rows)), str(of_long), f"{len(rows) / of_long:.4f}", ">= 1")
    result(f"{name}: duration, p99 of the error", f"{p99:.3f} ms", f"{WANTED[source]} ms", f"{p99 / WANTED[source]:.3f}", "<= 1")
    result(f"{name}: duration off by {WANTED[source]} ms at most", str(good), str(len(rows)), f"{good / len(rows):.4f}", ">= 0.99")
    result(f"{name}: begin and end within the error that is said", str(said), str(len(rows)), f"{said / len(rows):.4f}", ">= 0.99")


def greedy() -> None:
    """The bound of the thread that polls."""
    tool = build_dir() / "tests/tools/lt_greedy"
    done = json.loads(subprocess.run([tool, "3"], check=True, capture_output=True, text=True, timeout=60).stdout)
    share = done["cpu_ns"] / done["elapsed_ns"]
    if not done["reserved"]:
        print("poll: no reservation is granted here; lowtide shares the processors as all others do")
        return
    result("poll: share of a processor that a reserved thread gets, computing without a break", f"{share:.3f}", "0.2", f"{share / 0.2:.3f}",
           "<= 1.05")


def cost(interpreter, source: str, work_name: str, script: str, wanted: str | None, watch_by: type = Watch) -> None:
    name = f"{source}, CPython {interpreter.label}, {work_name}" + (", with a file" if watch_by is Recording else "")
    ratios = {"cpu": [], "wall": []}
    shares, rates = [], []
    with Target(interpreter, script + MEASURED) as target:
        def work(count: int) -> dict:
            target.send(str(count))
            return dict(target.wait_ready(120))

        rate = 100 / work(100)["wall"]

        def watched(count: int) -> dict:
            with watch_by(target, "--source", source) as watch:
                time.sleep(0.2)
                took = work(count)
                watch.stop()
                shares.append(watch.last["cpu_ns"] / watch.last["elapsed_ns"])
            rates.append(took["collections"] / took["cpu"])
            return took

        def stands(watch, count: int) -> dict:
            watch.process.send_signal(signal.SIGSTOP)
            time.sleep(0.005)
            took = work(count)
            watch.process.send_signal(signal.SIGCONT)
            time.sleep(0.005)
            return took

        def pairs(number: int, seconds: float, one, other) -> None:
            """`one` is watched, `other` is not."""
            count = max(5, int(seconds * rate))
            for pair in range(number):
                took = [run(count) for run in ((one, other) if pair % 2 == 0 else (other, one))]
                if pair % 2 == 1:
                    took.reverse()
                for clock, values in ratios.items():
                    values.append(took[1][clock] / took[0][clock])

        if source == "probe":
            pairs(PAIRS, 1, watched, work)
        else:
            watched(int(rate))  # a second, for its share of a core
            with watch_by(target, "--source", source) as watch:
                pairs(SHORT_PAIRS, 1 / 16, work, lambda count: stands(watch, count))
    for clock, values in ratios.items():
        ordered = sorted(values)
        off = int(len(values) ** 0.5)  # of the median's rank: twice its standard error
        low, high = ordered[max(0, len(values) // 2 - off)], ordered[min(len(values) - 1, len(values) // 2 + off)]
        print(f"{name}: throughput watched, of unwatched, by {clock}: median {statistics.median(values):.4f} "
              f"({low:.4f} to {high:.4f}, with 95 %), of {len(values)} from {ordered[0]:.4f} to {ordered[-1]:.4f}")
    print(f"{name}: lowtide takes {100 * statistics.median(shares):.2f} % of a core beside this work")
    ratio = f"{statistics.median(ratios['cpu']):.4f}"
    print(f"{name}: {statistics.median(rates):.0f} collections in a second of the target's processor time")
    if wanted is not None:
        result(f"{name}: throughput under watch", ratio, "1", ratio, wanted)


def without_reservation(function, *arguments) -> None:
    """In a process without CAP_SYS_NICE: lowtide that was made to stand still wakes up late, and would reserve processor time for it."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_NICE, 0, 0, 0)
            function(*arguments)
            sys.stdout.flush()
            failed = 0
        finally:
            os._exit(failed)
    assert os.waitpid(child, 0)[1] == 0


def opening(interpreter, source: str) -> None:
    took = {"opening": [], "closing": []}
    with Target(interpreter, "ready()") as target:
        for _ in range(3):
            begin = time.monotonic()
            with Watch(target, "--source", source) as watch:
                took["opening"].append(time.monotonic() - begin)
                begin = time.monotonic()
                watch.stop()
                took["closing"].append(time.monotonic() - begin)
    for what, seconds in took.items():
        print(f"{source}, CPython {interpreter.label}: {what} takes {statistics.median(seconds):.2f} s (median of {len(seconds)})")


def rest(interpreter, source: str) -> None:
    with Target(interpreter, "ready()") as target, Watch(target, "--source", source) as watch:
        time.sleep(REST_SECONDS)
        watch.stop()
        share = watch.last["cpu_ns"] / watch.last["elapsed_ns"]
    result(f"{source}, CPython {interpreter.label}: lowtide at rest", f"{100 * share:.2f} %", "2 %", f"{share / 0.02:.3f}", "<= 1")
    with Target(interpreter, "ready()") as target, Recording(target, "--source", source) as watch:
        time.sleep(FILE_REST_SECONDS[0])
        watch.begin()
        time.sleep(FILE_REST_SECONDS[1] - FILE_REST_SECONDS[0])
        watch.stop()
        share = watch.last["cpu_ns"] / watch.last["elapsed_ns"]
    result(f"{source}, CPython {interpreter.label}: lowtide at rest, with a file", f"{100 * share:.2f} %", "2 %", f"{share / 0.02:.3f}", "<= 1")


def main() -> int:
    if not (build_dir() / "tests/tools/lt_watch").exists():
        skip("lt_watch is not built")
    chosen = [i for i in interpreters() if not sys.argv[1:] or i.label in sys.argv[1:] or i.minor in sys.argv[1:]]
    if not chosen:
        skip("no such interpreter here")
    if "cost" in PARTS:
        greedy()
    last = chosen[-1]
    middle = [i for i in chosen if i.root is None][-1:]
    for source in SOURCES:
        for interpreter in chosen:
            if not possible(interpreter, source):
                print(f"{source}, CPython {interpreter.label}: not possible here")
                continue
            if "accuracy" in PARTS:
                accuracy(interpreter, source)
            if "cost" in PARTS and (interpreter is last or interpreter in middle):
                opening(interpreter, source)
                for work, by in ((WORKS[0], Watch), (WORKS[1], Watch), (WORKS[0], Recording)):
                    if source == "probe":
                        cost(interpreter, source, *work, by)
                    else:
                        without_reservation(cost, interpreter, source, *work, by)
                rest(interpreter, source)
            elif "rest" in PARTS:
                rest(interpreter, source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
