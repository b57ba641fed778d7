"""What survives in memory that is mostly free is named first: its type, the layer that it pins, an expression that reaches it.

Each case fills memory, lets nearly all of it go and keeps a few objects in a place of its own. Of small objects the arenas of
pymalloc stay, of larger ones and of buffers the holes of malloc.
"""
import re

import pytest
from harness import Target, corpus_interpreter

# A program that makes `rows` of many objects and keeps every STEPth in a place; the type, and the expression, that rss should name.
SMALL = {
    "instances in a cache": ("""
class Order:
    def __init__(self, i):
        self.number = i
        self.note = str(i)
rows = [Order(i) for i in range(120_000)]
cache = {i: rows[i] for i in range(0, len(rows), 1000)}
""", "__main__.Order", r"cache\[\d+\]"),
    "instances with slots in an attribute": ("""
class Point:
    __slots__ = ("x", "y", "z", "name")
    def __init__(self, i):
        self.x = self.y = self.z = i
        self.name = None
class Shape:
    pass
rows = [Point(i % 200) for i in range(300_000)]
shape = Shape()
shape.corners = rows[::1500]
""", "__main__.Point", r"shape\.corners\[\d+\]"),
    "strings in a dict": ("""
rows = ["the name of order number %d" % i for i in range(300_000)]
names = {i: rows[i] for i in range(0, len(rows), 1500)}
""", "str", r"names\[\d+\]"),
    "tuples in a class": ("""
class Registry:
    pass
rows = [(i % 250, None, None, True, False, i % 7) for i in range(200_000)]
Registry.entries = rows[::1000]
""", "tuple", r"Registry\.entries\[\d+\]"),
    "small bytes in a list": ("""
rows = [b"%d" % (10 ** 9 + i) * 20 for i in range(200_000)]
packets = rows[::1000]
""", "bytes", r"packets\[\d+\]"),
    "closures": ("""
def handler(number):
    def handle(event):
        return event, number
    return handle
rows = [handler(i) for i in range(150_000)]
handlers = rows[::1000]
""", "function", r"handlers\[\d+\]"),
    "exceptions": ("""
rows = [ValueError("order %d" % i) for i in range(150_000)]
errors = rows[::1000]
""", "ValueError", r"errors\[\d+\]"),
    "dicts of a nested cache": ("""
rows = [{"number": i, "name": "order %d" % i} for i in range(100_000)]
service = {"cache": {"orders": rows[::250]}}
""", "dict", r"service\['cache'\]\['orders'\]\[\d+\]"),
}

LARGE = {
    "bytes": ("""
rows = [bytes(600 + i * 37 % 3400) for i in range(12_000)]
kept = {"blocks": rows[::300]}
""", "bytes", r"kept\['blocks'\]\[\d+\]"),
    "arrays": ("""
import array
rows = [array.array("d", bytes(3000)) for i in range(8_000)]
samples = rows[::200]
""", "array.array", r"samples\[\d+\]"),
    "buffers of ctypes": ("""
import ctypes
rows = [ctypes.create_string_buffer(2000) for i in range(10_000)]
buffers = rows[::250]
""", "c_char_Array_2000", r"buffers\[\d+\]"),
    "arrays of bytes": ("""
rows = [bytearray(2500) for i in range(10_000)]
class Pool:
    pass
Pool.buffers = rows[::250]
""", "bytearray", r"Pool\.buffers\[\d+\]"),
}

# Chunks of C code, all but the last of them free: what is before that one is no part of the end of the heap. No other
# memory is handed out from the end, since the free chunk before serves all.
TOP = """
import ctypes, json, os  # what ready() needs must not come into the free memory later
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def fill():
    blocks = [0] * 2_000
    for i in range(2_000):
        blocks[i] = libc.malloc(20_000)
        libc.memset(blocks[i], 1, 20_000)
    last = 0
    while last < max(blocks):
        last = libc.malloc(1_000)
    for block in blocks:
        libc.free(block)
    return last
last = None
last = fill()
"""


def first_pin(lowtide, target, layers):
    target.wait_asleep()
    result = lowtide("rss", "--json", target.pid)
    assert result.code == 0, result
    pins = result.json["result"]["pins"]
    assert [pin["holds_bytes"] for pin in pins] == sorted((pin["holds_bytes"] for pin in pins), reverse=True)
    assert pins and pins[0]["layer"] in layers, pins
    return pins[0], pins, result.json["result"]


