"""The freeze itself, on a small C program in precise system calls (lt_victim). No Python is looked into."""
import errno
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from freezing import (Looker, Victim, children, face, freeze, helpers_of, pause_process, stat_fields, steps, tool, wait_until)
from harness.run import run_command

TIMED = ("nanosleep", "clock_nanosleep", "poll", "ppoll", "select", "futex", "futex_until", "condition")
ENDLESS = ("poll", "ppoll", "select", "epoll_wait", "epoll_pwait", "futex", "futex_until", "read", "waitpid", "waitid",
           "accept", "receive", "semop")
# LT_FREEZE_STEPS of freeze_guard.h; test_steps_are_those_of_the_guard() holds the two together.
STEPS = ("started", "stopped", "announced", "injected", "entered", "cloned", "restored", "maker_held", "copied", "released", "held", "opened",
         "given", "asked", "killed", "reap_stopped", "reaped", "finished")
# Between these the guard may not be killed: see LT_FREEZE_STEPS.
UNSAFE_FOR_GUARD = ("injected", "entered", "cloned")


@pytest.mark.parametrize("call", TIMED)
def test_call_with_a_limit_ends_in_time_and_not_by_eintr(call):
    limit = 4000
    with Victim(call, limit) as victim:
        victim.wait_blocked()
        result = freeze(victim.pid, "--count", 10)
        assert result.code == 0, result
        frozen_for = sum(f["begin_ns"] for f in result.freezes) / 1e6
        outcome = victim.result()
    expected = -1 if call.startswith("futex") else 0
    assert outcome["result"] == expected and outcome["errno"] == (errno.ETIMEDOUT if expected else 0), outcome
    assert outcome["ms"] >= limit
    # Were the wait begun anew at each freeze, it would be far longer than its limit and all freezes together.
    assert outcome["ms"] < limit + frozen_for + 1000, outcome


@pytest.mark.parametrize("call", ENDLESS)
def test_call_without_a_limit_waits_on(call):
    with Victim(call) as victim:
        victim.wait_blocked()
        before = face(victim.pid)
        result = freeze(victim.pid, "--count", 20)
        assert result.code == 0 and len(result.freezes) == 20, result
        assert result.err == ""
        # ppoll has another mask of signals while it waits: the last stop may just have ended.
        assert wait_until(lambda: face(victim.pid) == before), (face(victim.pid), before)
        assert victim.process.poll() is None
        victim.line()
        outcome = victim.result()
    assert outcome["result"] >= 0, outcome


@pytest.mark.parametrize("call", ("epoll_wait", "epoll_pwait", "sigtimedwait"))
def test_call_that_the_kernel_does_not_restart_is_never_prolonged(call):
    """With a limit these say EINTR after any stop, as signal(7) has it; see docs/freeze.md."""
    with Victim(call, 1500) as victim:
        victim.wait_blocked()
        assert freeze(victim.pid).code in (0, 5)
        outcome = victim.result()
    assert outcome["ms"] < 1500
    assert outcome["result"] == -1 and outcome["errno"] == errno.EINTR


def test_registers_stay():
    with Victim("registers", 600000) as victim:
        result = freeze(victim.pid, "--count", 50)
        assert result.code == 0, result
        victim.line()
        assert victim.result()["result"] == 0


@pytest.mark.parametrize("call", ("signals", "threads", "spawn", "fork", "fork_any"))
def test_busy_program(call):
    """Signals, threads, vfork and fork all the time: no child with another end than its own, none left over."""
    with Victim(call, 3000) as victim:
        result = freeze(victim.pid, "--count", 10000)
        outcome = victim.result()
        assert "zombie" not in result.err
        assert result.code == 5, result  # until it ended
        assert len(result.freezes) > 5
        assert outcome["result"] == 0, victim.process.stderr.read()


def test_program_that_becomes_another():
    with Victim("exec", 2000) as victim:
        while victim.process.poll() is None:
            result = freeze(victim.pid)
            # It may change between the look at its mappings and the stop.
            assert result.code in (0, 5) or any(
                words in result.err for words in ("no system call instruction", "part of the kernel")), result
        assert victim.result()["result"] == 0


