"""Each fault that doctor knows, seeded in a small service: the finding, its evidence, and that its expression is true."""
import textwrap

import pytest
from harness import Target

SEVERITIES = ["info", "low", "medium", "high", "critical"]

# Evaluates what the test sends, as an engineer would paste it, and answers with the id of the object.
ANSWER = textwrap.dedent('''
    import sys, gc
    def answer():
        ready()
        while True:
            expression = wait_line()
            try:
                value = eval(expression, {"sys": sys, "gc": gc})
                ready(id=id(value), length=len(value) if hasattr(value, "__len__") else -1,
                      value=value if isinstance(value, (int, str)) else None)
            except Exception as error:
                ready(error=repr(error), expression=expression)
''')


def service(source: str) -> str:
    """A module `shop` that holds the source, in a process that answers."""
    return ANSWER + textwrap.dedent('''
        import types
        shop = types.ModuleType("shop")
        shop.__file__ = "/srv/shop.py"
        sys.modules["shop"] = shop
        exec(compile(%r, "/srv/shop.py", "exec"), shop.__dict__)
        del shop, types
        answer()
    ''') % textwrap.dedent(source)


def doctor(lowtide, target):
    result = lowtide("doctor", "--json", target.pid)
    assert result.code == 0, result
    report = result.json
    findings = report["result"]["findings"]
    ranks = [SEVERITIES.index(f["severity"]) for f in findings]
    assert ranks == sorted(ranks, reverse=True), "worst first"
    for finding in findings:
        assert set(finding) >= {"id", "severity", "title", "expression", "where", "evidence", "explanation", "fix"}
        assert finding["title"] and finding["explanation"] and finding["fix"] and finding["evidence"], finding
    return report["result"], {f["id"]: f for f in reversed(findings)}


def evaluate(target, expression):
    target.send(expression)
    facts = target.wait_ready()
    assert "error" not in facts, facts
    return facts


