#!/usr/bin/env python3
"""How long a freeze stops a process, beside a bare fork(2) of the same process in the same run.

The target fills 0.2, 1 and 4 GiB with objects. Freezes from outside and bare forks by the target itself take turns; the
ratio is that of their medians. The wanted bound is 1.3 times the bare fork and 2 ms.
"""
import json
import statistics
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))
from harness import Target, build_dir, interpreters  # noqa: E402
from harness.run import run_command  # noqa: E402

SIZES_GIB = (0.2, 1, 4)
ROUNDS = 9
BOUND_FACTOR, BOUND_MS = 1.3, 2.0

# The bare fork is timed by C code alone: from the call to its return in the parent, through the system call itself.
SCRIPT = r"""
import ctypes, gc, mmap, os, sys, time
gc.disable()
size = int(sys.argv[1])
held = []
while True:
    held.append([(i, [i]) for i in range(10000)])
    if len(held) % 20 == 0:
        with open("/proc/self/statm") as statm:
            if int(statm.read().split()[1]) * 4096 >= size:
                break
code = b"\xb8\x39\x00\x00\x00\x0f\x05\x85\xc0\x75\x09\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05\xc3"
room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
room.write(code)  # fork(); in the child: exit_group(0)
fork = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(room)))
ready()
while True:
    wait_line()
    begun = time.monotonic_ns()
    child = fork()
    ended = time.monotonic_ns()
    os.waitpid(child, 0)
    ready(fork_ns=ended - begun)
"""


def available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(interpreter, size: int) -> tuple[float, float, list[float]]:
    """Medians in milliseconds of freezes and forks, and all freezes."""
    freezes, forks = [], []
    with Target(interpreter, SCRIPT, str(size), timeout=600) as target:
        for _ in range(ROUNDS):
            target.wait_asleep()
            result = run_command(build_dir() / "tests/tools/lt_freeze", "--probe", "--ignore-headroom", target.pid)
            assert result.code == 0, result
            freezes.append(json.loads(result.out)["stall_ns"] / 1e6)
            target.send()
            forks.append(target.wait_ready()["fork_ns"] / 1e6)
    return statistics.median(freezes), statistics.median(forks), freezes


def main() -> int:
    if not (build_dir() / "tests/tools/lt_freeze").exists():
        print("lt_freeze is not built")
        return 77
    chosen = max((i for i in interpreters() if i.root is None), key=lambda i: i.version)
    print(f"CPython {chosen.label}, {ROUNDS} freezes and bare forks in turn")
    measured = 0
    for gib in SIZES_GIB:
        size = int(gib * (1 << 30))
        if available_bytes() < size * 1.5 + (1 << 30):
            print(f"{gib} GiB: left out, this machine has {available_bytes() / (1 << 30):.1f} GiB of memory to give")
            continue
        freeze, fork, all_freezes = measure(chosen, size)
        bound = BOUND_FACTOR * fork + BOUND_MS
        measured += 1
        print(f"{gib} GiB: freeze {freeze:.2f} ms ({min(all_freezes):.2f} to {max(all_freezes):.2f}), bare fork {fork:.2f} ms")
        print(f"RESULT stall at {gib} GiB, of 1.3 forks + 2 ms | {freeze:.2f} ms | {bound:.2f} ms (fork {fork:.2f} ms) | "
              f"{freeze / bound:.2f} | <= 1.0")
        print(f"RESULT stall at {gib} GiB, of a bare fork | {freeze:.2f} ms | {fork:.2f} ms | {freeze / fork:.2f} | ")
    return 0 if measured else 77


if __name__ == "__main__":
    sys.exit(main())
