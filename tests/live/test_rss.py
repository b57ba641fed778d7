"""Resident memory part by part: pymalloc against sys._debugmallocstats(), the parts against the kernel's figures."""
import re
from pathlib import Path

import pytest
from harness import Target, corpus_interpreter

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


# A big structure of which few objects survive, all of one type, and the expression that begins what reaches them.
SURVIVORS = {
    "instances": ("class Order:\n    def __init__(self, i):\n        self.number = i\n        self.note = str(i)\n",
                  "Order(i)", "__main__.Order"),
    "dicts": ("", "{'number': i, 'name': str(i)}", "dict"),
    "strings": ("", "'order number %d' % i * 3", "str"),
    "tuples": ("", "(i, i, i, i, i, i, i, i)", "tuple"),
}


@pytest.mark.parametrize("kind", SURVIVORS)
def test_survivors_that_pin_arenas_are_named_first(interpreter, lowtide, kind):
    setting, make, type_name = SURVIVORS[kind]
    script = f"{setting}rows = [{make} for i in range(150_000)]\nsurvivors = rows[::1000]\ndel rows\nready()"
    with Target(interpreter, script) as target:
        target.wait_asleep()
        found = rss(lowtide, target)
        first = found["pins"][0]
        assert first["type"] == type_name, found["pins"]
        assert first["layer"] == "pymalloc arena"
        assert 100 <= first["count"] <= 3000, found["pins"]
        assert "survivors[" in first["expression"], found["pins"]
        arenas = found["pymalloc"]["arena_bytes"]
        assert 0.5 * arenas < first["holds_bytes"] <= arenas
        assert found["explained_ratio"] >= 0.97, found["parts"]
        free = sum(part["bytes"] for part in found["parts"] if part["name"].startswith("free "))
        assert free > 0.5 * arenas, found["parts"]


# The same of what the C allocator has.
BIG_SURVIVORS = {
    "bytes": ("", "b'%d' % (10 ** 9 + i) * 2_000", "bytes"),
    "strings": ("", "'number %d' % (10 ** 9 + i) * 1_000", "str"),
    "lists": ("", "[i] * 2_000", "list"),
    "tuples": ("", "(i,) * 2_000", "tuple"),
    "sets": ("", "set(range(i, i + 300))", "set"),
}


@pytest.mark.parametrize("kind", BIG_SURVIVORS)
def test_survivors_between_holes_are_named_first(interpreter, lowtide, kind):
    setting, make, type_name = BIG_SURVIVORS[kind]
    script = f"{setting}rows = [{make} for i in range(2_000)]\nsurvivors = rows[::50]\ndel rows\nready()"
    with Target(interpreter, script) as target:
        target.wait_asleep()
        found = rss(lowtide, target)
        first = next(pin for pin in found["pins"] if pin["layer"] == "malloc heap")
        assert first["type"] == type_name, found["pins"]
        assert 30 <= first["count"] <= 50, found["pins"]
        assert first["holds_bytes"] > 10_000_000, found["pins"]
        assert first["expression"] is None or "survivors[" in first["expression"], found["pins"]


@pytest.mark.parametrize("allocator", ["debug", "malloc"])
def test_other_ways_to_allocate_are_explained(interpreter, lowtide, allocator):
    script = "held = [[str(i), [i]] for i in range(30_000)]\nready()"
    with Target(interpreter, script, env={"PYTHONMALLOC": allocator}) as target:
        check_workload(target, lowtide, [("objects", "live objects: list", 60_000 * 60), ("objects", "live objects: str", 30_000 * 48)])


def test_blocks_of_the_mimalloc_in_python_are_told_apart(interpreter, lowtide):
    if interpreter.version < (3, 13):
        pytest.skip("CPython has mimalloc from 3.13 on")
    script = """
import json, sys
held = [[str(i), [i], bytes(i % 3_000)] for i in range(30_000)]
del held[::3]
ready(blocks=sys.getallocatedblocks())
"""
    with Target(interpreter, script, env={"PYTHONMALLOC": "mimalloc"}) as target:
        found = check_workload(target, lowtide, [("objects", "live objects: list", 40_000 * 60), ("objects", "live objects: bytes", 20_000 * 1_500)])
        other, blocks = found["other_allocator"], target.facts["blocks"]
        assert other["name"] == "mimalloc" and other["torn"] == 0, other
        assert abs(other["used_blocks"] - blocks) <= 0.005 * blocks, (other, blocks)
        assert found["allocator"].startswith("glibc") and found["allocator"].endswith("beside CPython's mimalloc"), found["allocator"]


