"""Probes do no harm: nothing of them stays when lowtide ends or is killed, and forks, exec and ends are met."""
import errno
import json
import os
import shutil
import signal
import struct
import subprocess
import textwrap
import time

import pytest
from harness import build_dir, lowtide_path, run_command
from test_gc_probe import PRELUDE, WAYS, Probe, Target, each_way, found, of_kind, permitted, seen

# Collects all the time, by threshold and by call, in two threads; work is done as long as `steps` grows.
BUSY = PRELUDE + textwrap.dedent('''
    gc.callbacks.clear()
    gc.enable()
    gc.set_threshold(200, 5, 5)
    state = {"steps": 0, "stop": False}

    def work():
        while not state["stop"]:
            make_cycles(100)
            gc.collect(0)
            state["steps"] += 1

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready()
    while wait_line() != "stop":
        ready(steps=state["steps"])
    state["stop"] = True
    for thread in threads:
        thread.join()
    ready(steps=state["steps"])
''')


def mappings(pid):
    """(start, end, permissions, path) of the mappings of a process."""
    rows = []
    with open(f"/proc/{pid}/maps") as lines:
        for line in lines:
            area, permissions, _, _, _, *path = line.split(None, 5)
            start, end = (int(part, 16) for part in area.split("-"))
            rows.append((start, end, permissions, path[0].strip() if path else ""))
    return rows


def is_interpreter(path):
    return "python3" in os.path.basename(path) and (".so" not in path or "libpython3" in path)


def code(pid):
    """The bytes of the interpreter's code as they are in the process."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for start, end, permissions, path in mappings(pid):
            if permissions[2] == "x" and is_interpreter(path):
                memory.seek(start)
                parts.append(memory.read(end - start))
    assert parts
    return parts


def semaphores(pid):
    """What the two counters of the USDT probes of the collector are in a process, None where the build has none."""
    with open(f"/proc/{pid}/exe", "rb") as file:
        image = file.read()
    values = []
    for name in (b"gc__start", b"gc__done"):
        at = image.find(b"python\0" + name + b"\0")
        if at < 0 or image[16] != 2:  # an executable at fixed addresses
            return None
        address = struct.unpack_from("<3Q", image, at - 24)[2]
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:
            memory.seek(address)
            values.append(struct.unpack("<H", memory.read(2))[0])
    return values


def steps(target):
    target.send()
    return target.wait_ready()["steps"]


def changed(before, now):
    """(part, offset, byte before, byte now) of the code that is not what it was."""
    assert [len(part) for part in before] == [len(part) for part in now]
    return [(part, at, old[at], new[at]) for part, (old, new) in enumerate(zip(before, now)) if old != new for at in range(len(old))
            if old[at] != new[at]]


def until_code_is(pid, wanted, timeout=30):
    """The kernel takes its breakpoints out a moment after the last descriptor is closed."""
    deadline = time.monotonic() + timeout
    while code(pid) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert changed(wanted, code(pid)) == []


def descriptors_of(target):
    """What the open files of a target are, but for that through which it says that it is ready."""
    found = []
    for name in os.listdir(f"/proc/{target.pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{target.pid}/fd/{name}"))
        except FileNotFoundError:
            continue
    return sorted(path for path in found if not path.endswith("/ready"))


@pytest.mark.parametrize("end", ["killed", "ended"])
def test_nothing_stays(interpreter, end):
    def run(way):
        with Target(interpreter, BUSY) as target:
            before, counters = code(target.pid), semaphores(target.pid)
            steps(target)
            descriptors = descriptors_of(target)
            with Probe(target.pid, way) as probe:
                if probe.way is None:
                    return False
                probe.wait_for(20)
                if way != "write":
                    assert code(target.pid) != before, "the comparison sees no breakpoints"
                if probe.way == "usdt":
                    assert semaphores(target.pid) == [1, 1]
                if end == "killed":
                    probe.process.send_signal(signal.SIGKILL)
                    assert probe.process.wait(30) == -signal.SIGKILL
                else:
                    probe.stop()
            until_code_is(target.pid, before)
            assert semaphores(target.pid) == counters in (None, [0, 0])
            # It goes on, untraced, and gets to its end.
            done = steps(target)
            deadline = time.monotonic() + 30
            while steps(target) <= done and time.monotonic() < deadline:
                time.sleep(0.01)
            assert steps(target) > done
            assert target.status("TracerPid") == 0
            assert descriptors_of(target) == descriptors
            target.send("stop")
            target.wait_ready()
        return True

    each_way(run)


def test_killed_at_any_moment(interpreter):
    """Also while the probes are being put in place, and several times in a row."""
    with Target(interpreter, BUSY) as target:
        before = code(target.pid)
        with Probe(target.pid) as probe:
            way = permitted(probe).way
            probe.process.kill()
            probe.process.wait(30)
        until_code_is(target.pid, before)
        # Links are in place within milliseconds of each other, events take longer.
        for moment in (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.1, 0.2):
            for refused in ((), (errno.EINVAL,)):
                done = run_command("timeout", "-s", "KILL", moment, build_dir() / "tests/tools/lt_gcprobe", way, target.pid,
                                   *refused)
                assert done.code in (137, 0)
        # docs/gc.md: what the kernel leaks of a probe that is just being put in place, the next watch takes out.
        with Probe(target.pid, way) as probe:
            probe.wait_for(1)
            probe.stop()
        until_code_is(target.pid, before)
        assert semaphores(target.pid) in (None, [0, 0])
        target.send("stop")
        assert target.wait_ready()["steps"] > 0


def test_children(interpreter):
    """What a fork of the target collects is not the target's, and its code is whole too."""
    script = PRELUDE + textwrap.dedent('''
        import subprocess
        mark = os.path.join(os.path.dirname(__file__), "child-is-done")
        ready()
        wait_line()
        gc.collect(1)
        child = os.fork()
        if child == 0:
            for _ in range(5):
                gc.collect()
            gc.disable()
            open(mark, "w").write(str(os.getpid()))
            time.sleep(600)
        while not os.path.exists(mark) or not open(mark).read():
            time.sleep(0.01)
        subprocess.run([sys.executable, "-c", "import gc; gc.collect()"], check=True)
        gc.collect(0)
        ready(log=log, child=child)
        wait_line()
        os.kill(child, 9)
        os.waitpid(child, 0)
        ready()
    ''')

    def run(way):
        with Target(interpreter, script) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            target.send()
            facts = target.wait_ready()
            probe.wait_for(2)
            events = probe.stop()
            assert seen(events) == found(facts["log"]) and not of_kind(events, "missed")
            assert not of_kind(events, "called")
            until_code_is(facts["child"], code(target.pid))
            target.send()
            target.wait_ready()
        return True

    each_way(run)


