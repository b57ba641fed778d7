"""A target of test_census.py: many kinds of object, then the answers of its own gc and sys."""
import asyncio
import collections
import dataclasses
import decimal
import email.message
import gc
import json
import logging
import os
import sqlite3
import sys
import threading
import typing
import unittest.mock
import xml.etree.ElementTree

N = int(sys.argv[1])


class Plain:
    def __init__(self, number):
        self.number = number
        self.items = [number]
        self.extra = {"number": number}


class Slotted:
    __slots__ = ("left", "right", "__weakref__")


class Mapping(dict):
    pass


class Pair(tuple):
    pass


class Meta(type):
    pass


class Outer:
    class Inner(metaclass=Meta):
        value = 1


def generate():
    kept = [1]
    yield kept
    yield kept


held = [Plain(i) for i in range(N)] + [Slotted() for _ in range(N)] + [Mapping(key=i) for i in range(100)]
held += [Pair((i, [])) for i in range(500)] + [Outer.Inner() for _ in range(10)]
held += [set(range(i % 50)) for i in range(1000)] + [[0] * i for i in range(300)]
held += [{(i, k): [k] for k in range(i)} for i in range(40)] + [{i: [i]} for i in range(N)]
held += [tuple([] for _ in range(1000)) for _ in range(20)]  # beyond pymalloc
held += [collections.OrderedDict((i, []) for i in range(20)) for _ in range(20)]
held += [collections.deque([[]] * i) for i in range(200)] + [collections.defaultdict(list) for _ in range(20)]
held += [type("Made%d" % i, (), {"__module__": "made.up"}) for i in range(50)]
held += [bytearray(1000), memoryview(b"abc"), Exception([]), threading.local(), property(), range(10)]
for one in held[:5]:
    one.__dict__["more"] = 1
generators = [generate() for _ in range(100)]
for one in generators:
    next(one)
del one
ring = []
ring.append(ring)


def named(kind):
    module = kind.__dict__.get("__module__") if kind.__flags__ & 512 else kind.__module__
    return (module if isinstance(module, str) else "") + ":" + kind.__qualname__


def measure():
    counts, sizes = collections.Counter(), collections.Counter()
    objects = gc.get_objects()
    for thing in objects:
        name = named(type(thing))
        counts[name] += 1
        sizes[name] += sys.getsizeof(thing)
    return counts, sizes


measure()
if len(sys.argv) > 2 and sys.argv[2] == "freeze":
    gc.collect()
    before = measure()
    gc.freeze()
gc.set_threshold(100000, 21, 31)
gc.collect()
counts, sizes = measure()
ready(counts=counts, sizes=sizes, stats=gc.get_stats(), enabled=gc.isenabled(), threshold=gc.get_threshold(),
      frozen=gc.get_freeze_count(), garbage=id(gc.garbage), callbacks=id(gc.callbacks),
      ident=threading.get_ident(), native=threading.get_native_id(), debug=gc.get_debug(),
      before=before[0] if "before" in globals() else None)
sleep_forever()  # here: the code that runs this file has a function object, which would be gone at its end
