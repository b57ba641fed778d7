"""What a call of malloc_trim() leaves behind, on a small C program in precise system calls (lt_victim)."""
import ctypes
import errno
import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from freezing import JEMALLOC, Victim, children, face, helpers_of, pause_process, tool, wait_until
from test_freeze import seccomp_filter
from harness import Target, interpreters
from harness.run import run_command

TIMED = ("nanosleep", "clock_nanosleep", "poll", "ppoll", "select", "futex", "futex_until", "condition")
ENDLESS = ("poll", "ppoll", "select", "epoll_wait", "epoll_pwait", "futex", "futex_until", "read", "waitpid", "waitid",
           "accept", "receive", "semop")
# LT_SIDE_STEPS of side_call.h; test_steps_are_those_of_the_guard() holds the two together.
STEPS = ("started", "stopped", "mapped", "written", "spawned", "released", "ended", "unmapped", "finished")
# Steps of the thread that makes the new one, between written and spawned.
TRACE_STEPS = ("injected", "entered", "cloned", "restored")
WAYS = ("--alone", "--beside")


@pytest.fixture(params=("glibc", "jemalloc"))
def preload(request):
    """The allocator of the program: malloc_trim() of glibc's is called, the purge of another's."""
    if request.param == "glibc":
        return None
    if not JEMALLOC.exists() or b"libasan" in tool("lt_victim").read_bytes():
        pytest.skip("jemalloc cannot be preloaded here")
    return JEMALLOC


def trim(pid: int, *arguments: object, timeout: float = 120):
    """lt_trim; what it printed is in `calls`, a dictionary each."""
    result = run_command(tool("lt_trim"), *arguments, pid, timeout=timeout)
    result.calls = [json.loads(line) for line in result.out.splitlines()]
    return result


def mappings(pid: int) -> int:
    return len(Path(f"/proc/{pid}/maps").read_text().splitlines())


def settled(pid: int, before: dict, count: int) -> bool:
    return wait_until(lambda: not helpers_of(pid, "lt_trim") and face(pid) == before and mappings(pid) == count)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", TIMED)
def test_call_with_a_limit_ends_in_time_and_not_by_eintr(call, way, preload):
    limit = 3000
    with Victim(call, limit, preload=preload) as victim:
        victim.wait_blocked()
        result = trim(victim.pid, "--count", 5, way)
        assert result.code == 0 and len(result.calls) == 5, result
        assert all(c["finished"] and c["way"] == way[2:] for c in result.calls), result.calls
        took = sum(c["call_ns"] + c["stall_ns"] for c in result.calls) / 1e6
        outcome = victim.result()
    expected = -1 if call.startswith("futex") else 0
    assert outcome["result"] == expected and outcome["errno"] == (errno.ETIMEDOUT if expected else 0), outcome
    assert limit <= outcome["ms"] < limit + took + 1000, outcome


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", ENDLESS)
def test_call_without_a_limit_waits_on(call, way, preload):
    with Victim(call, preload=preload) as victim:
        victim.wait_blocked()
        before, count = face(victim.pid), mappings(victim.pid)
        result = trim(victim.pid, "--count", 10, way)
        assert result.code == 0 and len(result.calls) == 10 and result.err == "", result
        assert settled(victim.pid, before, count), (face(victim.pid), before)
        assert victim.process.poll() is None
        victim.line()
        outcome = victim.result()
    assert outcome["result"] >= 0, outcome


@pytest.mark.parametrize("way", WAYS)
def test_registers_stay(way, preload):
    with Victim("registers", 600000, preload=preload) as victim:
        result = trim(victim.pid, "--count", 30, way)
        assert result.code == 0, result
        victim.line()
        assert victim.result()["result"] == 0


@pytest.mark.parametrize("call", ("signals", "threads", "spawn", "fork", "fork_any"))
def test_busy_program(call, preload):
    """Signals, threads, vfork and fork all the time; it is trimmed until it ends, or refused for what it does then."""
    with Victim(call, 3000, preload=preload) as victim:
        done = 0
        while victim.process.poll() is None:
            result = trim(victim.pid, "--count", 10000)
            assert result.code in (5, 70), result
            if result.code == 70:
                assert "not safe" in result.err, result
            done += len(result.calls)
        assert victim.result()["result"] == 0, victim.process.stderr.read()
    assert done > 0


