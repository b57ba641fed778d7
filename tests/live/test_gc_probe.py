"""The collector seen by probes in the kernel, against the log that the target keeps in gc.callbacks."""
import errno
import json
import os
import platform
import signal
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from harness import Target, build_dir, end_session

WAYS = ("usdt", "symbol", "write")
# The best way of the build on a kernel without links of probes.
EVENTS = "events"

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
                        threading.get_native_id(), info.get("candidates", -1)])

    gc.callbacks.append(note)

    class Cart:
        pass

    def make_cycles(count):
        for _ in range(count):
            cart = Cart()
            cart.self = cart
''')


class Probe:
    """lt_gcprobe on a target. `way` is None when the build does not have that way. The kernel refuses links of probes with
    the error `refused`; when the way is EVENTS, with that of old kernels. `wrap`: a command that execs what follows it."""

    def __init__(self, pid, way="any", refused=0, wrap=()):
        if way == EVENTS:
            way, refused = "any", errno.EINVAL
        self.out = tempfile.TemporaryFile("w+")
        command = [*wrap, build_dir() / "tests/tools/lt_gcprobe", way, str(pid), *([str(refused)] if refused else [])]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=self.out, stderr=subprocess.PIPE,
                                        start_new_session=True)
        deadline = time.monotonic() + 60
        while not self.lines() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        first = json.loads(self.lines()[0]) if self.lines() else {"way": None, "linked": False}
        self.way, self.linked = first["way"], first["linked"]
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
    done = [way for way in (*WAYS, EVENTS) if run(way)]
    if not done:
        pytest.skip("no probes on this machine")
    return done


def of_kind(events, kind):
    return [event for event in events if event["kind"] == kind]


def found(entries):
    return [[generation, collected, uncollectable] for _, _, generation, collected, uncollectable, *_ in entries]


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
            assert event["candidates"] == entry[6]
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


CALLS = PRELUDE + textwrap.dedent('''
    import ctypes, signal

    def by_signal(number, frame):
        gc.collect(0)

    class Finalized:
        def __del__(self):
            gc.collect()

    def in_main():
        gc.collect(1)

    def in_thread():
        gc.collect()

    def in_timer():
        gc.collect(2)

    def in_c():  # does nothing while the collector is disabled
        gc.set_threshold(0)
        gc.enable()
        ctypes.pythonapi.PyGC_Collect()
        gc.disable()

    def by_threshold():
        gc.enable()
        gc.set_threshold(50)
        held = [Cart() for _ in range(200)]
        gc.set_threshold(700, 10, 10)
        gc.disable()

    def run_thread(thread):
        thread.start()
        thread.join()

    signal.signal(signal.SIGUSR1, by_signal)
    ready()
    wait_line()
    marks = []
    for name, step in (
            ("main", in_main), ("thread", lambda: run_thread(threading.Thread(target=in_thread))),
            ("timer", lambda: run_thread(threading.Timer(0.001, in_timer))),
            ("signal", lambda: os.kill(os.getpid(), signal.SIGUSR1)), ("c", in_c),
            ("finalizer", lambda: Finalized()), ("keyword", lambda: gc.collect(generation=0)), ("threshold", by_threshold)):
        begin = time.monotonic_ns()
        step()
        marks.append([name, begin, time.monotonic_ns()])
    gc.set_debug(0)
    frozen = gc.get_freeze_count() > 0  # 3.12 itself begins with some
    gc.freeze()
    gc.unfreeze()
    ready(log=log, marks=marks, frozen=frozen)
    wait_line()