def test_picture_is_frozen_and_the_target_is_not():
    with Victim("count", 20000) as victim:
        address = victim.process.stdout.readline().strip()
        frozen = freeze(victim.pid, "--hold", 200, "--word", address).freezes[0]
        live = freeze(victim.pid, "--mode", "live", "--hold", 200, "--word", address).freezes[0]
        stopped = freeze(victim.pid, "--mode", "stop", "--hold", 200, "--word", address).freezes[0]
        again = freeze(victim.pid, "--word", address).freezes[0]
    assert 0 < frozen["first"] == frozen["last"] < live["first"] < live["last"]
    assert live["last"] <= stopped["first"] == stopped["last"] < again["first"]
    assert live["stall_ns"] == 0
    assert stopped["total_stall_ns"] >= 200e6


def test_regions_that_a_fork_treats_in_its_own_way():
    with Victim("regions") as victim:
        dont_fork, shared, locked = victim.process.stdout.readline().split()
        for address in (shared, locked):
            result = freeze(victim.pid, "--word", address)
            assert result.freezes[0]["first"] == 1 and result.err == "", result
        result = freeze(victim.pid, "--word", dont_fork)
        assert result.code == 0 and "cannot be read" in result.err
        assert victim.process.poll() is None  # PR_SET_PDEATHSIG is not the copy's


def test_steps_are_those_of_the_guard():
    assert tuple(steps()) == STEPS


@pytest.mark.parametrize("who", ("lowtide", "guard", "both"))
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step(who, step):
    if who != "lowtide" and step in UNSAFE_FOR_GUARD:
        pytest.skip("the one moment at which the guard may not be killed")
    for call, ms in (("registers", 600000), ("futex", 0)):
        with Victim(call, ms) as victim:
            if call != "registers":
                victim.wait_blocked()
            before = face(victim.pid)
            result = freeze(victim.pid, "--hold", 1, "--die", who, "--at", step)
            assert result.code == 137 if who != "guard" else result.code in (0, 70), result
            assert wait_until(lambda: not helpers_of(victim.pid)), "a helper process does not end"
            # A helper that is ending may bear the name no more and still be on its way out of the trace.
            assert wait_until(lambda: face(victim.pid) == before), (face(victim.pid), before)
            victim.line()
            outcome = victim.result()
            assert outcome["result"] == 0, outcome


def test_stopped_target_stays_stopped():
    with Victim("count", 60000) as victim:
        address = victim.process.stdout.readline().strip()
        pause_process(victim.pid)
        before = face(victim.pid)
        for mode in ("fork", "stop"):
            result = freeze(victim.pid, "--mode", mode, "--count", 5, "--word", address)
            assert result.code == 0 and len({f["first"] for f in result.freezes}) == 1, result
            assert stat_fields(Path(f"/proc/{victim.pid}/stat"))[0] == "T"
        assert face(victim.pid) == before
        os.kill(victim.pid, signal.SIGCONT)
        assert wait_until(lambda: stat_fields(Path(f"/proc/{victim.pid}/stat"))[0] == "R")


def test_stop_and_continue_while_frozen():
    with Victim("poll") as victim:
        with Looker(victim.pid) as looker:
            pause_process(victim.pid)
            assert looker.ended()[0] == 0
        assert stat_fields(Path(f"/proc/{victim.pid}/stat"))[0] == "T"
        os.kill(victim.pid, signal.SIGCONT)
        victim.line()
        assert victim.result()["result"] == 1


def test_job_control_is_not_disturbed():
    """The copy is in the target's process group. A stopped member of an orphaned group gets SIGHUP when a death
    orphans it; the copy's death must not count."""
    script = ("import os, signal, sys, time\n"
              "os.setpgid(0, 0)\n"
              "sibling = os.fork()\n"
              "if sibling == 0:\n"
              "    os.kill(os.getpid(), signal.SIGSTOP)\n"
              "    time.sleep(60)\n"
              "print(sibling, flush=True)\n"
              "os.waitpid(-1, 0)\n")
    import sys
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                          start_new_session=False) as target:
        try:
            sibling = int(target.stdout.readline())
            assert wait_until(lambda: stat_fields(Path(f"/proc/{sibling}/stat"))[0] == "T")
            assert freeze(target.pid, "--count", 10).code == 0
            assert stat_fields(Path(f"/proc/{sibling}/stat"))[0] == "T"
            assert target.poll() is None
        finally:
            os.kill(sibling, signal.SIGKILL)
            target.wait(10)
        assert target.returncode == 0


