"""diff on real services: what a target did between two snapshots, by type and by the container that it put it in."""
from harness import Target
from test_findings import evaluate, service

SHOP = '''
    class Order:
        def __init__(self, number):
            self.number = number
            self.note = "order %d" % number
    class Session:
        registry = {}
    cache = {i: Order(i) for i in range(100)}
    steady = [Order(-i) for i in range(300)]
    leaving = [bytearray(1000) for i in range(200)]
    def grow():
        for i in range(100, 2100):
            cache[i] = Order(i)
        for i in range(500):
            Session.registry["key %d" % i] = [i, "value %d" % i]
        del leaving[50:]
        # Churn: as many as before, others.
        for i in range(300):
            steady[i] = Order(-i)
        return len(cache)
'''


def snapshot(lowtide, target, file):
    result = lowtide("snapshot", "-o", file, target.pid)
    assert result.code == 0, result
    return file


def diff(lowtide, *arguments):
    result = lowtide("diff", "--json", *arguments)
    assert result.code == 0, result
    report = result.json["result"]
    assert set(report) == {"before", "after", "matched", "new_count", "new_bytes", "gone_count", "holders", "types"}
    return report


def check_growth(report, target):
    assert report["matched"] is True
    types = {row["type"]: row for row in report["types"]}
    assert types["shop.Order"]["growth_count"] == 2000
    assert types["shop.Order"]["count"] == 2400
    assert types["bytearray"]["growth_count"] == -150
    assert types["bytearray"]["growth_bytes"] < -150 * 1000
    growth = [row["growth_bytes"] for row in report["types"]]
    assert growth == sorted(growth, reverse=True)
    holders = {row["expression"]: row for row in report["holders"]}
    cache = holders["sys.modules['shop'].cache"]
    assert (cache["length_before"], cache["length"], cache["type"]) == (100, 2100, "dict")
    # An Order, its dict in some releases, its note, its number.
    assert 2000 <= cache["growth_objects"] <= 10000
    assert cache["item"] == "shop.Order"
    assert cache["growth_bytes"] <= cache["retained"]
    assert evaluate(target, cache["expression"])["id"] == int(cache["address"], 16)
    registry = holders["sys.modules['shop'].Session.registry"]
    assert (registry["length_before"], registry["length"]) == (0, 500)
    assert registry["item"] == "list"
    assert "sys.modules['shop'].leaving" not in holders
    assert list(holders)[0] == "sys.modules['shop'].cache"


def test_what_grew_and_what_holds_it(interpreter, lowtide, tmp_path):
    with Target(interpreter, service(SHOP)) as target:
        before = snapshot(lowtide, target, tmp_path / "before.tide")
        assert evaluate(target, "sys.modules['shop'].grow()")["value"] == 2100
        after = snapshot(lowtide, target, tmp_path / "after.tide")
        check_growth(diff(lowtide, before, after), target)
        live = diff(lowtide, before, target.pid)
        check_growth(live, target)
        assert live["new_count"] >= 2000 and live["gone_count"] >= 150
        # Between a file and the same moment there is nothing.
        same = diff(lowtide, after, after)
        assert same["types"] == [] and same["holders"] == [] and same["new_count"] == same["gone_count"] == 0
        text = lowtide("diff", before, after)
        assert text.code == 0
        assert "sys.modules['shop'].cache" in text.out
        assert "100 to 2,100 entries" in text.out
        # Two moments the wrong way round have types only.
        back = lowtide("diff", "--json", after, before)
        assert back.code == 0, back
        assert back.json["result"]["matched"] is False and back.json["warnings"]


def test_two_processes_have_types_only(interpreter, lowtide, tmp_path):
    one, other = service("held = [{} for i in range(500)]"), service("held = [{} for i in range(900)]")
    with Target(interpreter, one) as first, Target(interpreter, other) as second:
        report = diff(lowtide, snapshot(lowtide, first, tmp_path / "one.tide"), second.pid)
        assert report["matched"] is False
        assert report["holders"] == [] and report["new_count"] is None
        assert abs({row["type"]: row["growth_count"] for row in report["types"]}["dict"] - 400) < 20


def test_what_cannot_be_compared(lowtide, tmp_path):
    text = tmp_path / "notes.tide"
    text.write_text("no snapshot")
    assert lowtide("diff").code == 2
    assert lowtide("diff", text).code == 2
    assert lowtide("diff", text, text, text).code == 2
    for operands in ((text, text), (tmp_path / "missing.tide", text)):
        result = lowtide("diff", *operands)
        assert result.code == 6, result
        assert result.out == "" and len(result.err.splitlines()) <= 2
