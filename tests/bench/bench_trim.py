#!/usr/bin/env python3
"""lowtide trim beside the program's own malloc_trim(0), and a thousand times in a service that allocates in 16 threads.

A program frees 400 MiB of malloc but for one block in 20; then either lowtide trims it, or it calls malloc_trim(0) itself by ctypes, in
turns. The ratio is that of the medians of how long threads of it stood (by lowtide's own clock) and how long its own
call took, which is how long the thread that calls stands. Then the service: each block is full of a byte that is
checked when it goes. TRIMS=100 asks for fewer than a thousand.
"""
import json
import os
import statistics
import sys
import time
from pathlib import Path

from common import lowtide_seconds, newest, result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))
from harness import Target, build_dir, run_command  # noqa: E402
from test_trim import LOAD  # noqa: E402

ROUNDS = 7
TRIMS = int(os.environ.get("TRIMS", "1000"))

SCRIPT = r"""
import ctypes, sys, threading, time
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for _ in range(int(sys.argv[1])):
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
blocks = []
def fill():
    new = [libc.malloc(5000) for _ in range(80_000)]
    for block in new:
        ctypes.memset(block, 1, 5000)
    for i, block in enumerate(new):
        if i % 20:
            libc.free(block)
        else:
            blocks.append(block)
while True:
    while blocks:
        libc.free(blocks.pop())
    fill()
    ready(ms=0)
    if wait_line() == "own":
        begin = time.perf_counter()
        libc.malloc_trim(0)
        ready(ms=(time.perf_counter() - begin) * 1e3)
        wait_line()
"""


def beside_own(threads: int) -> None:
    stalls, calls, own, errors = [], [], [], []
    with Target(newest(), SCRIPT, str(threads), timeout=120) as target:
        for _ in range(ROUNDS):
            target.wait_asleep()
            figures = lowtide_seconds("trim", target.pid)[1]["result"]
            round_ = figures["rounds"][0]
            returned = figures["before_bytes"] - figures["after_bytes"]
            stalls.append(round_["stall_ms"])
            calls.append(round_["call_ms"])
            errors.append(abs(figures["predicted_bytes"] / returned - 1))
            target.send("next")
            target.wait_ready(60)
            target.wait_asleep()
            target.send("own")
            own.append(target.wait_ready(60)["ms"])
            target.send("next")
            target.wait_ready(60)
    stall, mine = statistics.median(stalls), statistics.median(own)
    way = round_["way"]
    print(f"{threads + 1} threads ({way}): stood {min(stalls):.1f} to {max(stalls):.1f} ms, call {statistics.median(calls):.1f} ms, "
          f"own {min(own):.1f} to {max(own):.1f} ms, {returned >> 20} MiB")
    result(f"stall of a trim, {threads + 1} thread{'s' if threads else ''}, of the program's own", f"{stall:.1f} ms", f"{mine:.1f} ms",
           f"{stall / mine:.2f}", "<= 1.3" if way == "alone" else "<= 0.2")
    result(f"trim predicted and real, {threads + 1} thread{'s' if threads else ''}", f"off by {100 * max(errors):.2f} %", "10 %",
           f"{max(errors) / 0.1:.3f}", "<= 1.0")


def under_load() -> None:
    begin = time.monotonic()
    with Target(newest(), LOAD, "16", "0") as target:
        done = run_command(build_dir() / "tests/tools/lt_trim", "--count", TRIMS, target.pid, timeout=3000)
        seconds = time.monotonic() - begin
        calls = [json.loads(line) for line in done.out.splitlines()]
        assert done.code == 0 and len(calls) == TRIMS and all(call["finished"] for call in calls), done
        target.send()
        facts = target.wait_ready(120)
        assert facts["wrong"] == [] and min(facts["rounds"]) > 0, facts
        assert target.settled() and target.status("Threads") == 1
    stalls = [call["stall_ns"] / 1e6 for call in calls]
    print(f"{TRIMS} trims in {seconds:.0f} s: stood {min(stalls):.2f} to {max(stalls):.1f} ms, median {statistics.median(stalls):.2f}; "
          f"{sum(facts['rounds']):,} blocks checked, none wrong")
    result("trims of 16 threads under load: deadlocks, crashes, wrong bytes", f"0 of {TRIMS}", "0", "0", "0")


beside_own(0)
beside_own(3)
under_load()
