"""How long the target stands still for one look, beside a bare fork(2) of the same process in the same run.

The target itself watches: a thread without pause notes the longest gap between two readings of the clock.
"""
import os
import time

from common import lowtide_seconds, newest, result
from harness import Target

SIZES_GIB = (0.2, 1, 4)
ROUNDS = 5

SCRIPT = r'''
import ctypes, os, sys, time
size = int(sys.argv[1])
# Half in small objects, whose pages lie scattered, half in large buffers.
small = [[i] for i in range(size // 2 // 128)]
large = [bytearray(1 << 20) for _ in range(size // 2 >> 20)]
for buffer in large:
    buffer[::4096] = b"x" * 256
libc = ctypes.PyDLL(None)

def bare_fork():
    begin = time.perf_counter()
    pid = libc.fork()
    if pid == 0:
        libc._exit(0)
    seconds = time.perf_counter() - begin
    os.waitpid(pid, 0)
    return seconds

bare_fork()
ready()
while True:
    command = wait_line()
    if command == "fork":
        ready(seconds=bare_fork())
    else:
        # Watches until the file that is named is there.
        longest, last, rounds = 0.0, time.perf_counter(), 0
        ready(watching=True)
        last = time.perf_counter()
        while True:
            now = time.perf_counter()
            if now - last > longest:
                longest = now - last
            last = now
            rounds += 1
            if rounds % 50000 == 0:
                if os.path.exists(command):
                    break
                last = time.perf_counter()
        ready(longest=longest)
'''


def watch(target: Target, look: bool) -> tuple[float, float]:
    """The longest gap in ms while lowtide looks (or for 0.2 s, undisturbed), and what lowtide says itself."""
    flag = target.directory / "end"
    target.send(str(flag))
    target.wait_ready()
    said = 0.0
    if look:
        said = lowtide_seconds("types", target.pid)[1]["cost"]["stall_ms"]
    else:
        time.sleep(0.2)
    flag.touch()
    longest = target.wait_ready(60)["longest"] * 1e3
    flag.unlink()
    return longest, said


def main() -> None:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for gib in SIZES_GIB:
        size = int(gib * 2**30)
        if size * 2 > free:
            print(f"{gib} GiB: skipped, this machine has only {free / 2**30:.1f} GiB free")
            continue
        with Target(newest(), SCRIPT, str(size), timeout=300) as target:
            forks, gaps, quiet, said = [], [], [], []
            for _ in range(ROUNDS):
                target.send("fork")
                forks.append(target.wait_ready()["seconds"] * 1e3)
                quiet.append(watch(target, look=False)[0])
                longest, own = watch(target, look=True)
                gaps.append(longest)
                said.append(own)
            resident = target.status("VmRSS") / 2**20
        # The least of each: what else runs on the machine only ever adds.
        fork, gap = min(forks), min(gaps)
        print(f"{resident:.2f} GiB resident: fork {fork:.1f} ms; longest gap {gap:.1f} ms (undisturbed {min(quiet):.1f} ms), "
              f"lowtide says {min(said):.1f} ms")
        result(f"stall at {gib} GiB", f"{gap:.1f} ms", f"1.3 x fork + 2 ms = {1.3 * fork + 2:.1f} ms",
               f"{gap / (1.3 * fork + 2):.2f}", "<= 1")


if __name__ == "__main__":
    main()
