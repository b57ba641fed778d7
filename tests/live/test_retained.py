"""retained on real services: bytes that the target itself counts, joined rows, where to begin."""
from harness import Target
from test_findings import evaluate, service

SHOP = '''
    import sys
    class Order:
        def __init__(self, number):
            self.number = 1000000 + number
            self.items = ["item %d of %d" % (i, number) for i in range(5)]
    cache = {("key", i): Order(i) for i in range(4000)}
    single = bytearray(3000000)
    class Registry:
        entries = {}
    Registry.entries["first"] = [b"x" * 200000 for i in range(3)]
    class Link:
        def __init__(self, next):
            self.next = next
    chain = None
    for i in range(30000):
        chain = Link(chain)
    # What each object says of itself, an oracle that knows no dominators: nothing here is shared.
    def weigh(start):
        import gc
        seen, waiting = set(), [start]
        total = 0
        while waiting:
            object = waiting.pop()
            if id(object) in seen or isinstance(object, (type, type(sys))):
                continue
            seen.add(id(object))
            total += sys.getsizeof(object)
            waiting += gc.get_referents(object)
            if type(object) is dict:
                waiting += object.keys()
        return total
    bytes_of_cache = weigh(cache)
'''


def run(lowtide, target, *options):
    result = lowtide("retained", "--json", *options, target.pid)
    assert result.code == 0, result
    return result.json["result"]


def flat(tree):
    for entry in tree:
        yield entry
        yield from flat(entry["children"])


def check(tree):
    for entry in flat(tree):
        assert set(entry) == {"kind", "expression", "example", "type", "where", "address", "count", "shallow", "retained",
                              "share", "children"}
        assert entry["shallow"] <= entry["retained"]
        assert entry["count"] == 1 or entry["kind"] != "object"
        below = sum(child["retained"] for child in entry["children"])
        own = 0 if entry["kind"] in ("module", "roots") else entry["shallow"]
        assert below + own <= entry["retained"], entry
        if entry["children"]:
            # The children are all of it.
            assert below + own == entry["retained"], entry
        sizes = [child["retained"] for child in entry["children"] if child["kind"] != "others"]
        assert sizes == sorted(sizes, reverse=True)


def test_tree_from_the_top(interpreter, lowtide):
    with Target(interpreter, service(SHOP)) as target:
        result = run(lowtide, target)
        check(result["tree"])
        assert sum(e["retained"] for e in result["tree"]) == result["bytes"]
        entries = {e["expression"]: e for e in flat(result["tree"])}
        cache = entries["sys.modules['shop'].cache"]
        assert cache["type"] == "dict"
        oracle = evaluate(target, "sys.modules['shop'].bytes_of_cache")["value"]
        assert abs(cache["retained"] - oracle) <= oracle * 0.005
        assert evaluate(target, cache["expression"])["id"] == int(cache["address"], 16)
        orders = entries["sys.modules['shop'].cache[*]"]
        assert (orders["kind"], orders["type"], orders["count"], orders["address"]) == ("objects", "shop.Order", 4000, None)
        assert evaluate(target, orders["example"])["id"] > 0
        single = entries["sys.modules['shop'].single"]
        assert single["shallow"] == evaluate(target, "sys.getsizeof(sys.modules['shop'].single)")["value"]
        assert entries["sys.modules['shop'].Registry.entries['first']"]["retained"] >= 600000
        assert "module" in [e["kind"] for e in result["tree"]]


def test_where_to_begin(interpreter, lowtide):
    with Target(interpreter, service(SHOP)) as target:
        tree = run(lowtide, target, "--from", "sys.modules['shop'].cache", "--depth", "2", "--top", "3")["tree"]
        assert [e["expression"] for e in tree] == ["sys.modules['shop'].cache"]
        assert {e["type"] for e in tree[0]["children"]} >= {"shop.Order", "tuple"}
        assert not any(e["children"] for e in tree[0]["children"])
        check(tree)
        same = run(lowtide, target, "--from", tree[0]["address"])["tree"]
        assert (same[0]["address"], same[0]["retained"]) == (tree[0]["address"], tree[0]["retained"])
        by_key = run(lowtide, target, "--from", "sys.modules['shop'].Registry.entries['first'][1]")["tree"]
        assert by_key[0]["expression"] == "sys.modules['shop'].Registry.entries['first'][1]"
        for name in ("shop.Order", "Order"):
            orders = run(lowtide, target, "--from", name)["tree"]
            assert [(e["type"], e["count"]) for e in orders] == [("shop.Order", 4000)]
        # 30,000 links, each of which holds the next: the chain counts once.
        links = run(lowtide, target, "--from", "Link", "--depth", "5")["tree"]
        assert [e["count"] for e in links] == [1]
        assert links[0]["retained"] >= 30000 * 40
        text = lowtide("retained", target.pid)
        assert text.code == 0
        assert "4,000 \u00d7 shop.Order  sys.modules['shop'].cache[*]" in text.out


NOWHERE = [
    ("shop.Ordre", "there is no object of a type", "shop.Order"),
    ("0x10", "there is no object at 0x10", ""),
    ("0xzz", "is not an address", ""),
    ("0x", "is not an address", ""),
    ("sys.modules['shop'].nothing", "there is no object at", ""),
    ("sys.modules['shop'].cache[", "there is no object at", ""),
    ("sys.modules", "there is no object at", ""),
    ("", "there is no object of a type", ""),
]


def test_nowhere_to_begin(interpreter, lowtide):
    with Target(interpreter, service("class Order: pass\nheld = [Order()]")) as target:
        for where, sentence, remedy in NOWHERE:
            result = lowtide("retained", "--from", where, target.pid)
            assert result.code == 2, result
            assert sentence in result.err
            assert remedy in result.err
            assert result.out == ""


def test_retained_bytes_of_types(interpreter, lowtide):
    script = """
        import sys
        class Leaf:
            __slots__ = ("data",)
        class Tree:
            __slots__ = ("left", "right", "leaf")
            def __init__(self, depth):
                self.left = self.right = None
                if depth > 0:
                    self.left, self.right = Tree(depth - 1), Tree(depth - 1)
                self.leaf = Leaf()
                self.leaf.data = bytearray(1000)
        tree = Tree(7)
        size = 255 * (sys.getsizeof(tree) + sys.getsizeof(tree.leaf) + sys.getsizeof(tree.leaf.data))
        leaves = 255 * (sys.getsizeof(tree.leaf) + sys.getsizeof(tree.leaf.data))
    """
    with Target(interpreter, service(script)) as target:
        result = lowtide("types", "--json", "--retained", target.pid)
        assert result.code == 0, result
        assert result.json["result"]["all"] is True
        rows = {(row["module"], row["type"]): row for row in result.json["result"]["rows"]}
        assert all("retained" in row for row in rows.values())
        # A tree holds its subtrees: each byte counts once.
        assert rows["shop", "Tree"]["retained"] == evaluate(target, "sys.modules['shop'].size")["value"]
        assert rows["shop", "Leaf"]["retained"] == evaluate(target, "sys.modules['shop'].leaves")["value"]
        order = [row["retained"] for row in result.json["result"]["rows"]]
        assert order == sorted(order, reverse=True)
        text = lowtide("types", "--retained", target.pid)
        assert "RETAINED" in text.out and "shop.Tree" in text.out
