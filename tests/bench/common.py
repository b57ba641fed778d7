"""What the benchmarks share: the line that scripts/bench.py collects, targets of a wanted shape, running lowtide with its figures."""
from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import Interpreter, build_dir, interpreters, run_lowtide  # noqa: E402


def result(name: str, measured: str, peer: str, ratio: str, wanted: str = "") -> None:
    print(f"RESULT {name} | {measured} | {peer} | {ratio} | {wanted}", flush=True)


def skip(reason: str) -> None:
    print(reason)
    sys.exit(77)


def own_interpreter() -> Interpreter:
    """The interpreter that runs the benchmarks: it has the peers' packages."""
    version = sys.version_info[:3]
    return Interpreter(version, sys.executable, "", False, "%d.%d.%d" % version)


def newest() -> Interpreter:
    """The newest interpreter here that runs outside a root of its own, else the newest."""
    found = [i for i in interpreters() if i.root is None] or list(interpreters())
    return found[-1]


def lowtide_seconds(*arguments: object, timeout: float = 600) -> tuple[float, dict]:
    """Wall-clock seconds of one run, and its JSON."""
    begin = time.perf_counter()
    done = run_lowtide(*arguments, "--json", timeout=timeout)
    seconds = time.perf_counter() - begin
    assert done.code == 0, done
    return seconds, done.json


def median_of(count: int, function, *arguments):
    """Runs function `count` times; the result whose first part is the median."""
    runs = sorted((function(*arguments) for _ in range(count)), key=lambda run: run[0])
    return runs[len(runs) // 2]


def spread(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}, median {statistics.median(values):.1f}"
