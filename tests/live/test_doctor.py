"""doctor on real services: who it is, what its heap is made of, and expressions that reach what they name."""
import re
import textwrap

import pytest
from harness import Target
from test_findings import doctor, evaluate, service

# One container a place, each of its own length, heavy enough to be among the biggest.
PLACES = '''
    import collections, functools, threading, time

    def heavy(length):
        return ["%d of %d" % (i, length) for i in range(length)]

    def closure():
        held = heavy(3001)
        def inner():
            return held
        return inner
    inner = closure()

    def default(value=heavy(3002), *, keyword=heavy(3003)):
        return value

    class Base:
        __slots__ = ("slot",)
    class Slotted(Base):
        __slots__ = ("second",)
    slotted = Slotted()
    slotted.slot = heavy(3004)
    slotted.second = heavy(3005)

    class Plain:
        constant = heavy(3006)
        @staticmethod
        def static(value=heavy(3007)):
            return value
        @classmethod
        def made(cls, value=heavy(3008)):
            return value
    plain = Plain()
    plain.attribute = heavy(3009)
    plain.__dict__["not an identifier"] = heavy(3010)

    table = {("a", 1): heavy(3011), b"bytes": heavy(3012), 7: heavy(3013), None: heavy(3014), 2.5: heavy(3015),
             "it's": heavy(3016), "\\u00e9": heavy(3017), True: heavy(3018), frozenset([1]): heavy(3019)}
    ordered = collections.OrderedDict(key=heavy(3020))
    defaults = collections.defaultdict(list, {"key": heavy(3021)})
    queue = collections.deque([1, heavy(3022)])
    partial = functools.partial(max, heavy(3023), key=heavy(3024))
    nested = ((1, heavy(3025)), 2)
    keyed = {tuple(heavy(3026)): 1}

    def generate():
        local = heavy(3027)
        yield local
    generator = generate()
    next(generator)

    class Meta(type):
        pass
    class Made(metaclass=Meta):
        inside = {"deep": [None, {"er": heavy(3028)}]}
    namespace = __import__("types").SimpleNamespace(entry=heavy(3029))
'''
LENGTHS = range(3001, 3030)


def test_expressions_reach_what_they_name(interpreter, lowtide):
    with Target(interpreter, service(PLACES)) as target:
        result = lowtide("doctor", "--json", "--top", "100", target.pid)
        assert result.code == 0, result
        containers = {c["length"]: c for c in result.json["result"]["containers"] if c["length"] in LENGTHS}
        missing = set(LENGTHS) - set(containers)
        assert not missing, missing
        for length, container in containers.items():
            assert "<" not in container["expression"], container
            assert evaluate(target, container["expression"])["length"] == length, container
        expressions = {length: c["expression"] for length, c in containers.items()}
        assert expressions[3001] == "sys.modules['shop'].inner.__closure__[0].cell_contents"
        assert expressions[3002] == "sys.modules['shop'].default.__defaults__[0]"
        assert expressions[3003] == "sys.modules['shop'].default.__kwdefaults__['keyword']"
        assert expressions[3004] == "sys.modules['shop'].slotted.slot"
        assert expressions[3006] == "sys.modules['shop'].Plain.constant"
        assert expressions[3009] == "sys.modules['shop'].plain.attribute"
        assert expressions[3010] in ("sys.modules['shop'].plain.__dict__['not an identifier']",
                                     "getattr(sys.modules['shop'].plain, 'not an identifier')")
        assert expressions[3011] == "sys.modules['shop'].table[('a', 1)]"
        assert expressions[3016] == "sys.modules['shop'].table[\"it's\"]"
        assert expressions[3022] == "sys.modules['shop'].queue[1]"
        assert expressions[3028] == "sys.modules['shop'].Made.inside['deep'][1]['er']"


LOCALS = '''
    import threading, time
    def heavy(length):
        return ["%d of %d" % (i, length) for i in range(length)]
    def handler(request):
        rows = {"x": heavy(5001)}
        def waits():
            return rows, started.set(), time.sleep(3600)
        waits()
    started = threading.Event()
    thread = threading.Thread(target=handler, args=(heavy(5002),), daemon=True)
    thread.start()
    started.wait()
'''


def test_local_variables_are_named(interpreter, lowtide):
    with Target(interpreter, service(LOCALS)) as target:
        thread = evaluate(target, "sys.modules['shop'].thread.native_id")["value"]
        result = lowtide("doctor", "--json", target.pid)
        containers = {c["length"]: c for c in result.json["result"]["containers"]}
        rows = containers[5001]
        assert re.fullmatch(r"local variable 'rows' of (handler|handler\.<locals>\.waits|waits)\(\) at /srv/shop\.py:(7|8|9)"
                            r" in thread \d+: rows\['x'\]", rows["expression"]), rows
        assert re.fullmatch(r"/srv/shop\.py:(7|8|9)", rows["where"]), rows
        if interpreter.root is None:
            assert f"in thread {thread}:" in rows["expression"]
        # The argument is held by the frame; the thread object forgets it when it runs.
        assert "'request' of handler() at /srv/shop.py" in containers[5002]["expression"] or \
            containers[5002]["expression"] == "sys.modules['shop'].thread._args[0]", containers[5002]


