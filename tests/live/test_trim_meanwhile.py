"""What happens to a program while malloc_trim() runs in it: stops, forks, exec, helpers that die."""
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from freezing import face, tool, wait_until
from harness import Target, interpreters, run_lowtide
from test_trim_harm import mappings, settled, trim

OWN = next(i for i in interpreters() if i.root is None)
# So much is free that giving it back takes tens of milliseconds.
FREED = "held = [b'x' * n for n in range(5000, 9000) for _ in range(16)]\nkept = held[::25]\ndel held\n"
ROOM = (1 << 20) + (64 << 10)  # side_call.c


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def test_stopped_while_it_stands():
    """SIGSTOP cannot be blocked: the new thread is let go on, so that nobody waits for it for ever."""
    hit = False
    for _ in range(10):
        with Target(OWN, FREED + "ready()\nwait_line()\nready()\n") as target:
            target.wait_asleep()
            before, count = face(target.pid), mappings(target.pid)
            process = subprocess.Popen([tool("lt_trim"), "--alone", str(target.pid)], stdout=subprocess.PIPE, text=True)
            while process.poll() is None and threads(target.pid) == 1:
                pass
            hit = process.poll() is None
            os.kill(target.pid, signal.SIGSTOP)
            time.sleep(0.3)
            os.kill(target.pid, signal.SIGCONT)
            out, _ = process.communicate(timeout=60)
            assert process.returncode == 0 or not hit, (process.returncode, out)
            assert settled(target.pid, before, count), (face(target.pid), before, mappings(target.pid), count)
            target.send()
            target.wait_ready()
        if hit:
            break
    assert hit, "the new thread was never seen"


def test_children_forked_meanwhile_have_no_part_in_it():
    script = FREED + """
import os, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
def own():
    places = [row.split()[0] for row in open("/proc/self/maps") if len(row.split()) == 5]
    sizes = {place: int(place.split("-")[1], 16) - int(place.split("-")[0], 16) for place in places}
    return {place for place in sizes if sizes[place] == %d}
def resident(place):
    rows = open("/proc/self/smaps").read().split(place)[1].splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Rss:"))
before, met, found, early = own(), 0, 0, 0
ready()
wait_line()
for _ in range(400):
    meanwhile = len(os.listdir("/proc/self/task")) > 2
    pid = os.fork()
    if pid == 0:
        there = own() - before
        os._exit(0 if not there else 1 if all(resident(place) <= 4 for place in there) else 2)
    code = os.waitpid(pid, 0)[1] >> 8
    found += code > 1
    early += code == 1  # forked between the mapping and its MADV_DONTFORK: the thread has not been there yet
    met += meanwhile
    if met > 3:
        break
ready(met=met, found=found, early=early)
wait_line()
""" % ROOM
    for _ in range(10):
        with Target(OWN, script) as target:
            target.wait_asleep()
            target.send()
            results = []
            runner = threading.Thread(target=lambda: results.append(trim(target.pid, "--count", 20, "--beside")))
            runner.start()
            facts = target.wait_ready()
            runner.join(120)
            assert results and results[0].code == 0, results
            assert facts["found"] == 0 and facts["early"] <= 1, facts
        if facts["met"]:
            break
    assert facts["met"], "no child was forked while the thread was there"


def test_watch_ends_at_exec():
    script = "import os, sys\nready()\nwait_line()\nos.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
    with Target(OWN, script, "import time\nwhile True: time.sleep(0.05)\n") as target:
        target.wait_asleep()
        threading.Timer(2.5, target.send).start()
        result = run_lowtide("trim", "--json", "--watch", "--interval", 1, "--at-least", "0", "-d", 60, target.pid)
        assert result.code == 0, result
        assert any("runs another program now" in warning for warning in result.json["warnings"]), result
        assert all(round_["refusal"] is None for round_ in result.json["result"]["rounds"]), result
        os.kill(target.pid, 0)


def test_memory_that_cannot_be_written():
    """/proc mounted read-only, as in hardened containers: refused, and no mapping is left."""
    with Target(OWN, "ready()\nwait_line()\nready()\n") as target:
        target.wait_asleep()
        before, count = face(target.pid), mappings(target.pid)
        command = f"mount -o remount,bind,ro /proc && exec {tool('lt_trim')} {target.pid}"
        result = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, timeout=60)
        assert result.returncode == 70 and "cannot be written" in result.stderr, result
        assert settled(target.pid, before, count), (mappings(target.pid), count)
        target.send()
        target.wait_ready()


def test_alternate_signal_stack_stays_when_the_guard_is_killed():
    script = FREED + """
import ctypes, faulthandler
faulthandler.enable()
class Stack(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
def stack():
    now = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(now))
    return [now.address, now.flags, now.size]
ready(stack=stack())
wait_line()
ready(stack=stack())
"""
    with Target(OWN, script) as target:
        target.wait_asleep()
        was = target.facts["stack"]
        assert was[0]
        before, count = face(target.pid), mappings(target.pid)
        trim(target.pid, "--die", "guard", "--at", "cloned", "--alone")
        assert settled(target.pid, before, count), (face(target.pid), before)
        target.send()
        assert target.wait_ready()["stack"] == was


def test_guard_killed_under_a_quota_of_processor_time(tmp_path):
    """The thread that makes the new one gets no processor for long: its stack stays until it has left it."""
    group = next((Path(path) for path in ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct") if os.path.isdir(path)), None)
    for _ in range(6):
        with Target(OWN, FREED + "ready()\nwait_line()\nready()\n") as target:
            target.wait_asleep()
            before, count = face(target.pid), mappings(target.pid)
            spinners = []
            if group is None:
                # Without such groups: the processor that it is bound to has much else to do.
                os.sched_setaffinity(target.pid, {min(os.sched_getaffinity(0))})
                os.setpriority(os.PRIO_PROCESS, target.pid, 19)
                bound = f"import os\nos.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\nwhile True: pass"
                spinners = [subprocess.Popen([OWN.path, "-c", bound]) for _ in range(3)]
            else:
                own = group / f"lowtide-test-{os.getpid()}"
                own.mkdir()
                (own / "cpu.cfs_period_us").write_text("100000")
                (own / "cpu.cfs_quota_us").write_text("10000")
                (own / "cgroup.procs").write_text(str(target.pid))
            try:
                trim(target.pid, "--die", "guard", "--at", "injected", "--alone")
                assert settled(target.pid, before, count), (face(target.pid), before)
                target.send()
                target.wait_ready()
            finally:
                for spinner in spinners:
                    spinner.kill()
                    spinner.wait()
                if group is not None:
                    (group / "cgroup.procs").write_text(str(target.pid))
                    assert wait_until(lambda: not (own / "cgroup.procs").read_text())
                    own.rmdir()
