#!/usr/bin/env python3
"""Makes .venv-corpus, the Python environment of the leak corpus (tests/live/leaks), with its libraries from PyPI, and in it
the folders workloads/3.N with those of the workloads of `rss` (tests/live/rss), for interpreters that have no pip too.

Quick when it is there. What cannot be had, an interpreter or the network, is said in one line and is no error: the
programs that need a library are skipped then.
"""
from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
sys.dont_write_bytecode = True
from harness import pythons as known  # noqa: E402

TIMEOUT = 600


def run_pip(command: list) -> str | None:
    """None when it has installed everything, else why not."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return f"pip took more than {TIMEOUT} seconds"
    if done.returncode != 0:
        return "pip: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return None


def make(target: Path, wanted: str) -> str | None:
    """None when the environment is complete, else the reason why it is not."""
    stamp = target / ".complete"
    python = target / "bin" / "python"
    works = python.exists() and subprocess.run([python, "-c", ""], stdin=subprocess.DEVNULL, check=False).returncode == 0
    if works and stamp.is_file() and stamp.read_text() == wanted:
        return None
    shutil.rmtree(target, ignore_errors=True)
    candidates = [one for one in reversed(known.interpreters()) if one.root is None and one.minor in known.CORPUS_MINORS]
    for one in candidates:
        print(f"corpus: making {target.name} with CPython {one.label}", flush=True)
        made = subprocess.run([one.path, "-m", "venv", str(target)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if made.returncode == 0:
            break
        shutil.rmtree(target, ignore_errors=True)
    else:
        return f"no CPython of {', '.join(known.CORPUS_MINORS)} with venv"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--retries", "2",
               "--only-binary", ":all:", "-r", str(known.CORPUS_REQUIREMENTS)]
    reason = run_pip(command)
    if reason is None:
        stamp.write_text(wanted)
    return reason


def wanted_by(requirements: str, minor: str) -> list[str]:
    """The requirements for a version: pip asks for that of the interpreter that it runs on, whatever it is told to install for."""
    number = lambda text: tuple(map(int, text.split(".")))  # noqa: E731
    chosen = []
    for line in requirements.splitlines():
        line, _, marker = line.partition("#")[0].partition(";")
        found = re.fullmatch(r'\s*python_version (<|>=) "([0-9.]+)"\s*', marker) if marker else None
        assert not marker or found, f"a marker that is not understood: {marker}"
        if line.strip() and (found is None or (number(minor) < number(found[2])) == (found[1] == "<")):
            chosen.append(line.strip())
    return chosen


def make_workloads(target: Path, minor: str, wanted: str) -> str | None:
    """As make(), for a folder of PYTHONPATH."""
    stamp = target / ".complete"
    if stamp.is_file() and stamp.read_text() == wanted:
        return None
    pip = known.corpus_dir() / "bin" / "python"
    if not pip.exists():
        return "no pip"
    print(f"corpus: getting the libraries of the workloads for CPython {minor}", flush=True)
    shutil.rmtree(target, ignore_errors=True)
    command = [pip, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile",
               "--retries", "2", "--only-binary", ":all:", "--python-version", minor, "--implementation", "cp",
               "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64", "--target", str(target),
               *wanted_by(wanted, minor)]
    reason = run_pip(command)
    if reason is None:
        stamp.write_text(wanted)
    return reason


def main() -> int:
    with open(known.CORPUS_REQUIREMENTS) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reason = make(known.corpus_dir(), known.CORPUS_REQUIREMENTS.read_text())
        if reason is not None:
            print(f"corpus: without its libraries: {reason}")
        have = {one.minor for one in known.interpreters()}
        for minor in known.WORKLOAD_MINORS:
            reason = make_workloads(known.workload_dir(minor), minor, known.WORKLOAD_REQUIREMENTS.read_text()) if minor in have else None
            if reason is not None:
                print(f"corpus: without the libraries of the workloads for {minor}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