def check(lowtide, target, type_name, expression, layers):
    pin, pins, found = first_pin(lowtide, target, layers)
    assert pin["type"].split(".")[-1] == type_name.split(".")[-1], pins
    assert pin["expression"] is not None and re.search(expression, pin["expression"]), pins
    return pin, pins, found


@pytest.mark.parametrize("case", SMALL)
def test_survivors_in_arenas_are_named_first(interpreter, lowtide, case):
    script, type_name, expression = SMALL[case]
    with Target(interpreter, script + "del rows\nready()") as target:
        pin, pins, found = check(lowtide, target, type_name, expression, {"pymalloc arena"})
        arenas = found["pymalloc"]["arena_bytes"]
        assert 0.5 * arenas < pin["holds_bytes"] <= arenas, (pins, arenas)
        assert pin["count"] >= 50, pins


@pytest.mark.parametrize("case", LARGE)
def test_survivors_between_holes_are_named_first(interpreter, lowtide, case):
    script, type_name, expression = LARGE[case]
    with Target(interpreter, script + "del rows\nready()") as target:
        pin, pins, found = check(lowtide, target, type_name, expression, {"malloc heap", "malloc top"})
        if not found["malloc"]:
            pytest.skip("no allocator that is walked")
        free = sum(part["bytes"] for part in found["parts"] if part["name"] == "free between used memory")
        assert 0.6 * free < pin["holds_bytes"] <= free, (pins, free)
        assert pin["count"] >= 20, pins


def test_arrays_of_numpy_are_named_first(lowtide):
    if corpus_interpreter() is None:
        pytest.skip("numpy: not here (scripts/corpus.py tells why)")
    script = """
import numpy
rows = [numpy.ones(400) for i in range(8_000)]
frames = {i: rows[i] for i in range(0, len(rows), 200)}
del rows
ready()
"""
    with Target(corpus_interpreter(), script) as target:
        pin, pins, _ = check(lowtide, target, "numpy.ndarray", r"frames\[\d+\]", {"malloc heap", "malloc top"})
        assert pin["holds_bytes"] > 15_000_000, pins


@pytest.mark.parametrize("last", ["used", "cached"])
def test_the_chunk_that_keeps_the_end_of_a_heap_is_named(interpreter, lowtide, last):
    script = TOP + ("libc.free(last)\n" if last == "cached" else "") + "ready(last=last)"
    with Target(interpreter, script) as target:
        pin, pins, found = first_pin(lowtide, target, {"malloc top"})
        assert pin["type"] == {"used": "memory of no object", "cached": "free in the cache of a thread"}[last], pins
        assert pin["expression"] is None and pin["count"] == 1, pins
        if last == "used":
            assert int(pin["address"], 16) == target.facts["last"], (pins, target.facts)
            assert "C code has it" in pin["note"] and pin["address"] in pin["note"], pins
        else:
            assert "the thread keeps it" in pin["note"], pins
        text = lowtide("rss", target.pid).out
        assert pin["note"] in text and "  ?" not in text, text
        assert 38_000_000 < pin["holds_bytes"] <= 40_100_000, pins
        assert found["trim_gain_bytes"] > 38_000_000


# Objects that a missing Py_DECREF keeps: no Python code reaches them, and an arena each is theirs.
LOST = """
import ctypes
class Order:
    __slots__ = ("number", "a", "b", "c")
rows = [Order() for i in range(200_000)]
addresses = {id(row) for row in rows[::1000]}
for row in rows[::1000]:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(row))
del rows, row
ready(addresses=sorted(addresses))
"""


def test_survivors_that_no_expression_reaches_have_an_address(interpreter, lowtide):
    with Target(interpreter, LOST) as target:
        pin, pins, _ = first_pin(lowtide, target, {"pymalloc arena"})
        assert pin["type"].endswith("Order") and int(pin["address"], 16) in target.facts["addresses"], pins
        assert pin["expression"] is not None or "only C code refers to it" in pin["note"], pins
        assert "  ?" not in lowtide("rss", target.pid).out