@pytest.mark.parametrize("shared", [True, False])
def test_memory_that_was_never_touched_is_beside(interpreter, lowtide, shared):
    script = f"""
import mmap
wait_line()
held = mmap.mmap(-1, 300 << 20, flags=mmap.MAP_ANONYMOUS | mmap.{'MAP_SHARED' if shared else 'MAP_PRIVATE'})
for at in range(0, 100 << 20, 4096):
    held[at] = 1
ready()
"""
    with Target(interpreter, script, wait=False) as target:
        target.send()
        target.wait_ready()
        target.wait_asleep()
        found = rss(lowtide, target)
        assert found["explained_ratio"] > 0.97 and found["rss_bytes"] > 100 << 20
        # Stacks of threads and free ends of heaps are beside it.
        assert 200 << 20 <= found["untouched_bytes"] < 240 << 20, found["untouched_bytes"]


def test_a_mapping_that_the_kernel_joined_with_another(interpreter, lowtide):
    """Memory of C code comes right below that of an mmap object, and both are one mapping."""
    script = """
import ctypes, mmap
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
held = mmap.mmap(-1, 80 << 20, flags=mmap.MAP_ANONYMOUS | mmap.MAP_PRIVATE)
held.write(b"x" * (80 << 20))
libc.memset(libc.mmap(None, 1 << 20, 3, 0x22, -1, 0), 1, 1 << 20)
ready()
"""
    with Target(interpreter, script) as target:
        target.wait_asleep()
        found = rss(lowtide, target)
        assert found["explained_ratio"] > 0.97, found["parts"]
        held, = (part for part in found["parts"] if part["name"] == "live objects: mmap.mmap")
        assert abs(held["bytes"] - (80 << 20)) < 1 << 20, found["parts"]


def test_a_process_that_uses_its_arenas_has_no_pins(interpreter, lowtide):
    with Target(interpreter, "held = [(i, str(i)) for i in range(200_000)]\nready()") as target:
        target.wait_asleep()
        found = rss(lowtide, target)
        assert sum(pin["holds_bytes"] for pin in found["pins"]) < 0.1 * found["rss_bytes"], found["pins"]


# Each is a program that calls ready(), and how many bytes at least some part of it has: layer and start of the name.
WORKLOADS = {
    "strings": ("held = [str(i) * 400 for i in range(20_000)]\nready()",
                [("objects", "live objects: str", 30_000_000)]),
    "dicts": ("held = {i: {j: j for j in range(30)} for i in range(6_000)}\nready()",
              [("objects", "live objects: dict", 6_000_000)]),
    "buffers": ("held = [bytearray(b'x' * 300_000) for _ in range(100)] + [b'%d' % (10 ** 9 + i) * 500 for i in range(4_000)]\nready()",
                [("objects", "live objects: bytearray", 30_000_000), ("objects", "live objects: bytes", 20_000_000)]),
    "threads": ('''
import threading, time
kept = []
def work():
    kept.append([str(i) * 50 for i in range(3_000)])
    barrier.wait()
    time.sleep(3600)
barrier = threading.Barrier(33)
for _ in range(32):
    threading.Thread(target=work, daemon=True).start()
barrier.wait()
ready()
''', [("objects", "live objects: str", 15_000_000), ("stacks", "stacks of threads", 32 * 4096)]),
    "mapped file": ('''
import mmap, os, tempfile
path = os.path.join(tempfile.mkdtemp(dir=os.path.dirname(__file__)), "table.bin")
with open(path, "wb+") as file:
    file.truncate(30_000_000)
    held = mmap.mmap(file.fileno(), 0)
held[:] = b"x" * len(held)
anonymous = mmap.mmap(-1, 20_000_000)
anonymous[:] = b"y" * len(anonymous)
ready()
''', [("files", "table.bin", 29_000_000), ("files", "", 49_000_000)]),
    "native leak": ('''
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
for i in range(20_000):
    ctypes.memset(libc.malloc(1000), 1, 1000)
for i in range(20):
    ctypes.memset(libc.malloc(1_000_000), 1, 1_000_000)
ready()
''', [("malloc", "used by no Python object", 20_000_000), ("malloc", "big blocks of no Python object", 19_000_000)]),
    "tasks": ('''
import asyncio
async def wait(number):
    await event.wait()
async def main():
    global event, tasks
    event = asyncio.Event()
    tasks = [asyncio.create_task(wait(i)) for i in range(10_000)]
    await asyncio.sleep(0)
    ready()
    await event.wait()
asyncio.run(main())
''', [("objects", "live objects: coroutine", 1_000_000), ("objects", "live objects: _asyncio.Task", 1_000_000)]),
    "interpreter's own": ("import decimal, ssl, xml.etree.ElementTree, email.message, sqlite3\nready()",
                          [("objects", "live objects: code", 200_000), ("files", "", 2_000_000)]),
}