def test_copy_goes_when_the_target_ends():
    """It shares the table of descriptors: with the copy alive, ports of the ended service would stay bound."""
    with Victim("poll") as victim:
        with Looker(victim.pid) as looker:
            copy = Path(f"/proc/{looker.copy}")
            victim.line()
            assert victim.process.wait(20) == 0
            assert wait_until(lambda: not copy.exists() or stat_fields(copy / "stat")[0] in "ZX")
            assert looker.process.poll() is None
            assert "ended while it was looked at" in looker.ended()[1]


def test_target_killed_while_frozen():
    with Victim("poll") as victim:
        with Looker(victim.pid) as looker:
            victim.process.kill()
            assert looker.ended()[0] == 0


def test_two_at_once():
    with Victim("poll") as victim:
        before = face(victim.pid)
        lookers = [subprocess.Popen([tool("lt_freeze"), "--hold", "100", "--count", "20", str(victim.pid)],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for looker in lookers:
            err = looker.communicate(timeout=60)[1]
            # Either both get their turns, or one meets the other's moment and says who traces.
            assert looker.returncode == 0 or "traced by process" in err, err
            assert "zombie" not in err
        assert face(victim.pid) == before


def test_target_traced_by_another():
    with Victim("poll") as victim:
        tracer = subprocess.Popen(["strace", "-o", "/dev/null", "-p", str(victim.pid)], stderr=subprocess.DEVNULL)
        try:
            if not wait_until(lambda: face(victim.pid)["TracerPid"] != "0", 5):
                pytest.skip("strace cannot attach here")
            for mode in ("fork", "stop"):
                result = freeze(victim.pid, "--mode", mode)
                assert result.code == 4, result
                assert f"traced by process {tracer.pid} (strace)" in result.err
            assert freeze(victim.pid, "--mode", "live").code == 0
        finally:
            tracer.terminate()
            tracer.wait(10)


def test_no_such_process():
    result = freeze(4194304 - 1)
    assert result.code == 5 and "no process" in result.err


def test_limit_on_processes():
    """RLIMIT_NPROC of an ordinary user: the sentence names the limit, nothing is left."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")

    def limit() -> None:
        import resource
        os.setgid(65534)
        resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
        os.setuid(65534)

    if any(Path(f"/proc/{n}").stat().st_uid == 65534 for n in os.listdir("/proc") if n.isdigit() and Path(f"/proc/{n}").exists()):
        pytest.skip("the user nobody runs other programs here")
    with Victim("poll", preexec=limit) as victim:
        before = face(victim.pid)
        result = freeze(victim.pid)
        assert result.code != 0 and "limit on processes" in result.err and "--mode stop" in result.err, result
        assert face(victim.pid) == before
        assert freeze(victim.pid, "--mode", "stop").code == 0


def _group(kind: str) -> Path | None:
    """A new control group (version 1) of this kind, None when it cannot be made."""
    base = Path("/sys/fs/cgroup", kind)
    group = base / f"lowtide-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    return group


@pytest.fixture
def memory_group():
    group = _group("memory")
    if group is None or not (group / "memory.limit_in_bytes").exists():
        pytest.skip("no control group of version 1 for memory can be made here")
    yield group
    assert wait_until(lambda: _remove(group))


@pytest.fixture
def pids_group():
    group = _group("pids")
    if group is None or not (group / "pids.max").exists():
        pytest.skip("no control group of version 1 for processes can be made here")
    yield group
    assert wait_until(lambda: _remove(group))


def _remove(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def test_no_memory_headroom(memory_group):
    (memory_group / "memory.limit_in_bytes").write_text(str(8 << 20))
    with Victim("poll", preexec=lambda: (memory_group / "cgroup.procs").write_text(str(os.getpid()))) as victim:
        result = freeze(victim.pid)
        assert result.code != 0 and "MiB of memory left" in result.err, result
        assert memory_group.name in result.err and "--mode stop" in result.err
        assert freeze(victim.pid, "--mode", "stop").code == 0
        assert freeze(victim.pid, "--ignore-headroom").code == 0


def test_limit_on_processes_of_the_group(pids_group):
    with Victim("poll", preexec=lambda: (pids_group / "cgroup.procs").write_text(str(os.getpid()))) as victim:
        (pids_group / "pids.max").write_text("2")  # its two threads
        result = freeze(victim.pid)
        assert result.code != 0 and "limit on processes" in result.err, result
        (pids_group / "pids.max").write_text("4")
        assert freeze(victim.pid).code == 0


def test_lowtide_stopped_at_the_terminal_leaves_the_target_running():
    """Control-Z stops lowtide's process group, not the guard."""
    with Victim("registers", 600000) as victim:
        looker = subprocess.Popen([tool("lt_freeze"), "--hold", "60000", str(victim.pid)], stdout=subprocess.DEVNULL,
                                  process_group=0)
        try:
            os.kill(looker.pid, signal.SIGSTOP)
            time.sleep(0.2)
            assert stat_fields(Path(f"/proc/{victim.pid}/stat"))[0] == "R"
        finally:
            looker.kill()
            looker.wait(10)
        assert wait_until(lambda: not helpers_of(victim.pid))
        assert children(victim.pid) == {}
        victim.line()
        assert victim.result()["result"] == 0


def seccomp_filter(*forbidden: int, action: int = 0x80000000) -> None:
    """Installs a filter that answers the forbidden system calls with `action` (the default ends the process)."""
    import ctypes
    import struct
    libc = ctypes.CDLL(None, use_errno=True)
    steps = [(0x20, 0, 0, 0)]  # load the number of the call
    for i, number in enumerate(forbidden):
        steps.append((0x15, len(forbidden) - i, 0, number))
    steps += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, action)]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.create_string_buffer(head), 0, 0) == 0