''')


def test_calls_are_told_from_thresholds(interpreter):
    wanted = {"main": ("gc.collect", "in_main"), "thread": ("gc.collect", "in_thread"), "timer": ("gc.collect", "in_timer"),
              "signal": ("gc.collect", "by_signal"), "c": ("PyGC_Collect", "in_c"), "finalizer": ("gc.collect", "__del__"),
              "keyword": ("gc.collect", "<lambda>")}

    def run(way):
        with Target(interpreter, CALLS) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            target.send()
            facts = target.wait_ready()
            probe.wait_for(10, "called")
            probe.wait_for(len(facts["log"]))
            events = probe.stop()
        assert seen(events) == found(facts["log"])
        for name, begin, end in facts["marks"]:
            inside = [event for event in of_kind(events, "collection") if begin <= event["end"] and event["start"] <= end]
            assert inside, name
            assert all(event["certain"] for event in inside), name
            if name == "threshold":
                assert len(inside) >= 2 and {event["call"] for event in inside} == {""}, inside
                assert {event["stack"][0][1] for event in inside} <= {"<listcomp>", "by_threshold"}
                continue
            [event] = inside
            call, function = wanted[name]
            assert event["call"] == call, (name, event)
            assert function in [frame[1] for frame in event["stack"]][:1 if name != "c" else 2], (name, event["stack"])
            if name not in ("thread", "timer"):
                assert event["thread"] == target.pid
        called = [event["call"] for event in of_kind(events, "called")]
        assert called == ["gc.set_threshold", "gc.enable", "gc.disable", "gc.enable", "gc.set_threshold", "gc.set_threshold",
                          "gc.disable", "gc.set_debug", "gc.freeze", "gc.unfreeze"]
        frozen = {event["call"]: event for event in of_kind(events, "called")}
        assert frozen["gc.freeze"]["before"]["frozen"] == facts["frozen"] and frozen["gc.freeze"]["after"]["frozen"]
        assert frozen["gc.unfreeze"]["before"]["frozen"] and not frozen["gc.unfreeze"]["after"]["frozen"]
        assert frozen["gc.disable"]["before"]["enabled"] and not frozen["gc.disable"]["after"]["enabled"]
        thresholds = [event["after"]["thresholds"] for event in of_kind(events, "called") if event["call"] == "gc.set_threshold"]
        assert [row[0] for row in thresholds] == [0, 50, 700] and thresholds[2] == [700, 10, 10]
        return True

    each_way(run)


def test_lines_of_the_stack(interpreter):
    """File, function and line of each frame are those that the target's own traceback module tells."""
    script = PRELUDE + textwrap.dedent('''
        import traceback
        told = []

        def deep(level):
            if level:
                return deep(level - 1)
            told.append([[f.filename, f.name, f.lineno] for f in traceback.extract_stack()]); gc.collect()

        def generator():
            deep(3)
            yield

        ready()
        wait_line()
        list(generator())
        deep(70)
        ready(told=told)
    ''')
    with Target(interpreter, script) as target, Probe(target.pid) as probe:
        permitted(probe)
        target.send()
        told = target.wait_ready()["told"]
        shallow, deep = of_kind(probe.stop(), "collection")
    assert shallow["stack"] == told[0][::-1]
    # Of a deep stack the inner part is kept.
    assert 30 <= len(deep["stack"]) <= 48
    assert deep["stack"] == told[1][::-1][:len(deep["stack"])]


def test_shutdown(interpreter):
    """What the interpreter collects as it ends, and an explicit call before that, are told apart."""
    script = PRELUDE + textwrap.dedent('''
        import atexit
        atexit.register(gc.collect, 1)
        make_cycles(50)
        ready()
        wait_line()
        sys.exit()
    ''')
    with Target(interpreter, script) as target, Probe(target.pid) as probe:
        permitted(probe)
        target.send()
        events = probe.stop(end_input=False)
    collections = of_kind(events, "collection")
    assert [event["call"] for event in collections if not event["finalizing"]] == ["gc.collect"]
    last = [event for event in collections if event["finalizing"]]
    assert last and all(event["generation"] == 2 and event["call"] != "gc.collect" for event in last)


@pytest.mark.three_interpreters("links are the kernel's")
def test_links_where_the_kernel_has_them(interpreter):
    """All probes in code are a few links of the kernel; where it does not make them, as it may say, events of perf."""
    with Target(interpreter, MIXED) as target, Probe(target.pid) as probe:
        permitted(probe)
        release = tuple(map(int, platform.release().split(".")[:2]))
        assert probe.linked or release < (6, 10)
    for refused in (errno.EINVAL, errno.E2BIG, errno.ESRCH, errno.EPERM):
        with Target(interpreter, MIXED) as target, Probe(target.pid, refused=refused) as probe:
            assert permitted(probe).way and not probe.linked
            target.send()
            log = target.wait_ready()["log"]
            assert seen(probe.stop()) == found(log)


def test_threads_of_before_and_after(interpreter):
    """Those that run when the watch begins, and those that start later, from any of them."""
    script = PRELUDE + textwrap.dedent('''
        go, ids = threading.Barrier(4), {}

        def collect(name):
            gc.collect(1)
            ids[name] = threading.get_native_id()

        def before(name):
            ready_to_go.release()
            go.wait()
            collect(name)
            later = threading.Thread(target=collect, args=(name + ", later",))
            later.start()
            later.join()

        ready_to_go = threading.Semaphore(0)
        threads = [threading.Thread(target=before, args=("thread %d" % i,)) for i in range(3)]
        for thread in threads:
            thread.start()
            ready_to_go.acquire()
        ready()
        wait_line()
        go.wait()
        for thread in threads:
            thread.join()
        collect("main")
        ready(ids=sorted(ids.values()), log=log)
    ''')

    def run(way):
        with Target(interpreter, script) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            target.send()
            facts = target.wait_ready()
            events = probe.stop()
        collections = of_kind(events, "collection")
        assert sorted(event["thread"] for event in collections) == sorted(entry[5] for entry in facts["log"])
        # One that was asked for while another one ran did not run.
        assert {event["thread"] for event in collections} <= set(facts["ids"]) and len(facts["log"]) >= 2
        assert {event["call"] for event in collections} == {"gc.collect"}
        return True

    each_way(run)


def test_a_watch_that_begins_within_a_collection(interpreter):
    """Its end belongs to no begin: no event, and none is counted as missed."""
    script = PRELUDE + textwrap.dedent('''
        class Slow:
            def __del__(self):
                ready()
                wait_line()

        slow = Slow()
        slow.self = slow
        del slow
        gc.collect()
        gc.collect(0)
        ready()
    ''')
    with Target(interpreter, script) as target, Probe(target.pid) as probe:
        permitted(probe)
        target.send()
        target.wait_ready()
        probe.wait_for(1)
        time.sleep(0.6)  # two looks at the statistics
        events = probe.stop()
    assert [(event["kind"], event["generation"]) for event in events] == [("collection", 0)]


def test_interpreters_of_their_own(interpreter):
    """Collections of subinterpreters bear their id, and their stacks are theirs."""
    script = PRELUDE + textwrap.dedent('''
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters

        inside = "import gc\\ngc.disable()\\ngc.collect()\\ndef within():\\n    gc.collect(1)"
        made = [interpreters.create() for _ in range(2)]
        for one in made:
            interpreters.run_string(one, inside)
        ready(ids=[int(getattr(one, "id", one)) for one in made])
        wait_line()
        gc.collect(0)
        interpreters.run_string(made[0], "within()")
        interpreters.run_string(made[1], "within()")
        thread = threading.Thread(target=interpreters.run_string, args=(made[1], "within()"))
        thread.start()
        thread.join()
        gc.collect(2)
        ready()
        wait_line()
    ''')

    def run(way):
        with Target(interpreter, script) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            first, second = target.facts["ids"]
            target.send()
            target.wait_ready()
            probe.wait_for(5)
            events = [event for event in probe.stop() if event["kind"] != "called"]
        assert [(event["kind"], event["interpreter"], event["generation"], event["call"]) for event in events] == [
            ("collection", 0, 0, "gc.collect"), ("collection", first, 1, "gc.collect"), ("collection", second, 1, "gc.collect"),
            ("collection", second, 1, "gc.collect"), ("collection", 0, 2, "gc.collect")], way
        assert all(event["stack"][0][1] == "within" for event in events[1:4]), events
        assert events[3]["thread"] != events[2]["thread"] == target.pid
        return True

    each_way(run)


def test_in_a_container(interpreter):
    """A process in a PID namespace of its own: its threads have the ids that they have outside, also one that ends at once."""
    if interpreter.root is None:
        pytest.skip("runs in no root of its own")
    script = PRELUDE + textwrap.dedent('''
        ready()
        wait_line()
        gc.collect(1)
        def collect():
            gc.collect()
        thread = threading.Thread(target=collect)
        thread.start()
        thread.join()
        ready()
    ''')

    def run(way):
        with Target(interpreter, script, container=True) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            target.send()
            probe.wait_for(2)
            main, other = of_kind(probe.stop(), "collection")
            assert main["thread"] == target.pid and main["generation"] == 1
            assert other["thread"] not in (0, target.pid) and other["generation"] == 2
            assert main["stack"][0][1] == "<module>" and [frame[1] for frame in other["stack"][:2]] == ["collect", "run"]
        return True

    each_way(run)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def last_descendant(pid):
    while children(pid):
        [pid] = children(pid)
    return pid


def ids_of(pid, thread=None):
    """What a thread is called in each PID namespace, from the one of this test inwards."""
    status = Path(f"/proc/{pid}/task/{thread or pid}/status").read_text()
    return [int(one) for one in status.split("NSpid:")[1].splitlines()[0].split()]


def test_between_two_namespaces(interpreter):
    """lowtide in a container, the process in another one within: a thread has the id that it has in lowtide's, also when it
    has ended before lowtide comes to look."""
    outer = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
    if subprocess.run([*outer, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("takes the right to make PID namespaces")
    script = PRELUDE + textwrap.dedent('''
        done = threading.Event()

        def collect():
            gc.collect(1)
            ready(id=threading.get_native_id())
            done.wait()

        ready()
        wait_line()
        thread = threading.Thread(target=collect)
        thread.start()
        wait_line()
        done.set()
        thread.join()
        ready()
        wait_line()
    ''')
    container = subprocess.Popen([*outer, "sleep", "3600"], start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while not children(container.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        inside = ("nsenter", "--target", str(last_descendant(container.pid)), "--pid", "--mount", "--")
        with Target(interpreter, script, wrap=(*inside, *outer)) as target:
            pid = last_descendant(target.pid)
            *_, seen_as, own = ids_of(pid)
            assert own == 1 and seen_as not in (own, pid)
            with Probe(seen_as, wrap=inside) as probe:
                permitted(probe)
                watcher = last_descendant(probe.process.pid)
                os.kill(watcher, signal.SIGSTOP)
                target.send()
                thread = target.wait_ready()["id"]
                [ids] = [ids for ids in (ids_of(pid, name) for name in os.listdir(f"/proc/{pid}/task")) if ids[-1] == thread]
                target.send()
                target.wait_ready()
                deadline = time.monotonic() + 30
                while len(os.listdir(f"/proc/{pid}/task")) > 1 and time.monotonic() < deadline:
                    time.sleep(0.01)  # join() returns a moment before the thread is gone
                assert len(os.listdir(f"/proc/{pid}/task")) == 1
                for stopped in (probe.process.pid, watcher):  # nsenter stops with its child
                    os.kill(stopped, signal.SIGCONT)
                [event] = probe.wait_for(1)
                assert event["thread"] == ids[-2] not in (0, ids[-1], ids[-3])
                probe.stop()
    finally:
        end_session(container.pid)
        container.wait(30)