def check_workload(target, lowtide, wanted):
    target.wait_asleep()
    found = rss(lowtide, target)
    total = sum(part["bytes"] for part in found["parts"])
    assert found["explained_ratio"] >= 0.97, found["parts"]
    assert abs(total - found["rss_bytes"]) <= 0.02 * found["rss_bytes"], found["parts"]
    for where, name, least in wanted:
        have = sum(part["bytes"] for part in found["parts"] if part["layer"] == where and part["name"].startswith(name))
        assert have >= least, (where, name, have, found["parts"])
    return found


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload_is_explained(interpreter, lowtide, name):
    script, wanted = WORKLOADS[name]
    if name == "interpreter's own" and interpreter.root is not None:
        script = script.replace(", sqlite3", "")
    with Target(interpreter, script) as target:
        check_workload(target, lowtide, wanted)


def test_arrays_of_numpy_are_explained(lowtide):
    if corpus_interpreter() is None:
        pytest.skip("numpy: not here (scripts/corpus.py tells why)")
    script = """
import numpy
big = numpy.ones(5_000_000)
small = [numpy.ones(500) for _ in range(5_000)]
ready()
"""
    with Target(corpus_interpreter(), script) as target:
        check_workload(target, lowtide, [("objects", "live objects: numpy.ndarray", 59_000_000)])


def test_what_workers_share_is_shared(interpreter, lowtide):
    script = """
import gc, os, time
held = [b'%d' % (10 ** 9 + i) * 10_000 for i in range(300)]
gc.disable()
gc.freeze()
worker = os.fork()
if worker == 0:
    time.sleep(3600)
ready(worker=worker)
"""
    with Target(interpreter, script) as target:
        found = check_workload(target, lowtide, [("objects", "live objects: bytes", 29_000_000)])
        held = next(part for part in found["parts"] if part["name"] == "live objects: bytes")
        assert held["shared_bytes"] > 0.7 * held["bytes"], held
    with Target(interpreter, "held = [b'%d' % (10 ** 9 + i) * 10_000 for i in range(300)]\nready()") as target:
        found = check_workload(target, lowtide, [("objects", "live objects: bytes", 29_000_000)])
        held = next(part for part in found["parts"] if part["name"] == "live objects: bytes")
        assert held["shared_bytes"] < 0.1 * held["bytes"], held


def test_what_a_worker_shares_is_told_by_page(interpreter, lowtide):
    """What it inherited and what it made itself lie in one mapping, where the kernel joined the arenas of both."""
    script = """
import gc, os, time
held = [b"%d" % (10 ** 9 + i) * 20 for i in range(150_000)]
gc.disable()
gc.freeze()
read, write = os.pipe()
worker = os.fork()
if worker == 0:
    own = [(i + 0.5, i + 0.25) for i in range(250_000)]
    os.write(write, b"x")
    time.sleep(3600)
os.read(read, 1)
ready(worker=worker, outer=os.getpid())
"""
    with Target(interpreter, script) as target:
        worker = int(Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text().split()[0])
        result = lowtide("rss", "--json", worker)
        assert result.code == 0, result
        parts = {part["name"]: part for part in result.json["result"]["parts"]}
        held, own = parts["live objects: bytes"], parts["live objects: float"]
        assert held["bytes"] > 30_000_000 and held["shared_bytes"] > 0.95 * held["bytes"], held
        assert own["bytes"] > 10_000_000 and own["shared_bytes"] < 0.05 * own["bytes"], own
        shared = sum(int(line.split()[1]) * 1024 for line in Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()
                     if line.startswith(("Shared_Clean", "Shared_Dirty")))
        assert abs(sum(part["shared_bytes"] for part in parts.values()) - shared) < 0.05 * shared, shared


HOLES = """
import ctypes
libc = ctypes.CDLL(None)
held = [bytes({size}) for _ in range({count})]
{delete}
ready()
wait_line()
libc.malloc_trim(0)
ready()
"""


@pytest.mark.parametrize("size, count, delete", [
    (20_000, 3_000, "held[::2] = [None] * (len(held) // 2)"),
    (9_000, 6_000, "held[::2] = [None] * (len(held) // 2)"),
    (2_000, 20_000, "held = held[:4000] + held[-4000:]"),
], ids=["holes", "small holes", "one hole"])
def test_what_trim_gives_back_is_predicted(interpreter, lowtide, size, count, delete):
    with Target(interpreter, HOLES.format(size=size, count=count, delete=delete)) as target:
        target.wait_asleep()
        found = rss(lowtide, target)
        before = target.status("RssAnon") * 1024
        target.send()
        target.wait_ready()
        real = before - target.status("RssAnon") * 1024
        assert real > 3_000_000, "the target has nothing to give back"
        assert abs(found["trim_gain_bytes"] - real) < 0.1 * real, (found["trim_gain_bytes"], real)
        assert found["explained_ratio"] >= 0.97, found["parts"]
