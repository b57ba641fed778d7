"""What tests could leave behind: processes, mounts. Used at the end of a session of pytest and of scripts/run_tests.py."""
from __future__ import annotations

import os
from pathlib import Path

MARK = "LOWTIDE_TEST_RUN"


def mounts() -> set[str]:
    return {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()}


def marked_processes(value: str) -> dict[int, str]:
    """Processes, zombies left out, whose environment holds MARK=value: PID to command line."""
    found = {}
    needle = f"{MARK}={value}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        base = Path("/proc", name)
        try:
            if needle in base.joinpath("environ").read_bytes().split(b"\0"):
                found[int(name)] = base.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def reap_orphans() -> None:
    """Reaps what has ended among the children of this process (orphans come to it: it is a subreaper)."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass
