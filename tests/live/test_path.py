"""path on real services: expressions that are pasted into the target reach the very object; counts as the target has them."""
import json

from harness import Target
from test_findings import evaluate, service

PLACES = '''
    import collections, functools, sys, threading, time, types, weakref, gc
    class Thing:
        __slots__ = ("number", "__weakref__")
        def __init__(self, number):
            self.number = number
    things = {}
    def thing(name):
        things_made = Thing(len(addresses))
        addresses[name] = hex(id(things_made))
        return things_made
    addresses = {}

    variable = thing("variable")
    in_list = [None, thing("list")]
    in_dict = {"a key": thing("dict"), 7: thing("int key"), ("t", 1): thing("tuple key"), None: thing("none key"),
               "it's": thing("quote"), b"\\xff": thing("bytes key"), frozenset([1]): thing("odd key")}
    as_key = {thing("key"): 1}
    in_set = {thing("set")}
    in_deque = collections.deque([1, 2, thing("deque")])
    in_ordered = collections.OrderedDict(x=thing("ordered"))
    in_default = collections.defaultdict(list, x=[thing("default")])
    nested = {"a": [({"b": [[thing("nested")]]},)]}
    class Plain:
        attribute = thing("class attribute")
        registry = {"x": [thing("registry")]}
        def __init__(self):
            self.value = thing("attribute")
            self.__dict__["odd name"] = thing("odd attribute")
    plain = Plain()
    class Slotted:
        __slots__ = ("slot",)
    slotted = Slotted()
    slotted.slot = thing("slot")
    def closure():
        held = thing("cell")
        def inner():
            return held
        return inner
    inner = closure()
    def default(value=thing("default value"), *, keyword=thing("keyword default")):
        pass
    partial = functools.partial(max, thing("partial"), key=thing("partial keyword"))
    bound = [thing("in list of method")].append
    namespace = types.SimpleNamespace(entry=thing("namespace"))
    def generate():
        local = thing("generator")
        yield
    generator = generate()
    next(generator)
    try:
        raise ValueError(thing("exception"))
    except ValueError as error:
        kept = error
    # Held once, and looked at weakly: the weak reference is no way.
    weak = weakref.ref(variable)
    weak_values = weakref.WeakValueDictionary(x=variable)
'''


def paths(lowtide, target, what, *options):
    result = lowtide("path", "--json", *options, target.pid, what)
    assert result.code == 0, result
    report = result.json["result"]
    assert set(report) == {"object", "paths", "more", "more_count", "cut"}
    for path in report["paths"]:
        assert set(path) >= {"root_kind", "expression", "where", "steps", "steps_left"}
        assert all(set(step) == {"label", "type", "address"} for step in path["steps"])
    return report


def test_expressions_are_true(interpreter, lowtide):
    with Target(interpreter, service(PLACES)) as target:
        addresses = json.loads(evaluate(target, "__import__('json').dumps(sys.modules['shop'].addresses)")["value"])
        assert len(addresses) == 29
        for name, address in addresses.items():
            report = paths(lowtide, target, address)
            assert report["object"]["address"] == address
            assert report["object"]["type"] == "shop.Thing"
            first = report["paths"][0]
            assert first["root_kind"] == "modules", (name, first)
            for path in report["paths"]:
                assert path["steps"][-1]["address"] == address
                assert "weak" not in path["expression"], (name, path)
            assert "<" not in first["expression"], (name, first)
            assert evaluate(target, first["expression"])["id"] == int(address, 16), (name, first)


SHARED = '''
    import threading, time
    class Order:
        def __init__(self):
            self.lines = []
    order = Order()
    address = hex(id(order))
    by_id = {i: [i] for i in range(1000)}
    by_id[500].append(order)
    recent = [None, order]
    class Session:
        current = {"order": (1, order)}
    # A thousand ways that differ in an index only are one.
    audit = [("event", order) for i in range(1000)]
    started = threading.Event()
    def handler(mine):
        started.set()
        time.sleep(3600)
    threading.Thread(target=handler, args=(order,), daemon=True).start()
    started.wait()
    del order
'''


