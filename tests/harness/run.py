"""Runs the built lowtide as a user would."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .pythons import REPOSITORY
from .target import clean_environment, end_session, reset_signals

# Long enough for a sanitizer build on a loaded machine; no test waits for it in a good run.
TIMEOUT = 120
CLOCK_NANOSLEEP = "230"  # of x86-64, as /proc/PID/syscall has it


def build_dir() -> Path:
    return Path(os.environ.get("LOWTIDE_BUILD") or REPOSITORY / "build").resolve()


def watching(*arguments: object) -> subprocess.Popen:
    """lowtide at work, once it watches: what keeps it until then is no sleep, and what it does then is hardly anything else."""
    process = subprocess.Popen([build_dir() / "lowtide", *map(str, arguments)], text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(),
                               preexec_fn=reset_signals)
    deadline, asleep = time.monotonic() + 10, 0
    while asleep < 8 and time.monotonic() < deadline:
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
        try:
            call = Path(f"/proc/{process.pid}/syscall").read_text().split()[0]
        except OSError:  # not allowed, or not in this kernel
            call = "running"
        asleep = asleep + 1 if call == CLOCK_NANOSLEEP else 0
    return process


def lowtide_path() -> Path:
    return build_dir() / "lowtide"


@dataclass
class Result:
    code: int  # as a shell would say it: 128 + N for signal N
    out: str
    err: str
    timed_out: bool = False

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit code {self.code}{' (timed out)' if self.timed_out else ''}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run_command(*command: object, timeout: float = TIMEOUT, env: dict[str, str] | None = None,
                stdin: str | None = None, preexec=None) -> Result:
    """Runs a command in its own session, default signals, closed stdin; whatever it leaves behind is ended."""

    def prepare() -> None:
        reset_signals()
        if preexec is not None:
            preexec()

    process = subprocess.Popen([str(part) for part in command], text=True, errors="replace",
                               stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                               env=clean_environment(env), preexec_fn=prepare)
    timed_out = False
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        end_session(process.pid)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=10)
    finally:
        end_session(process.pid)
        process.wait(10)
    code = process.returncode
    return Result(128 - code if code < 0 else code, out, err, timed_out)


def run_lowtide(*arguments: object, **options) -> Result:
    """`lowtide ARGUMENTS...`; see run_command for the options. A time-out is a failure of the test."""
    result = run_command(lowtide_path(), *arguments, **options)
    assert not result.timed_out, f"lowtide {' '.join(map(str, arguments))} did not end\n{result}"
    return result
