"""Many threads that use their stacks."""
import threading
import time

from oracle import mappings, part

THREADS = 64
at = []


def deep(number):
    return list(map(deep, (number - 1,))) if number > 0 else []


def work():
    deep(100)
    at.append(threading.get_ident())
    begun.wait()
    while True:
        time.sleep(3600)


begun = threading.Barrier(THREADS + 1)
for _ in range(THREADS):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
time.sleep(0.2)
stacks = [one for one in mappings() if any(one["start"] <= ident < one["end"] for ident in at)]
total = sum(one["Rss"] for one in stacks)
ready(stacks=len(stacks), parts=[part("stacks", "stacks of threads", 0.95 * total, 1.05 * total + 65536, THREADS)])
