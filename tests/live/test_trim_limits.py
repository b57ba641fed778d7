"""Trims that meet what is rare: an exec while the new thread is there, handlers of signals in each other, calls and locks that last."""
import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from freezing import WITHOUT_LEAK_CHECK, face, helpers_of, tool, wait_until
from harness import Target
from harness.target import clean_environment
from test_trim_harm import LOCKED, STEPS, TRACE_STEPS, WAYS, empty, has_lock, mappings, settled, trim
from test_trim_meanwhile import FREED, OWN, ROOM

# One thread waits for SIGUSR1 and becomes another program, the others sleep. argv[1]: which one.
BECOMES = FREED + """
import os, signal, sys, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
def become():
    signal.sigwait([signal.SIGUSR1])
    os.execv(sys.executable, [sys.executable, "-S", "-c", "import time\\nwhile True: time.sleep(0.05)", "became"])
def sleep():
    while True:
        time.sleep(1000)
first, second = (become, sleep) if sys.argv[1] == "main" else (sleep, become)
threading.Thread(target=second, daemon=True).start()
threading.Thread(target=sleep, daemon=True).start()
ready()
first()
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", ("main", "thread"))
@pytest.mark.parametrize("step", [step for step in STEPS + TRACE_STEPS if step != "started"])
def test_exec_at_each_step(step, who, way):
    """An exec waits for the end of all other threads, the new one and the one that made it too, and lowtide must not wait for the exec."""
    with Target(OWN, BECOMES, who) as target:
        target.wait_asleep()
        result = trim(target.pid, "--die", "tell", "--at", step, way, timeout=60)
        assert result.code in (0, 5, 70), result
        passed_over = step == "ended" and way == "--alone"  # the guard sees the end before it lets go
        if passed_over:
            os.kill(target.pid, 10)
        command = Path(f"/proc/{target.pid}/cmdline")
        assert wait_until(lambda: command.read_bytes().endswith(b"\0became\0")), (result, command.read_bytes())
        assert wait_until(lambda: not helpers_of(target.pid, "lt_trim")), (helpers_of(target.pid, "lt_trim"), result)
        assert face(target.pid)["TracerPid"] == "0" and target.settled()
        ends = [line.split()[0].split("-") for line in Path(f"/proc/{target.pid}/maps").read_text().splitlines()]
        assert ROOM not in [int(end, 16) - int(start, 16) for start, end in ends]


@contextlib.contextmanager
def nested(way: str):
    process = subprocess.Popen([tool("lt_nested"), way], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               start_new_session=True, env=clean_environment(WITHOUT_LEAK_CHECK))
    try:
        if "libasan" in Path(f"/proc/{process.pid}/maps").read_text():
            pytest.skip("a sanitizer's allocator is in the place of the C library's")
        assert process.stdout.readline() == "ready\n"
        assert wait_until(lambda: Path(f"/proc/{process.pid}/syscall").read_text().startswith("7 "))
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.mark.parametrize("way", ("plain", "alternate", "nested"))
def test_handlers_above_malloc(way):
    """The thread waits in poll(2), far from malloc, but the handlers that it is in interrupted malloc."""
    with nested(way) as process:
        before, count = face(process.pid), mappings(process.pid)
        result = trim(process.pid)
        assert result.code == 70 and "not safe" in result.err and "may be inside malloc" in result.err, result
        assert settled(process.pid, before, count), (face(process.pid), before)
        out, _ = process.communicate("go\n", timeout=60)
        assert out == "over\n" and process.returncode == 0, (out, process.returncode)


def test_handler_above_the_programs_own_code():
    with nested("outside") as process:
        before, count = face(process.pid), mappings(process.pid)
        result = trim(process.pid, "--count", 5)
        assert result.code == 0 and all(call["way"] == "alone" for call in result.calls), result
        assert settled(process.pid, before, count), (face(process.pid), before)
        out, _ = process.communicate("go\n", timeout=60)
        assert out == "over\n" and process.returncode == 0, (out, process.returncode)


# A child of vfork(2) opens a pipe that nobody writes to: till then the thread that made it is in a call that no stop ends.
HELD_UP = FREED + """
import ctypes, os, sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
os.mkfifo(sys.argv[1])
ready()
wait_line()
pid = os.posix_spawn("/bin/true", ["true"], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)])
ready(status=os.waitpid(pid, 0)[1])
"""


def test_thread_that_cannot_stop_is_not_waited_for(tmp_path):
    """It is told to stop, and it does not until its child goes on: lowtide ends before, and the kernel lets it go."""
    pipe = tmp_path / "pipe"
    with Target(OWN, HELD_UP, str(pipe)) as target:
        target.send()
        try:
            assert wait_until(lambda: Path(f"/proc/{target.pid}/task/{target.pid}/stat").read_text().rpartition(")")[2].split()[0] == "D")
            count = mappings(target.pid)
            result = trim(target.pid, "--alone", timeout=90)
            assert result.code == 70 and "does not stop" in result.err, result
            assert wait_until(lambda: not helpers_of(target.pid, "lt_trim")) and face(target.pid)["TracerPid"] == "0"
            beside = trim(target.pid, "--beside", timeout=90)
            assert beside.code == 0 and beside.calls[0]["finished"], beside
            assert wait_until(lambda: not helpers_of(target.pid, "lt_trim") and mappings(target.pid) == count)
        finally:
            with contextlib.suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        assert target.wait_ready(30)["status"] == 0
        assert target.settled()


def test_lock_that_is_held_longer_than_lowtide_waits():
    """Lowtide says so and ends; its helpers stay until the thread has got the lock, and take the stack away."""
    with Target(OWN, LOCKED) as target:
        assert wait_until(lambda: has_lock(target))
        count = mappings(target.pid)
        result = trim(target.pid, "--beside", "--patience", 200)
        assert result.code == 0 and not result.calls[0]["finished"] and result.calls[0]["way"] == "beside", result
        assert helpers_of(target.pid, "lt_trim") and target.status("Threads") == 3 and mappings(target.pid) > count
        again = trim(target.pid, "--beside", "--patience", 200)
        assert again.code == 70 and "another lowtide is at work" in again.err and "lock of malloc" in again.err, again
        assert target.status("Threads") == 3
        empty(target)
        assert wait_until(lambda: target.status("Threads") == 1 and not helpers_of(target.pid, "lt_trim"))
        # The stack of the thread that had the lock may stay mapped, in the C library's own cache.
        ends = [line.split()[0].split("-") for line in Path(f"/proc/{target.pid}/maps").read_text().splitlines()]
        assert ROOM not in [int(end, 16) - int(start, 16) for start, end in ends]
        assert face(target.pid)["TracerPid"] == "0" and target.settled()
        assert json.loads(trim(target.pid).out)["finished"]
