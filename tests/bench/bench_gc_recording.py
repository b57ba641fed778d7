"""A long recording of the collector: memory of lowtide while it goes on, size of the file, and what a kill costs.

LOWTIDE_BENCH_SECONDS is its length, 120 unless given. Bounds: memory flat, the file linear, at most a second lost.
"""
import json
import os
import signal
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

from common import own_interpreter, result, run_lowtide
from harness import Target
from harness.run import lowtide_path
from harness.target import clean_environment, reset_signals

SECONDS = int(os.environ.get("LOWTIDE_BENCH_SECONDS", "120"))
EACH = max(1, SECONDS // 60)  # seconds between two looks at lowtide

# A busy service: requests that leave cycles behind, from a few places, and a full collection now and then.
SCRIPT = textwrap.dedent('''
    import gc, random, threading, time
    class Node:
        pass
    def request(size):
        first = last = Node()
        for _ in range(size):
            node = Node()
            node.before, last.after = last, node
            last = node
        last.after = first
    def sweep():
        gc.collect()
    def serve(seed):
        chance, made = random.Random(seed), 0
        while True:
            request(chance.randrange(10, 60))
            made += 1
            if made % 5000 == 0:
                sweep()
            if made % 10 == 0:
                time.sleep(0.002)
    for seed in range(3):
        threading.Thread(target=serve, args=(seed,), daemon=True).start()
    ready()
''')


def status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise ValueError(field)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Target(own_interpreter(), SCRIPT) as target:
        path = Path(folder, "long.tide")
        unfinished = Path(folder, "long.tide.unfinished")
        writer = subprocess.Popen([lowtide_path(), "gc", "-q", "-d", str(SECONDS * 2), "-o", path, str(target.pid)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=clean_environment(),
                                  preexec_fn=reset_signals)
        looks = []
        begin = time.monotonic()
        try:
            while time.monotonic() - begin < SECONDS:
                time.sleep(EACH)
                looks.append((time.monotonic() - begin, status_kib(writer.pid, "VmRSS"), unfinished.stat().st_size))
            used = cpu_seconds(writer.pid)
            killed_ns = time.monotonic_ns()
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        done = run_lowtide("gc", "--json", path, timeout=600)
        assert done.code == 0, done
        found = done.json["result"]
        count, seconds = found["summary"]["count"], found["summary"]["seconds"]
        first_ns = found["collections"][0]["monotonic_ns"] - found["collections"][0]["start"] * 1e9
        lost = (killed_ns - first_ns) / 1e9 - seconds
        size = unfinished.stat().st_size
        third = len(looks) // 3
        early, late = mean([rss for _, rss, _ in looks[third:2 * third]]), mean([rss for _, rss, _ in looks[2 * third:]])
        rates = [(b[2] - a[2]) / (b[0] - a[0]) for a, b in zip(looks[third:], looks[third + 1:])]
        half = len(rates) // 2
        print(f"{seconds:.0f} s by {found['source']}: {count:,} collections, {count / seconds:.0f} a second; {used / SECONDS * 100:.1f} % "
              f"of a core; RSS {looks[0][1] / 1024:.1f} MiB at first, {looks[-1][1] / 1024:.1f} at the end, "
              f"{done.json['cost']['peak_bytes'] / 2**20:.1f} MiB to read it in {done.json['cost']['elapsed_ms']:.0f} ms")
        print(json.dumps({"rss_kib": [rss for _, rss, _ in looks], "bytes": [size for _, _, size in looks]}))
        result("recording, memory", f"{late / 1024:.1f} MiB", f"{early / 1024:.1f} MiB earlier", f"{late / early:.2f} times", "<= 1.1")
        result("recording, growth of the file", f"{mean(rates[half:]) / 1024:.1f} KiB/s", f"{mean(rates[:half]) / 1024:.1f} KiB/s earlier",
               f"{mean(rates[half:]) / mean(rates[:half]):.2f} times", "<= 1.2")
        result("recording, file", f"{size / 2**20:.2f} MiB", f"{count:,} collections", f"{size / count:.1f} bytes a collection", "<= 64")
        result("recording, lost by a kill", f"{lost:.2f} s", "a second", f"{lost:.2f} s", "<= 1.2")
        # The same once more, finished.
        finished = Path(folder, "short.tide")
        again = run_lowtide("gc", "--json", "-d", "10", "-o", finished, target.pid)
        assert again.code == 0, again
        collections = again.json["result"]["summary"]["count"]
        size = finished.stat().st_size
        print(f"10 s, finished: {size} bytes, {size / collections:.1f} a collection")


main()