@pytest.mark.parametrize("forbidden", [(), (56, 61)], ids=["allows everything", "kills for clone and wait4"])
def test_seccomp_filter(forbidden):
    """A filter neither keeps the copy from being made nor is it asked about it."""
    with Victim("poll", preexec=lambda: seccomp_filter(*forbidden)) as victim:
        result = freeze(victim.pid)
        assert result.code == 0, result
        assert children(victim.pid) == {}
        assert freeze(victim.pid, "--mode", "stop").code == 0
        victim.line()
        assert victim.result()["result"] == 1


def test_seccomp_filter_without_the_right_to_suspend_it():
    """CAP_SYS_ADMIN suspends filters; without it the target is left alone, with the remedy."""
    with Victim("poll", preexec=seccomp_filter) as victim:
        result = subprocess.run(["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin",
                                 tool("lt_freeze"), str(victim.pid)], capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 4, result
        assert "seccomp" in result.stderr and "--mode stop" in result.stderr
        assert children(victim.pid) == {}
        victim.line()
        assert victim.result()["result"] == 1


@pytest.mark.parametrize("who", ("", "lowtide", "guard"))
def test_target_in_another_pid_namespace(who):
    """Its ids are others there: the copy must be reaped by the id that the target knows, also by the janitor."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True).returncode != 0:
        pytest.skip("no PID namespace can be made here")
    with Victim("poll", wrap=("unshare", "--pid", "--fork", "--kill-child")) as outer:
        inner = next(iter(children(outer.pid)))
        assert wait_until(lambda: Path(f"/proc/{inner}/comm").read_text() == "lt_victim\n")
        before = face(inner)
        if who:
            freeze(inner, "--die", who, "--at", "given")
        else:
            result = freeze(inner, "--count", 5)
            assert result.code == 0 and result.err == "", result
        assert wait_until(lambda: not helpers_of(inner))
        assert face(inner) == before


def test_as_an_ordinary_user(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("the other tests are this one when they do not run as root")

    def become_nobody() -> None:
        os.setgid(65534)
        os.setuid(65534)

    if run_command("test", "-x", tool("lt_victim"), preexec=become_nobody).code != 0:
        pytest.skip("this tree lies where other users may not read")
    copy = tmp_path / "lt_freeze"
    copy.write_bytes(tool("lt_freeze").read_bytes())
    copy.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/tmp"):
            folder.chmod(0o755)

    with Victim("poll", preexec=become_nobody) as victim:
        before = face(victim.pid)
        result = run_command(copy, "--count", "5", victim.pid, preexec=become_nobody)
        if "ptrace_scope" in result.err:
            pytest.skip("this system lets only parents trace")
        assert result.code == 0 and result.err == "", result
        assert face(victim.pid) == before
    with Victim("poll") as victim:
        result = run_command(copy, victim.pid, preexec=become_nobody)
        assert result.code == 4 and "it belongs to root" in result.err, result
