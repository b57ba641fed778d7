"""What the tests of the freeze share: the two tools, and what a process shows of itself from outside."""
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import build_dir
from harness.run import run_command
from harness.target import clean_environment, end_session, reset_signals


# Allocators that a program is given in place of glibc's.
JEMALLOC = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")

# The leak check of a sanitized victim traces it, and takes system calls of its own, when it ends.
WITHOUT_LEAK_CHECK = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "abort_on_error=1") + ":detect_leaks=0"}


def tool(name: str) -> Path:
    path = build_dir() / "tests" / "tools" / name
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return path


def steps() -> list[str]:
    return run_command(tool("lt_freeze"), "--steps").out.split()


def freeze(pid: int, *arguments: object, timeout: float = 120):
    """lt_freeze; what it printed is in `freezes`, a dictionary each."""
    result = run_command(tool("lt_freeze"), *arguments, pid, timeout=timeout)
    result.freezes = [json.loads(line) for line in result.out.splitlines()]
    return result


def stat_fields(path: Path) -> list[str]:
    return path.read_text().rpartition(")")[2].split()


def children(pid: int) -> dict[int, str]:
    """Direct children, zombies too: PID to state letter."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = stat_fields(Path("/proc", name, "stat"))
            except OSError:
                continue
            if int(fields[1]) == pid:
                found[int(name)] = fields[0]
    return found


def descriptors(pid: int) -> list[tuple[str, str]]:
    """Number and file of each descriptor; one that is closed while they are read is left out."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append((name, os.readlink(f"/proc/{pid}/fd/{name}")))
    return sorted(found)


def face(pid: int) -> dict[str, object]:
    """What a freeze must leave as it was: tracer, descriptors, signals blocked, ignored, caught and pending."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    shown = {name: status[name].strip() for name in ("TracerPid", "SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd", "Threads")}
    shown["fds"] = descriptors(pid)
    shown["children"] = sorted(children(pid))
    return shown


def wait_until(condition, timeout: float = 20) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Looker:
    """lt_freeze that has frozen `pid` and holds the copy until `ended()`."""

    def __init__(self, pid: int):
        self.pid = pid

    def __enter__(self) -> "Looker":
        self.process = subprocess.Popen([tool("lt_freeze"), "--hold", "-", str(self.pid)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "held\n":
            raise AssertionError(f"no copy was made: {self.process.communicate()}, exit code {self.process.returncode}")
        [self.copy] = [child for child, state in children(self.pid).items() if state not in "ZX"]
        return self

    def ended(self) -> tuple[int, str]:
        """Ends the look: its exit code and what it wrote on standard error."""
        err = self.process.communicate(timeout=20)[1]
        return self.process.returncode, err

    def __exit__(self, *exc) -> None:
        self.process.kill()
        self.process.communicate()


def helpers_of(pid: int, program: str = "lt_freeze") -> list[int]:
    """Guards and janitors that still look after `pid`: their command line is that of the program that started them."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                line = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if line[0].endswith(program.encode()) and str(pid).encode() in line:
                found.append(int(name))
    return found


class Victim:
    """lt_victim in one call. A context manager; `line()` makes true what an endless call waits for."""

    def __init__(self, call: str, ms: int = 0, wrap: tuple[str, ...] = (), preexec=None, preload: Path | None = None):
        self.call, self.ms, self.wrap, self.preexec = call, ms, wrap, preexec
        self.env = WITHOUT_LEAK_CHECK | ({} if preload is None else {"LD_PRELOAD": str(preload)})

    def __enter__(self) -> "Victim":
        def prepare() -> None:
            reset_signals()
            if self.preexec is not None:
                self.preexec()

        self.process = subprocess.Popen([*self.wrap, str(tool("lt_victim")), self.call, str(self.ms)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True, preexec_fn=prepare, env=clean_environment(self.env))
        self.pid = self.process.pid
        assert self.process.stdout.readline() == "ready\n"
        return self

    def wait_blocked(self) -> None:
        """Until every thread sleeps, and sleeps on: what comes before the call may sleep for a moment too."""
        def sleeps() -> dict:
            found = {}
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                switches = [line for line in (task / "status").read_text().splitlines() if "ctxt_switches" in line]
                found[task.name] = (stat_fields(task / "stat")[0] in "STt", switches)
            return found

        def asleep() -> bool:
            first = sleeps()
            if not all(asleep for asleep, _ in first.values()):
                return False
            time.sleep(0.05)
            return sleeps() == first
        assert wait_until(asleep)

    def line(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self, timeout: float = 60) -> dict:
        """Its last line, once it has ended by itself."""
        code = self.process.wait(timeout)
        assert code == 0, f"{self.call} ended with {code}: {self.process.stderr.read()}"
        return json.loads(self.process.stdout.read().splitlines()[-1])

    def __exit__(self, *_) -> None:
        end_session(self.pid)
        self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass


def pause_process(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: stat_fields(Path(f"/proc/{pid}/stat"))[0] == "T")
