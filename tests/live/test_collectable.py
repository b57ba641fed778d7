"""What the collector would find unreachable now, against what the target's own gc.collect() then finds and returns."""
from contextlib import contextmanager

import pytest
from harness import Target, interpreters, run_lowtide

# The target seeds garbage with the collector off, says ready, and collects when it is told to.
FRAME = '''
import gc, sys
gc.disable()
# What the first ready() and wait_line() import and open leaves garbage of its own behind.
ready()
wait_line()
gc.collect()
gc.collect()

class Node:
    pass

class Slotted:
    __slots__ = ("other",)

class Final:
    def __del__(self):
        counted.append(1)

counted = []

def seed():
{body}

kept = seed()
ready(tracked=len(gc.get_objects()))
wait_line()
gc.set_debug(gc.DEBUG_COLLECTABLE)
found = gc.collect()
gc.set_debug(0)
sys.stderr.flush()
ready(found=found)
'''

# The collector closes generators before it counts: what it returns is less than what it found.
CLOSED_FIRST = ("generators", "coroutines")

SHAPES = {
    "nothing": "return None",
    "self cycles": """
        for i in range(300):
            node = Node(); node.me = node
            row = []; row.append(row)
            table = {}; table["me"] = table
        return None
    """,
    "big ring": """
        nodes = [Node() for _ in range(20000)]
        for one, other in zip(nodes, nodes[1:] + nodes[:1]):
            one.next, other.previous = other, one
        return None
    """,
    "slots": """
        for i in range(500):
            a, b = Slotted(), Slotted()
            a.other, b.other = b, a
        return None
    """,
    "finalizers": """
        for i in range(400):
            a, b = Final(), Final()
            a.other, b.other = b, a
            a.rows = [(a, i), {"b": b}]
        return None
    """,
    "partly held": """
        kept = []
        for i in range(1000):
            a, b = Node(), Node()
            a.other, b.other = b, a
            b.rows = [a, [i]]
            if i % 3 == 0:
                kept.append(b)
        return kept
    """,
    "frozen referrer": """
        kept = Node()
        kept.me = kept
        kept.more = [Node() for _ in range(50)]
        for node in kept.more:
            node.up, node.rows = kept, [node]
        gc.freeze()
        del node
        for i in range(100):
            node = Node(); node.me = node
            node.rows = [i, (node,)]
        kept = None
        return None
    """,
    "tuples": """
        for i in range(500):
            row = []
            row.append((row, (1, 2), ("a", (i, i + 1000))))
            row.append((i, "text %d" % i))
            row.append(frozenset([i]))
        return None
    """,
    "functions and classes": """
        for i in range(60):
            def outer(value=[i]):
                def inner():
                    return inner, value
                return inner
            outer()
            class Made(Node):
                field = [i]
                __slots__ = ("one", "two")
                @property
                def size(self):
                    return Made
                @classmethod
                def other(cls, x=None):
                    return super().__init__
            Made.instance = Made()
        return None
    """,
    "subclass trees": """
        for i in range(40):
            base = type("Base", (), {"n": [i]})
            type("Left", (base,), {}); 
            right = type("Right", (base,), {"method": lambda self: base})
            right().x = right
        return None
    """,
    "generators": """
        def run(holder):
            mine = [holder]
            for i in range(3):
                yield mine, i
        def chain(holder):
            yield from run(holder)
        for i in range(300):
            holder = []
            holder.append(chain(holder) if i % 2 else run(holder))
            next(holder[0])
        return None
    """,
    "coroutines": """
        class Wait:
            def __await__(self):
                yield self
        async def inner(holder, wait):
            rows = [holder, wait]
            await wait
        async def outer(holder):
            async def deep():
                return await inner(holder, Wait())
            await deep()
        for i in range(200):
            holder = []
            holder.append(outer(holder))
            holder[0].send(None)
        return None
    """,
    "exceptions": """
        def fail(depth, mine):
            if depth:
                return fail(depth - 1, [mine])
            raise ValueError(mine)
        for i in range(100):
            try:
                fail(i % 7, [i])
            except ValueError as error:
                kept = error
                again = [kept, error.__traceback__]
                again.append(again)
        return None
    """,
    "containers": """
        import collections, functools, itertools, types, weakref, contextvars
        for i in range(150):
            things = [collections.deque([i]), collections.OrderedDict(a=i), collections.defaultdict(list), types.SimpleNamespace(a=i),
                      set([(i, i)]), itertools.chain([[i]], [i]), functools.partial(max, i), iter([i]), zip([i], [[i]]), Node()]
            things[0].append(things)
            things[1]["b"] = things[1]
            things[2]["c"].append(things)
            things[3].me = things[3]
            things.append(itertools.cycle([things]))
            things.append(functools.partial(sorted, things, key=things[0].append))
            things.append(weakref.ref(things[9], things[0].append))
            things.append(memoryview(bytearray(8)))
            things.append(things[0].append)
        return None
    """,
    "caches": """
        import functools
        for i in range(60):
            @functools.lru_cache(maxsize=None if i % 2 else 50)
            def cached(key, more=None):
                return [key, cached]
            for k in range(30):
                cached(k, more=(k, "x"))
                cached((k, i))
        return None
    """,
    "tasks": """
        import asyncio
        async def wait(event, rows):
            rows.append([rows])
            await event.wait()
        async def main():
            event = asyncio.Event()
            tasks = [asyncio.ensure_future(wait(event, [i])) for i in range(200)]
            await asyncio.sleep(0)
            event.set()
            await asyncio.gather(*tasks)
            for task in tasks:
                task.me = [tasks] if hasattr(task, "__dict__") else None
        try:
            asyncio.run(main())
        except AttributeError:
            pass
        return None
    """,
}


def script(body: str) -> str:
    lines = [line for line in body.strip("\n").splitlines()]
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return FRAME.replace("{body}", "\n".join("    " + line[indent:] for line in lines))


@contextmanager
def seeded(interpreter, shape: str):
    """A target that has made its garbage and waits."""
    with Target(interpreter, script(SHAPES[shape])) as target:
        target.send()
        target.wait_ready()
        target.wait_asleep()
        yield target


@pytest.mark.parametrize("shape", list(SHAPES))
def test_collectable(interpreter, shape):
    with seeded(interpreter, shape) as target:
        result = run_lowtide("doctor", "--json", target.pid)
        assert result.code in (0, 1), result
        garbage = result.json["result"]["heap"]["garbage"]
        target.send()
        target.wait_ready()
        # It writes a line for each object that it found, before any finalizer runs.
        found = target.output().count("gc: collectable <")
        assert garbage["collectable"] == found, garbage
        assert target.facts["found"] == found or shape in CLOSED_FIRST
        assert found > 100 or shape == "nothing"
        assert garbage["collectable"] <= garbage["count"]


@pytest.mark.parametrize("shape", ["frozen referrer", "generators", "caches", "subclass trees", "functions and classes"])
def test_snapshot_says_the_same(shape, tmp_path):
    with seeded(interpreters()[-2], shape) as target:
        file = tmp_path / "garbage.tide"
        saved = run_lowtide("snapshot", target.pid, "-o", file)
        assert saved.code == 0, saved
        target.send()
        target.wait_ready()
        found = target.output().count("gc: collectable <")
    result = run_lowtide("doctor", "--json", file)
    assert result.code in (0, 1), result
    assert result.json["result"]["heap"]["garbage"]["collectable"] == found
