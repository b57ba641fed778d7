"""object on real services: figures that the target itself gives, for one object of each sort."""
from harness import Target
from test_findings import evaluate, service

SHOP = '''
    import gc, sys
    class Order:
        def __init__(self, lines):
            self.lines = lines
            self.total = 12.5
    lines = ["line %d of the order" % i for i in range(500)]
    order = Order(lines)
    alias = [order, order, {"the": order}]
    bound = {i: str(i) * 3 for i in range(100)}
    del lines
    gc.disable()
    ring = [1]
    ring.append(ring)
    ring_address = hex(id(ring))
    del ring
    # References that the target counts, less the argument of getrefcount.
    def count(object):
        return sys.getrefcount(object) - 2
'''


def inspect(lowtide, target, what, *options):
    result = lowtide("object", "--json", *options, target.pid, what)
    assert result.code == 0, result
    return result.json["result"]


def test_an_instance(interpreter, lowtide):
    with Target(interpreter, service(SHOP)) as target:
        address = hex(evaluate(target, "sys.modules['shop'].order")["id"])
        evaluate(target, "0")  # the target forgets the last value
        found = inspect(lowtide, target, address)
        assert (found["address"], found["type"]) == (address, "shop.Order")
        assert found["expression"] == "sys.modules['shop'].order"
        assert evaluate(target, found["expression"])["id"] == int(address, 16)
        assert found["shallow"] <= evaluate(target, "sys.getsizeof(sys.modules['shop'].order)")["value"] + 200
        assert found["retained"] > 500 * 60
        assert "tracked" in found["flags"] and "garbage" not in found["flags"]
        # The module, the list twice, the dict.
        references = found["references"]
        assert references["objects"] == 4
        assert references["count"] == 4
        assert references["unexplained"] == 0
        assert found["referrer_count"] == 3
        assert {row["type"]: row["count"] for row in found["referrer_types"]} == {"dict": 2, "list": 1}
        assert {row["label"] for row in found["referrers"]} == {"['order']", "[0]", "['the']"}
        for row in found["referrers"]:
            assert evaluate(target, row["expression"])["id"] == int(row["address"], 16), row
        assert "'lines'" in found["keys"] and "'total'" in found["keys"]
        expressions = [row["expression"] for row in found["dominators"]]
        assert "sys.modules['shop'].__dict__" in expressions or "sys.modules['shop']" in expressions
        weights = [row["retained"] for row in found["dominators"]]
        assert weights == sorted(weights)
        assert not weights or weights[0] > found["retained"]
        ways = [path["expression"] for path in found["paths"]]
        assert "sys.modules['shop'].alias[0]" in ways
        text = lowtide("object", target.pid, address)
        assert text.code == 0 and "sys.modules['shop'].order" in text.out
        assert "line 7 of the order" not in text.out


def test_containers_and_garbage(interpreter, lowtide):
    with Target(interpreter, service(SHOP)) as target:
        found = inspect(lowtide, target, "sys.modules['shop'].order.lines", "--top", "7")
        assert found["type"] == "list"
        assert found["facts"]["length"] == 500
        assert found["referent_count"] == 500
        assert len(found["referents"]) == 7
        assert all(row["type"] == "str" for row in found["referents"])
        assert found["shallow"] == evaluate(target, "sys.getsizeof(sys.modules['shop'].order.lines)")["value"]
        bound = inspect(lowtide, target, "sys.modules['shop'].bound")
        assert bound["keys"][:3] == ["0", "1", "2"]
        assert len(bound["keys"]) + bound["keys_left"] == 100
        ring = inspect(lowtide, target, evaluate(target, "sys.modules['shop'].ring_address")["value"])
        assert "garbage" in ring["flags"]
        assert ring["expression"] is None and ring["paths"] == [] and ring["retained"] == 0
        none = inspect(lowtide, target, hex(evaluate(target, "None")["id"]))
        assert none["type"] == "NoneType"
        assert none["referrer_count"] > 100
        function = inspect(lowtide, target, "sys.modules['shop'].count")
        assert function["facts"]["name"] == "count"
        assert function["where"].startswith("/srv/shop.py:")


def test_what_is_no_object(interpreter, lowtide):
    with Target(interpreter, service(SHOP)) as target:
        for what in ("shop.Order", "0x10", "0xzz", "", "sys.modules['shop'].nothing"):
            result = lowtide("object", target.pid, what)
            assert result.code == 2, result
            assert result.out == "" and len(result.err.splitlines()) == 2
        assert lowtide("object", target.pid).code == 2