def test_ways_differ_in_their_holders(interpreter, lowtide):
    with Target(interpreter, service(SHARED)) as target:
        address = evaluate(target, "sys.modules['shop'].address")["value"]
        found = paths(lowtide, target, address, "--top", "10")["paths"]
        ways = [path["expression"] for path in found]
        for path in found[:4]:
            assert path["root_kind"] == "modules"
            assert evaluate(target, path["expression"])["id"] == int(address, 16), path
        assert "sys.modules['shop'].recent[1]" in ways
        assert "sys.modules['shop'].by_id[500][1]" in ways
        assert "sys.modules['shop'].Session.current['order'][1]" in ways
        audit = [path for path in found if ".audit[" in path["expression"]]
        assert [path["alike"] for path in audit] == [1000]
        assert any(path["root_kind"] == "local" and "'mine' of handler()" in path["expression"] for path in found), ways
        # Frames come after what modules hold.
        kinds = [path["root_kind"] for path in found]
        assert kinds.index("local") == kinds.count("modules")
        assert len(paths(lowtide, target, address, "--top", "2")["paths"]) == 2
        same = paths(lowtide, target, "sys.modules['shop'].recent[1]")["object"]
        assert same["address"] == address


GROUPS = '''
    import gc
    class Item:
        pass
    class Box:
        def __init__(self, items):
            self.items = items
    cache = {i: Box([Item(), Item(), Item()]) for i in range(1000)}
    plain = [Item() for i in range(700)]
    named = {"k%d" % i: {"value": Item()} for i in range(200)}
    class Registry:
        known = set()
    for i in range(100):
        Registry.known.add(Item())
    class Link:
        def __init__(self, next, item):
            self.next, self.item = next, item
    chain = None
    for i in range(50):
        chain = Link(chain, Item())
    # Garbage: nothing holds it.
    gc.disable()
    for i in range(30):
        ring = [Item()]
        ring.append(ring)
    del ring, i
    def holders():
        held = {"cache": 0, "plain": 0, "named": 0, "known": 0}
        lists = {id(box.items) for box in cache.values()}
        dicts = {id(entry) for entry in named.values()}
        for item in gc.get_objects():
            if type(item) is Item:
                for holder in gc.get_referrers(item):
                    held["cache"] += id(holder) in lists
                    held["plain"] += holder is plain
                    held["named"] += id(holder) in dicts
                    held["known"] += holder is Registry.known
        return held
'''


def test_what_holds_the_objects_of_a_type(interpreter, lowtide):
    with Target(interpreter, service(GROUPS)) as target:
        report = paths(lowtide, target, "shop.Item")
        assert report["object"] == {"type": "shop.Item", "address": None, "count": 4050, "garbage": 30,
                                    "bytes": report["object"]["bytes"]}
        groups = {path["expression"]: path for path in report["paths"]}
        oracle = json.loads(evaluate(target, "__import__('json').dumps(sys.modules['shop'].holders())")["value"])
        assert groups["sys.modules['shop'].cache[*].items[*]"]["count"] == oracle["cache"] == 3000
        assert groups["sys.modules['shop'].plain[*]"]["count"] == oracle["plain"] == 700
        assert groups["sys.modules['shop'].named[*][*]"]["count"] == oracle["named"] == 200
        assert groups["sys.modules['shop'].Registry.known[*]"]["count"] == oracle["known"] == 100
        chain = [path for path in report["paths"] if ".chain" in path["expression"]]
        assert sum(path["count"] for path in chain) == 50
        assert any(path["repeats"] for path in chain)
        assert sum(path["count"] for path in report["paths"]) + report["more_count"] == 4050
        for path in report["paths"]:
            assert evaluate(target, path["example"])["id"] == int(path["address"], 16)
            assert path["retained"] >= path["bytes"]
            assert abs(path["share"] - path["count"] / 4050) < 1e-6
        shares = [path["count"] for path in report["paths"]]
        assert shares == sorted(shares, reverse=True)
        for name in ("Item", "builtins.dict", "dict"):
            assert paths(lowtide, target, name)["object"]["count"] > 0
        text = lowtide("path", target.pid, "shop.Item")
        assert "sys.modules['shop'].cache[*].items[*]" in text.out