def test_program_that_becomes_another(preload):
    with Victim("exec", 2000, preload=preload) as victim:
        while victim.process.poll() is None:
            result = trim(victim.pid)
            # 6: its C library is no longer mapped when the file is opened.
            assert result.code in (0, 3, 5, 6, 70), result
        assert victim.result()["result"] == 0


def test_steps_are_those_of_the_guard():
    assert tuple(run_command(tool("lt_trim"), "--steps").out.split()) == STEPS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", ("lowtide", "guard", "both"))
@pytest.mark.parametrize("step", STEPS + TRACE_STEPS)
def test_killed_at_each_step(step, who, way, preload):
    """Whoever dies, and whenever: the program goes on with its own registers, no thread and no mapping is left."""
    with Victim("registers", 600000, preload=preload) as victim:
        before, count = face(victim.pid), mappings(victim.pid)
        result = trim(victim.pid, "--die", who, "--at", step, way)
        passed_over = step == "ended" and way == "--alone"  # the guard sees the end before it lets go
        answered = step == "finished" or passed_over
        assert result.code == (137 if who != "guard" and not passed_over else 0 if answered else 70), result
        assert settled(victim.pid, before, count), (face(victim.pid), before, mappings(victim.pid), count)
        assert trim(victim.pid).code == 0
        victim.line()
        assert victim.result()["result"] == 0


@pytest.mark.parametrize("call", ("poll", "read", "futex", "accept"))
@pytest.mark.parametrize("step", TRACE_STEPS)
@pytest.mark.parametrize("way", WAYS)
def test_call_goes_on_when_the_guard_is_killed(call, step, way, preload):
    with Victim(call, preload=preload) as victim:
        victim.wait_blocked()
        before, count = face(victim.pid), mappings(victim.pid)
        trim(victim.pid, "--die", "guard", "--at", step, way)
        assert settled(victim.pid, before, count), (face(victim.pid), before)
        assert victim.process.poll() is None
        victim.line()
        assert victim.result()["result"] >= 0


def test_stopped_target_is_refused(preload):
    with Victim("poll", preload=preload) as victim:
        pause_process(victim.pid)
        result = trim(victim.pid)
        assert result.code == 70 and "is stopped" in result.err and "kill -CONT" in result.err, result
        os.kill(victim.pid, signal.SIGCONT)
        assert trim(victim.pid).code == 0
        victim.line()
        assert victim.result()["result"] >= 0


@pytest.mark.parametrize("way", WAYS)
def test_signal_meanwhile_is_delivered(way, preload):
    with Victim("signals", 3000, preload=preload) as victim:
        calls = 0
        while victim.process.poll() is None:
            calls += len(trim(victim.pid, way).calls)
        assert victim.result()["result"] == 0
    assert calls > 0


def test_target_ends_meanwhile(preload):
    for delay in (0, 0.002, 0.005, 0.01, 0.02):
        with Victim("poll", preload=preload) as victim:
            pid = os.fork()
            if pid == 0:
                time.sleep(delay)
                os.kill(victim.pid, signal.SIGKILL)
                os._exit(0)
            result = trim(victim.pid, "--count", 1000)
            os.waitpid(pid, 0)
            assert result.code in (4, 5, 70), result
            assert not helpers_of(victim.pid, "lt_trim")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("forbidden", [(), (56,)], ids=["allows everything", "kills for clone"])
def test_seccomp_filter(forbidden, way, preload):
    """A filter is asked about nothing of it, neither lowtide's calls nor those of the new thread."""
    with Victim("poll", preexec=lambda: seccomp_filter(*forbidden), preload=preload) as victim:
        before, count = face(victim.pid), mappings(victim.pid)
        result = trim(victim.pid, "--count", 3, way)
        assert result.code == 0, result
        assert settled(victim.pid, before, count)
        victim.line()
        assert victim.result()["result"] == 1


