"""Dominators, retained sizes and components of the graphs of real processes, node by node against other methods.

tests/tools/lt_graph gives lowtide's graph and results, tests/tools/graph_oracle checks them by algorithms of its own.
"""
import json
from pathlib import Path

import pytest
from harness import REPOSITORY, Target, build_dir, interpreters, run_command
from test_shop import shop

# Of a large graph so many nodes are deleted one by one; of a small one all.
DELETIONS = 60

PROGRAMS = {
    "bare": "ready()",
    "library": """
        import argparse, asyncio, collections, concurrent.futures, csv, ctypes, dataclasses, datetime, decimal, difflib, email
        import email.mime.text, fractions, html.parser, http.client, http.server, inspect, json, logging.config, multiprocessing
        import pickle, pydoc, sqlite3, ssl, statistics, tempfile, typing, unittest.mock, urllib.request, xml.dom.minidom, zipfile
        ready()
    """,
    "tree": """
        class Node:
            def __init__(self, depth, parent=None):
                self.parent, self.name = parent, "node %d" % depth
                self.children = [Node(depth - 1, self) for _ in range(3)] if depth else []
        root = Node(8)
        ready()
    """,
    "records": """
        import json
        text = json.dumps([{"id": i, "name": "name %d" % i, "tags": ["a%d" % (i % 7), "b"], "more": {"x": i / 3}} for i in range(9000)])
        data = json.loads(text)
        by_name = {row["name"]: row for row in data}
        ready()
    """,
    "rings": """
        import gc
        gc.disable()
        class Link:
            pass
        def ring(length):
            links = [Link() for _ in range(length)]
            for one, other in zip(links, links[1:] + links[:1]):
                one.next, other.previous = other, one
            return links[0]
        kept = [ring(n) for n in (1, 2, 3, 50, 400, 1500)] + [ring(3) for _ in range(3000)]
        for n in (1, 2, 300, 1000):
            ring(n)
        ready()
    """,
    "chain": """
        chain = None
        for i in range(60000):
            chain = [chain, i] if i % 2 else {"next": chain}
        ready()
    """,
    "tasks": """
        import asyncio
        async def wait(event, depth, payload):
            if depth:
                return await wait(event, depth - 1, [payload])
            await event.wait()
        async def main():
            event = asyncio.Event()
            tasks = [asyncio.ensure_future(wait(event, i % 5, str(i))) for i in range(3000)]
            await asyncio.sleep(0.1)
            ready(tasks=len(tasks))
            await asyncio.sleep(3600)
        asyncio.run(main())
    """,
    "threads": """
        import threading, queue
        inbox, local = queue.Queue(), threading.local()
        def work(number):
            local.rows = [{"thread": number, "row": i} for i in range(500)]
            mine = [object() for _ in range(300)]
            started.release()
            inbox.get()
        started = threading.Semaphore(0)
        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            started.acquire()
        ready()
    """,
    "interpreters": """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        kept = [interpreters.create() for _ in range(3)]
        for one in kept:
            interpreters.run_string(one, "import collections, json\\nheld = [dict(row=[i]) for i in range(2000)]")
        ready()
    """,
    "database": """
        import sqlite3, logging, functools, weakref
        connection = sqlite3.connect(":memory:")
        connection.row_factory = sqlite3.Row
        connection.execute("create table t (a, b)")
        connection.executemany("insert into t values (?, ?)", [(i, "text %d" % i) for i in range(5000)])
        rows = connection.execute("select * from t").fetchall()
        @functools.lru_cache(maxsize=None)
        def cached(a, b=None):
            return [a, b]
        for i in range(5000):
            cached(i, b=str(i))
        class Thing: pass
        things = [Thing() for _ in range(2000)]
        weak = weakref.WeakValueDictionary(enumerate(things))
        callbacks = [weakref.ref(t, lambda ref, n=n: None) for n, t in enumerate(things)]
        ready()
    """,
    "generators": """
        import itertools, collections, contextvars
        def count(start, kept):
            for n in itertools.count(start):
                yield n, kept
        running = [count(i, [i]) for i in range(4000)]
        for one in running:
            next(one)
        def outer(value):
            def inner():
                nonlocal value
                return value
            return inner
        closures = [outer([i]) for i in range(4000)]
        caught = []
        for i in range(1500):
            try:
                raise ValueError(i)
            except ValueError as error:
                caught.append(error)
        variable = contextvars.ContextVar("variable")
        variable.set(collections.OrderedDict.fromkeys(range(3000)))
        ready()
    """,
    "dense": """
        groups = [[] for _ in range(120)]
        for group in groups:
            group.extend(groups)
            group.append({id(other): other for other in groups})
        shared = [tuple(groups[i % 120:i % 120 + 3]) for i in range(20000)]
        ready()
    """,
    "classes": """
        import abc, enum, typing, dataclasses
        made = []
        for i in range(700):
            base = made[i // 2] if made and i % 3 else object
            body = {"__slots__": ("a", "b")} if i % 5 == 0 and base is object else {"field": [i], "method": lambda self: self}
            made.append(type("Class%d" % i, (base,), body))
        colors = enum.Enum("Colors", ["color%d" % i for i in range(200)])
        @dataclasses.dataclass
        class Point:
            x: int
            y: typing.List[int] = dataclasses.field(default_factory=list)
        points = [Point(i, [i]) for i in range(5000)]
        ready()
    """,
    "two hundred thousand": """
        class Order:
            def __init__(self, number, parent):
                self.number, self.lines, self.parent = number, [(number + 1000, float(number)), "line %d" % number], parent
        orders, last = {}, None
        for number in range(19000):
            orders[number + 5000] = Order(number + 100000, last)
            if number % 10 == 0:
                last = orders[number + 5000]
        ready()
    """,
}