LONG = """
    class Link:
        __slots__ = ("next", "number")
    class Thing:
        pass
    head = None
    for i in range(300000):
        link = Link()
        link.next, link.number = head, None
        head = link
    end = head
    while end.next is not None:
        end = end.next
    address = hex(id(end))
    shared = Thing()
    shared_address = hex(id(shared))
    flood = [(shared, i) for i in range(120000)]
    kept = {"me": shared}
    del link, end
"""


def test_long_lists_and_many_holders(interpreter, lowtide):
    with Target(interpreter, service(LONG)) as target:
        address = evaluate(target, "sys.modules['shop'].address")["value"]
        path = paths(lowtide, target, address)["paths"][0]
        assert path["root_kind"] == "modules"
        assert path["expression"].startswith("sys.modules['shop'].head.next.next")
        assert path["expression"].endswith("steps more>")
        assert path["steps"][-1]["address"] == address
        assert len(path["steps"]) + path["steps_left"] >= 300000
        shared = evaluate(target, "sys.modules['shop'].shared_address")["value"]
        report = paths(lowtide, target, shared)
        assert report["cut"] is True
        ways = {path["expression"]: path for path in report["paths"]}
        assert list(ways)[0] == "sys.modules['shop'].shared"
        assert "sys.modules['shop'].kept['me']" in ways
        flood = [path for way, path in ways.items() if ".flood[" in way]
        assert len(flood) == 1 and flood[0]["alike"] >= 50000
        for path in report["paths"]:
            assert evaluate(target, path["expression"])["id"] == int(shared, 16)


def test_names_that_say_too_little(interpreter, lowtide):
    script = service("class Order: pass\nclass Shop:\n    class Order: pass\nheld = [Order(), Shop.Order(), Shop.Order()]")
    with Target(interpreter, script) as target:
        result = lowtide("path", target.pid, "Order")
        assert result.code == 2, result
        assert "more than one type is called 'Order'" in result.err
        assert "shop.Order (1)" in result.err and "shop.Shop.Order (2)" in result.err
        assert paths(lowtide, target, "Shop.Order")["object"]["count"] == 2
        for wrong in ("shop.Ordr", "nothing.like.it", "0x1234", "0xq", ""):
            result = lowtide("path", target.pid, wrong)
            assert result.code == 2, result
            assert result.out == "" and len(result.err.splitlines()) == 2
        assert "shop.Order" in lowtide("path", target.pid, "shop.Ordr").err
        assert lowtide("path", target.pid).code == 2
        assert lowtide("path").code == 2


def test_a_file_answers_as_the_process_does(interpreter, lowtide, tmp_path):
    with Target(interpreter, service(SHARED)) as target:
        address = evaluate(target, "sys.modules['shop'].address")["value"]
        file = tmp_path / "shop.tide"
        result = lowtide("snapshot", "-o", file, target.pid)
        assert result.code == 0, result
        for command in (("path", address), ("path", "shop.Order"), ("object", address), ("retained",), ("types", "--retained")):
            live = lowtide(command[0], "--json", target.pid, *command[1:])
            stored = lowtide(command[0], "--json", file, *command[1:])
            assert live.code == stored.code == 0, f"{live}\n{stored}"
            if command == ("path", address):
                assert stored.json["result"]["object"] == live.json["result"]["object"]
                assert stored.json["result"]["paths"][0] == live.json["result"]["paths"][0]
            # Two moments of a process that waits: nearly all is the same.
            assert set(stored.json["result"]) == set(live.json["result"])