def test_seccomp_filter_without_the_right_to_suspend_it():
    with Victim("poll", preexec=seccomp_filter) as victim:
        before, count = face(victim.pid), mappings(victim.pid)
        result = subprocess.run(["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin",
                                 tool("lt_trim"), str(victim.pid)], capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 4, result
        assert "seccomp" in result.stderr and "CAP_SYS_ADMIN" in result.stderr and "--mode" not in result.stderr
        assert settled(victim.pid, before, count)
        victim.line()
        assert victim.result()["result"] == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", ("", "guard"))
def test_target_in_another_pid_namespace(who, way, preload):
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no PID namespace can be made here")
    with Victim("poll", wrap=("unshare", "--pid", "--fork", "--kill-child"), preload=preload) as outer:
        inner = next(iter(children(outer.pid)))
        assert wait_until(lambda: Path(f"/proc/{inner}/comm").read_text() == "lt_victim\n")
        before, count = face(inner), mappings(inner)
        trim(inner, way, *(("--die", who, "--at", "cloned") if who else ()))
        assert settled(inner, before, count)


def test_target_traced_by_another():
    with Victim("poll") as victim:
        child = os.fork()
        if child == 0:
            libc = ctypes.CDLL(None)
            libc.ptrace(0x4206, victim.pid, 0, 0)  # PTRACE_SEIZE
            time.sleep(60)
            os._exit(0)
        try:
            assert wait_until(lambda: face(victim.pid)["TracerPid"] == str(child))
            result = trim(victim.pid)
            assert result.code == 4 and f"traced by process {child}" in result.err and "--mode" not in result.err, result
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        victim.line()
        assert victim.result()["result"] == 1


def test_limit_on_mappings_and_threads(preload):
    """No room for the stack: nothing is changed, and the limits are named."""
    with Victim("poll", preload=preload) as victim:
        before, count = face(victim.pid), mappings(victim.pid)
        resource.prlimit(victim.pid, resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
        result = trim(victim.pid)
        assert result.code == 70 and "another mapping" in result.err and "ulimit" in result.err, result
        assert settled(victim.pid, before, count)
        victim.line()
        assert victim.result()["result"] == 1


# malloc_stats() writes while it has the lock of an arena: into a pipe that nobody reads it has it until somebody does.
LOCKED = r"""
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
reading, writing = os.pipe()
os.set_blocking(writing, False)
try:
    while True:
        os.write(writing, bytes(4096))
except BlockingIOError:
    os.set_blocking(writing, True)
os.dup2(writing, 2)
ready(reading=reading)
threading.Thread(target=libc.malloc_stats).start()
time.sleep(3600)
"""


def has_lock(target) -> bool:
    """Its second thread waits in write(2)."""
    tasks = [task for task in os.listdir(f"/proc/{target.pid}/task") if task != str(target.pid)]
    return len(tasks) == 1 and Path(f"/proc/{target.pid}/task/{tasks[0]}/syscall").read_text().startswith("1 0x2 ")


def empty(target) -> None:
    with open(f"/proc/{target.pid}/fd/{target.facts['reading']}", "rb", buffering=0) as pipe:
        pipe.read(1 << 20)


@pytest.mark.parametrize("way", ("--beside", "--blind"))
def test_lock_that_is_held_is_waited_for(way):
    """Beside the program that is as with any lock; alone, all that stand go on as soon as the call is seen to wait."""
    chosen = next(i for i in interpreters() if i.root is None)
    with Target(chosen, LOCKED) as target:
        assert wait_until(lambda: has_lock(target))
        with subprocess.Popen([tool("lt_trim"), way, str(target.pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert wait_until(lambda: target.status("Threads") == 3)
                time.sleep(0.5)
                assert process.poll() is None
                empty(target)
                out, err = process.communicate(timeout=30)
            finally:
                process.kill()
        assert process.returncode == 0 and json.loads(out)["finished"], (out, err)
        assert wait_until(lambda: target.status("Threads") == 1) and target.settled()


def test_lock_that_is_held_is_seen():
    chosen = next(i for i in interpreters() if i.root is None)
    with Target(chosen, LOCKED) as target:
        assert wait_until(lambda: has_lock(target))
        result = trim(target.pid, "--alone")
        assert result.code == 70 and "malloc" in result.err, result
        empty(target)
        assert wait_until(lambda: target.status("Threads") == 1)
        assert trim(target.pid, "--alone").code == 0 and target.settled()