def check(pid: int, directory: Path, fewest: int, deletions: int = DELETIONS) -> dict:
    file = directory / "graph"
    # The shell writes the file: it is binary, and large.
    done = run_command("sh", "-c", 'exec "$0" "$1" >"$2"', build_dir() / "tests/tools/lt_graph", pid, file, timeout=300)
    assert done.code == 0, done
    done = run_command("sh", "-c", 'exec "$0" "$1" <"$2"', build_dir() / "tests/tools/graph_oracle", deletions, file, timeout=300)
    assert done.out, done
    found = json.loads(done.out)
    print(found)
    assert (found["dominators"], found["retained"], found["components"]) == (0, 0, 0), found
    assert found["nodes"] >= fewest and found["reached"] > 0.5 * found["nodes"], found
    assert found["deleted"] >= min(deletions * 0.4, found["reached"])
    return found


def textual(source: str) -> str:
    lines = source.strip("\n").splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:] for line in lines) + "\n"


def fitting(number: int, program: str):
    """The interpreters take turns; those with the module of subinterpreters only, where it is needed."""
    able = [i for i in interpreters() if program != "interpreters" or i.version >= (3, 9)]
    return able[number % len(able)]


@pytest.mark.parametrize("number, program", list(enumerate(PROGRAMS)), ids=list(PROGRAMS))
def test_program(number, program, tmp_path):
    with Target(fitting(number, program), textual(PROGRAMS[program]), timeout=120) as target:
        target.wait_asleep()
        check(target.pid, tmp_path, 3000)


@pytest.mark.three_interpreters("the graph is the same whatever it is of; its edges other tests compare on each")
def test_every_interpreter(interpreter, tmp_path):
    source = textual(PROGRAMS["library"]).replace("ready()", "") + textual(PROGRAMS["rings"])
    with Target(interpreter, source, timeout=120) as target:
        target.wait_asleep()
        check(target.pid, tmp_path, 30000, 40)


def test_every_node_deleted(tmp_path):
    with Target(interpreters()[0], "ready()") as target:
        target.wait_asleep()
        found = check(target.pid, tmp_path, 3000, 0)
        assert found["deleted"] == found["reached"]


def test_shop(tmp_path):
    with shop(interpreters()[-1]) as (pid, url):
        check(pid, tmp_path, 30000)