def test_another_program(interpreter):
    """exec() ends the watch, and the new program is not touched."""
    script = PRELUDE + textwrap.dedent('''
        ready()
        wait_line()
        gc.collect(1)
        os.execv(sys.executable, [sys.executable, "-c", "import gc, time\\nwhile True: gc.collect(); time.sleep(0.01)"])
    ''')

    def run(way):
        with Target(interpreter, script) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            target.send()
            events = probe.stop(end_input=False)
            assert [event["generation"] for event in of_kind(events, "collection")][:1] == [1]
            assert target.alive() and target.status("TracerPid") == 0
        return True

    each_way(run)


def test_collections_of_another_program_do_not_count(interpreter):
    """A program that exec() starts from the same file, at the same addresses, is met by the same probes; however late
    lowtide comes to look, what it does is not of the one before it."""
    after = textwrap.dedent('''
        import gc, sys, time
        for _ in range(20):
            gc.collect(); gc.collect(1); gc.disable()
        with open(sys.argv[1], "w") as out:
            out.write("{}" + chr(10))
        time.sleep(100)
    ''')
    script = PRELUDE + textwrap.dedent('''
        ready()
        wait_line()
        for _ in range(7):
            gc.collect(1)
        os.execv(sys.executable, [sys.executable, "-c", %r, os.path.join(os.path.dirname(__file__), "ready")])
    ''' % after)

    def run(way):
        with Target(interpreter, script, wrap=("setarch", "-R")) as target, Probe(target.pid, way) as probe:
            if probe.way is None:
                return False
            os.kill(probe.process.pid, signal.SIGSTOP)
            target.send()
            target.wait_ready()
            os.kill(probe.process.pid, signal.SIGCONT)
            events = probe.stop(end_input=False)
            assert [event["generation"] for event in of_kind(events, "collection")] == [1] * 7
            assert not of_kind(events, "missed") and not of_kind(events, "called")
            assert target.alive()
        return True

    each_way(run)