def test_identity_collector_and_kinds(interpreter, lowtide):
    source = '''
        import gc
        class Thing:
            pass
        things = [Thing() for _ in range(5000)]
        gc.set_threshold(701, 11, 12)
        gc.collect()
    '''
    with Target(interpreter, service(source)) as target:
        result = lowtide("doctor", "--json", target.pid)
        report = result.json
        assert report["command"] == "doctor" and report["schema"] == 1
        assert report["target"]["pid"] == target.pid
        assert report["target"]["python"] == ".".join(map(str, interpreter.version))
        assert report["cost"]["elapsed_ms"] >= report["cost"]["stall_ms"] > 0
        assert report["cost"]["peak_bytes"] > 1 << 20
        text = result.out
        assert '"threshold": 701' in text or "701" in text
        things = [k for k in report["result"]["types"] if k["type"] == "Thing"] if "types" in report["result"] else None
        assert things is None or things[0]["count"] == 5000
        assert evaluate(target, "sys.modules['shop'].things")["length"] == 5000


def test_aliases_are_named_by_their_home(interpreter, lowtide):
    """What another module imported is named by the module that defines it."""
    home = textwrap.dedent('''
        import functools
        class Shelf:
            books = ["%d of a shelf" % i for i in range(4001)]
        @functools.lru_cache(maxsize=None)
        def find(n):
            return [n] * 10
        for i in range(4002):
            find(i)
    ''')
    source = f'''
        import sys, types
        first = types.ModuleType("aaa")
        sys.modules["aaa"] = first
        exec({home!r}, first.__dict__)
        early = types.ModuleType("early")
        early.Shelf, early.find = first.Shelf, first.find
        rest = dict(sys.modules)
        sys.modules.clear()
        sys.modules["early"] = early
        sys.modules.update(rest)
        del first, early, rest
    '''
    with Target(interpreter, service(source)) as target:
        result, _ = doctor(lowtide, target)
        expressions = {c["length"]: c["expression"] for c in result["containers"]}
        assert expressions[4001] == "sys.modules['aaa'].Shelf.books"
        assert expressions[4002] == "sys.modules['aaa'].find"


@pytest.mark.parametrize("mode", ["fork", "stop", "live"])
def test_modes_agree(interpreter, mode, lowtide):
    with Target(interpreter, service("data = {i: [i] for i in range(9000)}")) as target:
        result = lowtide("doctor", "--json", "--mode", mode, target.pid)
        assert result.code == 0, result
        top = result.json["result"]["containers"][0]
        assert (top["length"], top["expression"]) == (9000, "sys.modules['shop'].data")
        assert target.alive()


def test_long_chain_of_objects(interpreter, lowtide):
    """A linked list of 300,000 links: no recursion, an expression of bounded length, all of it weighed."""
    source = '''
        class Link:
            __slots__ = ("next", "load")
        head = None
        for i in range(300000):
            link = Link()
            link.next, link.load = head, i
            head = link
        tail = head
        while tail.next is not None:
            tail = tail.next
        tail.load = ["end %d" % i for i in range(6001)]
        del link, tail
    '''
    with Target(interpreter, service(source)) as target:
        result, _ = doctor(lowtide, target)
        end = next(c for c in result["containers"] if c["length"] == 6001)
        assert end["expression"].startswith("sys.modules['shop'].head.next.next")
        assert len(end["expression"]) < 1000 and "steps more" in end["expression"]


def test_objects_of_another_interpreter(interpreter, lowtide):
    """What a sub-interpreter holds is found, and said to be there."""
    script = textwrap.dedent('''
        inner = "import types, sys; m = sys.modules['inner'] = types.ModuleType('inner'); m.data = ['%d x' % i for i in range(7001)]"
        try:
            import _interpreters as interpreters
            kept = interpreters.create("legacy")
            interpreters.exec(kept, inner)
        except ImportError:
            import _xxsubinterpreters as interpreters
            kept = interpreters.create()
            interpreters.run_string(kept, inner)
        ready()
    ''')
    with Target(interpreter, script) as target:
        result = lowtide("doctor", "--json", target.pid)
        assert result.code == 0, result
        found = next(c for c in result.json["result"]["containers"] if c["length"] == 7001)
        assert found["expression"].startswith("in interpreter ")
        assert found["expression"].endswith(": sys.modules['inner'].data")


def test_coroutines_of_tasks(interpreter, lowtide):
    source = '''
        import asyncio, threading
        async def task(number):
            held = ["%d of %d" % (i, number) for i in range(number)]
            await asyncio.sleep(3600)
            return held
        async def main():
            global tasks
            tasks = [asyncio.ensure_future(task(8001))]
            await asyncio.sleep(0)
            started.set()
            await asyncio.wait(tasks)
        started = threading.Event()
        threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
        started.wait()
    '''
    with Target(interpreter, service(source)) as target:
        result, _ = doctor(lowtide, target)
        held = next(c for c in result["containers"] if c["length"] == 8001)
        assert held["expression"] == "sys.modules['shop'].tasks[0].get_coro().cr_frame.f_locals['held']"
        assert held["where"].startswith("/srv/shop.py:")
        assert evaluate(target, held["expression"])["length"] == 8001
