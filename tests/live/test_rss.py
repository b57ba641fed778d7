"""Resident memory part by part: pymalloc against sys._debugmallocstats(), the parts against the kernel's figures."""
import re

import pytest
from harness import Target

# After ready() the target prints what its allocator holds and sleeps in the same frame: nothing is allocated in between.
QUIET = '''
import sys
from time import sleep
class Cart:
    def __init__(self, i):
        self.items = [i, str(i), (i,)]
        self.index = {i: bytes(i % 600), "total": float(i)}
held = [Cart(i) for i in range(20_000)]
del held[::3], held[1000:9000]
held = held[:3000] + [str(i) * 3 for i in range(9_000)]
stats = sys._debugmallocstats
ready()
def rest(show, wait):
    show()
    wait(3600)
rest(stats, sleep)
'''

CLASS = re.compile(r"^ *\d+ +(\d+) +(\d+) +(\d+) +(\d+)$", re.M)
LINES = {
    "arenas": r"^# arenas allocated current += +([\d,]+)$",
    "used_bytes": r"^# bytes in allocated blocks += +([\d,]+)$",
    "free_bytes": r"^# bytes in available blocks += +([\d,]+)$",
    "free_pools": r"^([\d,]+) unused pools \* \d+ bytes +=",
    "header_bytes": r"^# bytes lost to pool headers += +([\d,]+)$",
    "tail_bytes": r"^# bytes lost to quantization += +([\d,]+)$",
    "alignment_bytes": r"^# bytes lost to arena alignment += +([\d,]+)$",
    "arena_bytes": r"^[\d,]+ arenas \* \d+ bytes/arena += +([\d,]+)$",
}


def debug_malloc_stats(text: str) -> dict:
    """What the last call of sys._debugmallocstats() has printed."""
    text = text[text.rindex("Small block threshold"):]
    figures = {}
    for name, pattern in LINES.items():
        found = re.search(pattern, text, re.M)
        assert found, (name, text)
        figures[name] = int(found.group(1).replace(",", ""))
    figures["size_classes"] = [dict(zip(("size", "pools", "used_blocks", "free_blocks"), map(int, row)))
                               for row in CLASS.findall(text)]
    assert figures["size_classes"], text
    return figures


def compare_pymalloc(target, lowtide):
    target.wait_asleep()
    result = lowtide("rss", "--json", target.pid)
    assert result.code == 0, result
    found = result.json["result"]["pymalloc"]
    expected = debug_malloc_stats(target.output())
    assert {name: found[name] for name in expected} == expected


def test_every_number_of_pymalloc_is_the_interpreters_own(interpreter, lowtide):
    with Target(interpreter, QUIET) as target:
        compare_pymalloc(target, lowtide)


def rss(lowtide, target):
    result = lowtide("rss", "--json", target.pid)
    assert result.code == 0, result
    return result.json["result"]


def layer(found, name):
    return sum(part["bytes"] for part in found["parts"] if part["layer"] == name)


def test_small_objects(interpreter, lowtide):
    script = "held = [(i, str(i)) for i in range(200_000)]\nready()"
    with Target(interpreter, script) as target:
        target.wait_asleep()
        found = rss(lowtide, target)
        kib = target.status("VmRSS")
        assert abs(found["rss_bytes"] / 1024 - kib) < 0.02 * kib
        assert found["explained_ratio"] >= 0.97, found["parts"]
        total = sum(part["bytes"] for part in found["parts"])
        assert abs(total - found["rss_bytes"]) <= 0.02 * found["rss_bytes"], found["parts"]
        parts = {part["name"]: part for part in found["parts"]}
        assert parts["live objects: tuple"]["count"] >= 200_000, parts
        assert parts["live objects: str"]["bytes"] >= 200_000 * 48, parts