def test_the_end_of_the_target(interpreter):
    with Target(interpreter, BUSY) as target, Probe(target.pid) as probe:
        permitted(probe)
        probe.wait_for(20)
        os.kill(target.pid, signal.SIGKILL)
        events = probe.stop(end_input=False)
    assert len(of_kind(events, "collection")) >= 20


def test_more_than_the_ring_holds(interpreter):
    """A reader that stands still loses records: the statistics tell how many collections they were of."""
    script = PRELUDE + textwrap.dedent('''
        gc.callbacks.clear()
        ready()
        wait_line()
        before = [one["collections"] for one in gc.get_stats()]
        for _ in range(12000):
            gc.collect(0)
        gc.collect(1)
        ready(made=[one["collections"] - was for one, was in zip(gc.get_stats(), before)])
    ''')
    with Target(interpreter, script) as target, Probe(target.pid) as probe:
        permitted(probe)
        os.kill(probe.process.pid, signal.SIGSTOP)
        target.send()
        made = target.wait_ready()["made"]
        os.kill(probe.process.pid, signal.SIGCONT)
        probe.wait_for(1, "missed")
        time.sleep(0.8)
        events = probe.stop()
    told = [0, 0, 0]
    for event in events:
        if event["kind"] in ("collection", "missed"):
            told[event["generation"]] += event["missed"] if event["kind"] == "missed" else 1
    assert told == made
    assert 0 < len(of_kind(events, "collection")) < sum(made)


def test_without_the_rights(interpreter):
    """Without the capabilities the sentence says what it takes, and the next source is used."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("takes root and setpriv to run without capabilities")
    without = ("setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin", "--inh-caps=-all", "--")
    with Target(interpreter, "ready()") as target:
        done = run_command(*without, build_dir() / "tests/tools/lt_gcprobe", "any", target.pid)
        assert done.code == 4, done
        sentence, remedy = done.err.strip().splitlines()
        assert "CAP_BPF and CAP_PERFMON" in sentence
        assert "sudo" in remedy or "--cap-add=BPF" in remedy
        watch = run_command(*without, build_dir() / "tests/tools/lt_watch", "--seconds", "0.2", target.pid)
        assert watch.code == 0, watch
        first = json.loads(watch.out.splitlines()[0])
        assert first["source"] in ("ring", "poll") and "CAP_BPF" in first["why_not"]["probe"]


def test_ways_are_what_the_build_has(interpreter):
    """At least one of USDT and symbol on every build here; which one is taken is the better one."""
    with Target(interpreter, "ready()") as target:
        possible = []
        for way in WAYS:
            with Probe(target.pid, way) as probe:
                if probe.way is not None:
                    possible.append(way)
        with Probe(target.pid) as probe:
            assert permitted(probe).way == possible[0]


@pytest.mark.three_interpreters("how much is read at once does not depend on the release")
def test_program_that_writes_faster_than_lowtide_reads(interpreter):
    """What comes while records are read is for the next time: lowtide ends, with little processor time too."""
    script = PRELUDE + "gc.callbacks.clear()\ngc.enable()\ngc.set_threshold(10, 10, 10**6)\nready()\n" \
        "while True:\n    held = [[i] for i in range(1000)]\n"
    busy = sorted(os.sched_getaffinity(0))[0]
    with Target(interpreter, script) as target, \
            subprocess.Popen(["taskset", "-c", str(busy), "sh", "-c", "while :; do :; done"]) as other:
        try:
            watch = (lowtide_path(), "gc", "--json", "--source", "probe", "-d", "2", target.pid)
            result = run_command("taskset", "-c", busy, "nice", "-n", "10", *watch, timeout=90)
        finally:
            other.kill()
    if result.code == 4:
        pytest.skip(f"this source is not possible here: {result.err}")
    assert result.code == 0, result
    summary = json.loads(result.out)["result"]["summary"]
    assert summary["count"] > 1000, summary