FAULTS = {
    "unbounded-lru-cache": ('''
        import functools
        @functools.lru_cache(maxsize=None)
        def convert(value, currency="EUR"):
            return [str(value) * 20, currency]
        for i in range(12000):
            convert(i)
        for i in range(500):
            convert(i)
        ''', "sys.modules['shop'].convert", dict(entries=12000, maxsize="None", hits=500, misses=12000), "medium"),
    "lru-cache-pins-self": ('''
        import functools
        class Order:
            def __init__(self, number):
                self.number = number
                self.lines = ["line %d of %d" % (i, number) for i in range(20)]
            @functools.lru_cache(maxsize=None)
            def total(self, tax):
                return self.number * tax
        for i in range(3000):
            Order(i).total(1.19)
        ''', "sys.modules['shop'].Order.total",
        dict(instances_pinned=3000, instance_type="shop.Order", entries=3000), "medium"),
    "large-container": ('''
        class Catalog:
            def __init__(self):
                self.pages = {"front": {"items": [{"sku": "sku-%d" % i, "tags": [i]} for i in range(20000)]}}
        CATALOG = Catalog()
        ''', "sys.modules['shop'].CATALOG.pages['front']['items']",
        dict(type="list", length=20000, item_type="builtins.dict"), "medium"),
    "class-registry": ('''
        class Session:
            registry = {}
            def __init__(self, key):
                self.key, self.data = key, ["value %d %d" % (key, i) for i in range(10)]
                Session.registry[key] = self
        for i in range(8000):
            Session(i)
        ''', "sys.modules['shop'].Session.registry",
        dict(type="dict", length=8000, item_type="shop.Session"), "medium"),
    "listener-list": ('''
        class Widget:
            def __init__(self):
                self.state = list(range(3))
            def on_event(self, event):
                pass
        listeners = []
        for _ in range(400):
            listeners.append(Widget().on_event)
        ''', "sys.modules['shop'].listeners", dict(type="list", length=400, callables=400), "low"),
    "kept-exceptions": ('''
        errors = []
        def work(number):
            rows = ["row %d of %d" % (i, number) for i in range(100)]
            raise ValueError(number)
        for i in range(1200):
            try:
                work(i)
            except ValueError as error:
                errors.append(error)
        ''', "sys.modules['shop'].errors",
        dict(exceptions_with_traceback=1200, kept_by_one_holder=1200, heaviest_type="builtins.ValueError"), "medium"),
    "thread-local-values": ('''
        import threading, time
        local = threading.local()
        def work(number):
            local.rows = ["row %d of %d" % (i, number) for i in range(5000)]
            done.release()
            time.sleep(3600)
        done = threading.Semaphore(0)
        for i in range(20):
            threading.Thread(target=work, args=(i,), daemon=True).start()
        for i in range(20):
            done.acquire()
        ''', "sys.modules['shop'].local", {"threads": 20}, "medium"),
    "many-threads": ('''
        import threading
        answer = threading.Event()
        def wait_for_answer(started):
            started.release()
            answer.wait()
        started = threading.Semaphore(0)
        threading.stack_size(64 * 1024)
        for _ in range(220):
            threading.Thread(target=wait_for_answer, args=(started,), daemon=True).start()
        for _ in range(220):
            started.acquire()
        ''', "sys._current_frames()", {"function": "wait_for_answer"}, "low"),
    "classes-made-repeatedly": ('''
        import collections
        kept = []
        def rows():
            Row = collections.namedtuple("Row", "a b c")
            kept.append(Row(1, 2, 3))
        for _ in range(300):
            rows()
        ''', None, {"classes": 300}, "low"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(interpreter, fault, lowtide):
    source, expression, evidence, least = FAULTS[fault]
    with Target(interpreter, service(source)) as target:
        result, findings = doctor(lowtide, target)
        assert fault in findings, list(findings)
        finding = findings[fault]
        if expression is not None:
            assert finding["expression"] == expression
            facts = evaluate(target, expression)
            if "length" in evidence:
                assert facts["length"] == evidence["length"]
            assert finding["where"].startswith("/srv/shop.py")
        for name, value in evidence.items():
            assert finding["evidence"][name] == value, (name, finding["evidence"])
        assert SEVERITIES.index(finding["severity"]) >= SEVERITIES.index(least), finding
        # Nothing else is blamed, the same object under another name aside.
        for other in findings.values():
            if SEVERITIES.index(other["severity"]) > SEVERITIES.index("low"):
                assert "shop" in other["expression"] or other is finding, other


CYCLES = '''
    class Node:
        pass
    def cycles(count):
        for _ in range(count):
            one, two = Node(), Node()
            one.other, two.other = two, one
            one.load, two.load = bytes(100), bytes(100)
'''

COLLECTOR_FAULTS = {
    "collector-disabled": (CYCLES + '''
    import gc
    gc.collect()
    gc.disable()
    cycles(6000)
    del cycles
    ''', lambda e: e["enabled"] is False and 11990 <= e["garbage_tracked"] and e["garbage_type"] == "shop.Node", "medium"),
    "thresholds-too-high": (CYCLES + '''
    import gc
    gc.collect()
    gc.set_threshold(10 ** 7)
    cycles(6000)
    ''', lambda e: e["threshold0"] == 10 ** 7 and e["garbage_tracked"] >= 11990 and e["enabled"] is True, "medium"),
    "debug-saveall": (CYCLES + '''
    import gc
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    cycles(3000)
    gc.collect()
    ''', lambda e: e["garbage_length"] >= 5990 and e["debug_flags"] & 32 and e["garbage_type"] == "shop.Node"
       and e["garbage_type_objects"] >= 5990, "high"),
    "uncollectable-garbage": ('''
    import gc
    gc.garbage.extend([[i] for i in range(1000)])
    ''', lambda e: e["garbage_length"] == 1000 and e["held_bytes"] > 50000 and e["garbage_type"] == "builtins.list"
       and e["garbage_type_objects"] == 1000, "medium"),
    "everything-frozen": (CYCLES + '''
    import gc
    kept = [[i] for i in range(30000)]
    cycles(50)
    gc.freeze()
    ''', lambda e: e["frozen_share"] > 0.9 and e["frozen_objects"] > 30000, "medium"),
    "cyclic-garbage-waiting": (CYCLES + '''
    import gc
    kept = [[i] for i in range(1000)]
    gc.collect()
    gc.set_threshold(90000)
    cycles(20000)
    ''', lambda e: e["garbage_tracked"] >= 39990 and e["garbage_share"] > 0.1 and e["enabled"] is True, "medium"),
}


@pytest.mark.parametrize("fault", COLLECTOR_FAULTS)
def test_collector_fault_is_found(interpreter, fault, lowtide):
    source, true, least = COLLECTOR_FAULTS[fault]
    with Target(interpreter, service(source)) as target:
        _, findings = doctor(lowtide, target)
        assert fault in findings, list(findings)
        assert true(findings[fault]["evidence"]), findings[fault]["evidence"]
        assert SEVERITIES.index(findings[fault]["severity"]) >= SEVERITIES.index(least)


def test_threshold_zero_never_collects(interpreter, lowtide):
    with Target(interpreter, service("import gc; gc.set_threshold(0)")) as target:
        _, findings = doctor(lowtide, target)
        assert findings["thresholds-too-high"]["evidence"]["threshold0"] == 0
        assert findings["thresholds-too-high"]["severity"] == "medium"


HEALTHY = '''
    import asyncio, collections, dataclasses, decimal, email.message, enum, functools, http.server, json, logging
    import queue, re, sqlite3, threading, typing, unittest.mock, urllib.request, weakref, xml.etree.ElementTree
    @dataclasses.dataclass
    class Item:
        name: str
        price: decimal.Decimal
    class Color(enum.Enum):
        RED = 1
    @functools.lru_cache(maxsize=128)
    def price(sku):
        return len(sku)
    items = [Item("item %d" % i, decimal.Decimal(i)) for i in range(300)]
    jobs = queue.Queue()
    def worker():
        while True:
            jobs.get()
    for _ in range(4):
        threading.Thread(target=worker, daemon=True).start()
    for i in range(200):
        price("sku %d" % i)
        jobs.put(json.loads('{"a": [1, 2, {"b": null}]}'))
    cache = weakref.WeakValueDictionary()
    re.compile("a+b")
    try:
        int("x")
    except ValueError:
        pass
'''


def test_healthy_service_has_no_finding(interpreter, lowtide):
    with Target(interpreter, service(HEALTHY)) as target:
        _, findings = doctor(lowtide, target)
        loud = {k: v for k, v in findings.items() if v["severity"] != "info"}
        assert not loud, loud
