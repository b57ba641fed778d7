"""Speed and memory of the census of three million tracked objects, beside guppy3's heap() of the same process.

On a heap whose collector lists are in the order of allocation, and on one where they are shuffled.
"""
import importlib.util

from common import lowtide_seconds, median_of, own_interpreter, result, skip
from harness import Target

OBJECTS = 3_000_000

SCRIPT = r'''
import gc, random, sys, time
count, shuffled = int(sys.argv[1]) // 3, sys.argv[2] == "shuffled"
gc.disable()

class Row:
    __slots__ = ("cells", "links")
    def __init__(self, number):
        self.cells = [number]
        self.links = {"row": self}

made = [Row(i) for i in range(count)]
if shuffled:
    random.Random(1).shuffle(made)
# A collection links what it reaches from the youngest list in the order in which that list holds it.
rows = list(made)
del made
gc.collect()
ready(tracked=len(gc.get_objects()))
wait_line()
from guppy import hpy
heapy = hpy()
begin = time.perf_counter()
heap = heapy.heap()
seconds = time.perf_counter() - begin
ready(seconds=seconds, counted=heap.count)
'''


def measure(order: str) -> None:
    with Target(own_interpreter(), SCRIPT, str(OBJECTS), order, timeout=600) as target:
        tracked, resident = target.facts["tracked"], target.status("VmRSS") * 1024
        seconds, data = median_of(3, lowtide_seconds, "types", target.pid)
        counted = data["result"]["count"]
        print(f"{order}: {tracked:,} tracked objects, {resident / 2**20:.0f} MiB resident; lowtide counted {counted:,} in "
              f"{seconds:.2f} s, standing still {data['cost']['stall_ms']:.1f} ms")
        target.send()
        peer = target.wait_ready(600)["seconds"]
    peak = data["cost"]["peak_bytes"]
    result(f"census, {order}", f"{seconds:.2f} s", f"guppy3 {peer:.2f} s", f"{peer / seconds:.1f} x as fast", ">= 5")
    result(f"memory, {order}", f"{peak / 2**20:.0f} MiB", f"target {resident / 2**20:.0f} MiB", f"{peak / resident:.2f}",
           "<= 0.6")


if __name__ == "__main__":
    if importlib.util.find_spec("guppy") is None:
        skip("guppy3 is not installed here")
    measure("ordered")
    measure("shuffled")
