#!/usr/bin/env python3
"""Runs the benchmarks, tests/bench/bench_*.py, one after the other, and prints their ratios in one table.

A benchmark is a program. It prints what it does as it likes, and for each figure a line

    RESULT name | measured | peer or bound | ratio | wanted

(five texts; `wanted` such as ">= 5" or "<= 0.6", empty for none). Both sides of a ratio come from the same run. Exit
code 77 skips it, with the reason as its last line. Timings never decide: the exit code is 1 only when a benchmark breaks.
"""
from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
sys.dont_write_bytecode = True
from harness.target import end_session, reset_signals  # noqa: E402

TIMEOUT = 3600


def meets(ratio: str, wanted: str) -> str:
    number = re.search(r"-?\d+(?:\.\d+)?", ratio)
    bound = re.fullmatch(r"\s*([<>]=)\s*(\d+(?:\.\d+)?).*", wanted)
    if number is None or bound is None:
        return ""
    value, limit = float(number.group()), float(bound.group(2))
    return "met" if (value >= limit if bound.group(1) == ">=" else value <= limit) else "missed"


def run(path: Path, environment: dict[str, str]) -> tuple[int, list[str]]:
    """Exit code and lines; the lines are shown as they come."""
    process = subprocess.Popen([sys.executable, "-u", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", env=environment, cwd=REPOSITORY,
                               start_new_session=True, preexec_fn=reset_signals)
    lines = []
    deadline = time.monotonic() + TIMEOUT
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if not line.startswith("RESULT "):
                print("  " + lines[-1], flush=True)
            if time.monotonic() > deadline:
                print(f"  out of time after {TIMEOUT} s")
                break
    finally:
        end_session(process.pid)
        code = process.wait()
    return code, lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build-release")
    parser.add_argument("names", nargs="*", help="only benchmarks whose name contains one of these")
    options = parser.parse_args()
    environment = {**os.environ, "LOWTIDE_BUILD": str(Path(options.build).resolve()), "PYTHONDONTWRITEBYTECODE": "1",
                   "PYTHONPATH": str(REPOSITORY / "tests")}
    broken, rows = 0, []
    for path in sorted((REPOSITORY / "tests" / "bench").glob("bench_*.py")):
        name = path.stem.removeprefix("bench_")
        if options.names and not any(part in name for part in options.names):
            continue
        print(f"bench {name}", flush=True)
        code, lines = run(path, environment)
        if code == 77:
            print(f"  skipped: {lines[-1] if lines else 'no reason given'}")
            continue
        if code != 0:
            print(f"  broken: exit code {code}")
            broken += 1
        for line in lines:
            if line.startswith("RESULT "):
                parts = [part.strip() for part in line[len("RESULT "):].split("|")]
                parts += [""] * (5 - len(parts))
                rows.append([*parts[:5], meets(parts[3], parts[4])])
    if rows:
        rows.insert(0, ["figure", "measured", "peer or bound", "ratio", "wanted", ""])
        widths = [max(len(row[column]) for row in rows) for column in range(6)]
        print()
        for row in rows:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
