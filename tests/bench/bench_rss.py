"""How fast `lowtide rss` explains a process of 4 GiB, beside `lowtide types` and bare reading of the same memory.

Three processes: small objects; blocks of bytes; chunks of the C allocator that belong to no object. LOWTIDE_BENCH_GIB is
another size. The stall stands beside a bare fork(2) of the same process.
"""
import os
import statistics
import time

from bench_stall import available_bytes
from common import lowtide_seconds, median_of, newest, result, skip
from harness import Target

GIB = float(os.environ.get("LOWTIDE_BENCH_GIB", "4"))
WANTED_SECONDS = 5 * GIB / 4
PIECE = 1 << 20
ROUNDS = 3

# Fills memory until it is as large as asked for; then forks at each line that it is sent, and says how long that took.
SCRIPT = r"""
import ctypes, gc, mmap, os, sys, time
gc.disable()
size, what = int(sys.argv[1]), sys.argv[2]
held, made = [], 0
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

while resident() < size:
    for start in range(made, made + 100_000, 10_000):
        if what == "small objects":
            held.append([{"id": i, "name": "order %d" % i, "at": (i, float(i))} for i in range(start, start + 10_000)])
        elif what == "blocks":
            held.append([bytes(600 + i % 3000) for i in range(start, start + 10_000)])
        else:
            for i in range(10_000):
                libc.memset(libc.malloc(60 + i % 5 * 100), 1, 60 + i % 5 * 100)
    made += 100_000
code = b"\xb8\x39\x00\x00\x00\x0f\x05\x85\xc0\x75\x09\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05\xc3"
room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
room.write(code)  # fork(); in the child: exit_group(0)
fork = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(room)))
ready(made=made)
while True:
    wait_line()
    begun = time.monotonic_ns()
    child = fork()
    ended = time.monotonic_ns()
    os.waitpid(child, 0)
    ready(fork_ms=(ended - begun) / 1e6)
"""


def read_all(pid: int) -> tuple[float, int]:
    """Seconds for each resident byte of the process once, and the bytes: what no walk of a heap can be faster than."""
    ranges = []
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            fields = line.split()
            if "-" in fields[0] and not fields[0].endswith(":"):
                start, end = (int(part, 16) for part in fields[0].split("-"))
                wanted = fields[1].startswith("rw")
            elif fields[0] == "Rss:" and wanted and int(fields[1]) > 0:
                ranges.append((start, end))
    room, done = bytearray(PIECE), 0
    begin = time.perf_counter()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in ranges:
            while start < end:
                try:
                    got = os.preadv(memory.fileno(), [memoryview(room)[:min(PIECE, end - start)]], start)
                except OSError:
                    break
                if got <= 0:
                    break
                start += got
                done += got
    return time.perf_counter() - begin, done


def fork_ms(target) -> float:
    target.send()
    return target.wait_ready(60)["fork_ms"]


def measure(what: str) -> None:
    size = int(GIB * (1 << 30))
    with Target(newest(), SCRIPT, str(size), what, timeout=900) as target:
        made, resident = target.facts["made"], target.status("VmRSS") * 1024
        forks = [fork_ms(target) for _ in range(5)]
        target.wait_asleep()
        bare, done = median_of(ROUNDS, read_all, target.pid)
        census, _ = median_of(ROUNDS, lowtide_seconds, "types", target.pid)
        seconds, data = median_of(ROUNDS, lowtide_seconds, "rss", target.pid)
        found, cost = data["result"], data["cost"]
        fork = statistics.median(forks)
        bound = 1.3 * fork + 2
        print(f"{what}: {made:,} made, {resident / 2**30:.2f} GiB resident; explained {found['explained_ratio']:.1%} "
              f"in {seconds:.2f} s; types {census:.2f} s; reading {done / 2**30:.2f} GiB {bare:.2f} s")
        result(f"rss of {GIB:g} GiB, {what}", f"{seconds:.2f} s", f"{WANTED_SECONDS:g} s", f"{seconds / WANTED_SECONDS:.2f}", "<= 1.0")
        result(f"rss, {what}, of reading once", f"{seconds:.2f} s", f"{bare:.2f} s", f"{seconds / bare:.2f}")
        result(f"rss, {what}, of types", f"{seconds:.2f} s", f"{census:.2f} s", f"{seconds / census:.2f}")
        result(f"rss, {what}, stall of 1.3 forks + 2 ms", f"{cost['stall_ms']:.2f} ms", f"{bound:.2f} ms (fork {fork:.2f} ms)",
               f"{cost['stall_ms'] / bound:.2f}", "<= 1.0")
        result(f"rss, {what}, memory", f"{cost['peak_bytes'] / 2**20:.0f} MiB", f"target {resident / 2**20:.0f} MiB",
               f"{cost['peak_bytes'] / resident:.2f}", "<= 0.6")


if __name__ == "__main__":
    if available_bytes() < GIB * 1.5 * (1 << 30) + (1 << 30):
        skip(f"this machine has {available_bytes() / (1 << 30):.1f} GiB of memory to give, {GIB:g} GiB and half as much are wanted")
    for each in ("small objects", "blocks", "chunks of C code"):
        measure(each)
