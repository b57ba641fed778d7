#!/usr/bin/env python3
"""Makes .venv-corpus, the Python environment of the leak corpus (tests/live/leaks), with its libraries from PyPI.

Quick when it is there. What cannot be had, an interpreter or the network, is said in one line and is no error: the
programs that need a library are skipped then.
"""
from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
sys.dont_write_bytecode = True
from harness import pythons as known  # noqa: E402

TIMEOUT = 600


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
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return f"pip took more than {TIMEOUT} seconds"
    if done.returncode != 0:
        return "pip: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    stamp.write_text(wanted)
    return None


def main() -> int:
    target = known.corpus_dir()
    with open(known.CORPUS_REQUIREMENTS) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reason = make(target, known.CORPUS_REQUIREMENTS.read_text())
    if reason is not None:
        print(f"corpus: without its libraries: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
