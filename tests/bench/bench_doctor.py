"""How long `lowtide doctor` takes with its findings on resident memory and without, beside `lowtide rss` of the same process.

Two processes: small objects; holes of the C allocator and arenas that survivors pin, where there is something to find.
LOWTIDE_BENCH_GIB is another size. Both of doctor's figures come from one run each: that step is its last.
"""
import json
import os

from bench_stall import available_bytes
from common import lowtide_seconds, median_of, newest, result, skip
from harness import Target, build_dir, run_command

GIB = float(os.environ.get("LOWTIDE_BENCH_GIB", "1"))
ROUNDS = 5

SCRIPT = r"""
import sys
size, what = int(sys.argv[1]), sys.argv[2]
held, made = [], 0

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

while resident() < size:
    for start in range(made, made + 100_000, 10_000):
        held.append([{"id": i, "name": "order %d" % i, "at": (i, float(i))} for i in range(start, start + 10_000)])
        if what == "survivors and holes":
            held.append([bytes(600 + i % 3000) for i in range(start, start + 10_000)])
    made += 100_000
if what == "survivors and holes":
    held = [part[::40] for part in held]
ready(made=made)
"""


def doctor_seconds(pid: int) -> tuple[float, dict]:
    done = run_command(build_dir() / "tests/tools/lt_doctor_cost", pid, timeout=600)
    assert done.code == 0, done
    figures = json.loads(done.out)
    return figures["seconds"], figures


def measure(what: str) -> None:
    with Target(newest(), SCRIPT, str(int(GIB * (1 << 30))), what, timeout=600) as target:
        target.wait_asleep()
        resident = target.status("VmRSS") / 1024
        seconds, figures = median_of(ROUNDS, doctor_seconds, target.pid)
        rss, _ = median_of(ROUNDS, lowtide_seconds, "rss", target.pid)
        without = seconds - figures["memory_seconds"]
        print(f"{what}: {target.facts['made']:,} made, {resident:.0f} MiB resident; doctor {seconds:.2f} s, {figures['findings']} findings, "
              f"of which its look at memory {figures['memory_seconds']:.3f} s; rss {rss:.2f} s")
        result(f"doctor with its findings on memory, {what}, of without", f"{seconds:.2f} s", f"{without:.2f} s", f"{seconds / without:.3f}")
        result(f"findings on memory, {what}, of rss alone", f"{figures['memory_seconds']:.3f} s", f"{rss:.2f} s",
               f"{figures['memory_seconds'] / rss:.3f}")


if __name__ == "__main__":
    if available_bytes() < GIB * 2 * (1 << 30) + (1 << 30):
        skip(f"this machine has {available_bytes() / (1 << 30):.1f} GiB of memory to give, {GIB * 2:g} GiB are wanted")
    for each in ("small objects", "survivors and holes"):
        measure(each)
