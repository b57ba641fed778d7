"""sql: what a query finds is what the target itself says, and a query can only read."""
import signal
import subprocess
import textwrap

import pytest
from harness import Target, interpreters, lowtide_path, reset_signals

SHOP = '''
    import sys
    class Cart:
        __slots__ = ("items", "owner")
        def __init__(self, number):
            self.items = [number, number + 1]
            self.owner = "owner %d" % number
    carts = {"cart %d" % i: Cart(i * 1000003) for i in range(2000)}
    one = carts["cart 7"]
    ready(carts=id(carts), size=sys.getsizeof(carts), one=id(one), items=id(one.items), owner=id(one.owner), type=id(Cart),
          low=min(map(id, carts.values())), high=max(map(id, carts.values())), module=__name__)
'''


@pytest.fixture
def shop(interpreter):
    with Target(interpreter, textwrap.dedent(SHOP)) as target:
        yield target


def rows(lowtide, target, query, *options):
    result = lowtide("sql", "--json", *options, target.pid, query)
    assert result.code == 0, result
    return result.json["result"]["rows"]


def test_objects_types_and_references(lowtide, shop):
    facts = shop.facts
    assert rows(lowtide, shop, "SELECT type, module, count FROM types WHERE type = 'Cart'") == [
        {"type": "Cart", "module": "__main__", "count": 2000}]
    [found] = rows(lowtide, shop, f"SELECT * FROM objects WHERE address = {facts['carts']}")
    assert found["type"] == "dict" and found["size"] == facts["size"] and found["length"] == 2000
    assert found["retained"] > found["size"] + 2000 * 100
    assert "tracked" in found["flags"] and found["refcount"] >= 1
    targets = {row["target"] for row in rows(lowtide, shop, f"SELECT target FROM refs WHERE source = {facts['one']}")}
    assert {facts["items"], facts["owner"]} <= targets
    sources = rows(lowtide, shop, f"SELECT source, kind, label FROM refs WHERE target = {facts['one']} AND kind = 'value'")
    assert {"source": facts["carts"], "kind": "value", "label": "'cart 7'"} in sources


def test_a_range_of_addresses_is_that_of_a_scan(lowtide, shop):
    low, high = shop.facts["low"], shop.facts["high"]
    [row] = rows(lowtide, shop, f"""
        SELECT (SELECT count(*) FROM objects WHERE address BETWEEN {low} AND {high} AND type = 'Cart') AS closed,
               (SELECT count(*) FROM objects WHERE address > {low} AND address < {high} AND type = 'Cart') AS open,
               (SELECT count(*) FROM objects WHERE +address >= {low} AND +address <= {high}) AS scanned,
               (SELECT count(*) FROM objects WHERE address >= {low} AND address <= {high}) AS found,
               (SELECT count(*) FROM objects WHERE address = '{low}') AS text,
               (SELECT count(*) FROM objects WHERE address > -5 AND address < 10) AS none""")
    assert row["closed"] == 2000 and row["open"] == 1998 and row["text"] == 1 and row["none"] == 0
    assert row["scanned"] == row["found"] >= 2000
    ordered = [r["address"] for r in rows(lowtide, shop, f"SELECT address FROM objects WHERE address > {low} ORDER BY address LIMIT 50")]
    assert ordered == sorted(ordered)


def test_who_refers_to_an_object(lowtide, shop):
    """By the edges of the graph, by all references, and once the edges are gone: the same."""
    for what in (f"{shop.facts['one']}", f"{shop.facts['type']}", "(SELECT address FROM objects WHERE type = 'module' LIMIT 1)"):
        counts = [rows(lowtide, shop, f"SELECT count(*) AS n, min(source) AS s FROM refs WHERE {column} = {what}")[0]
                  for column in ("target", "+target")]
        assert counts[0] == counts[1] and counts[0]["n"] >= 1
        [late] = rows(lowtide, shop, f"""
            SELECT count(o.retained) AS n, min(r.source) AS s FROM refs r JOIN objects o ON o.address = r.source
            WHERE r.target = {what}""")
        assert late == counts[0]
    assert rows(lowtide, shop, "SELECT * FROM refs WHERE target = 5") == []
    assert rows(lowtide, shop, "SELECT * FROM refs WHERE target = -1 OR target = 'x'") == []


def test_dominators_and_roots(lowtide, shop):
    [row] = rows(lowtide, shop, f"SELECT dominator FROM objects WHERE address = {shop.facts['one']}")
    # The variable `one` holds it too, in the dict that holds `carts`.
    assert row["dominator"] not in (None, shop.facts["carts"])
    [row] = rows(lowtide, shop, f"SELECT dominator FROM objects WHERE address = {shop.facts['items']}")
    assert row["dominator"] == shop.facts["one"]
    kinds = {row["kind"] for row in rows(lowtide, shop, "SELECT DISTINCT kind FROM roots")}
    assert {"modules", "builtins"} <= kinds


def test_forms(lowtide, shop):
    query = "SELECT count, bytes, type, NULL AS missing, type FROM types WHERE type = 'Cart' OR type = 'dict' ORDER BY type"
    text = lowtide("sql", shop.pid, query)
    assert text.code == 0 and len(text.out.splitlines()) == 3
    assert text.out.splitlines()[0].split() == ["count", "bytes", "type", "missing", "type_2"]
    csv = lowtide("sql", "--format", "csv", shop.pid, query)
    assert csv.out.splitlines()[0] == "count,bytes,type,missing,type_2" and csv.out.splitlines()[1].startswith("2000,")
    assert csv.out.splitlines()[1].endswith(",Cart,,Cart")
    cut = lowtide("sql", "--top", "1", shop.pid, query)
    assert len(cut.out.splitlines()) == 3 and "more rows" in cut.out


@pytest.mark.parametrize("query, words", [
    ("SELECT zeroblob(1000000000)", "too big"),
    ("SELECT abs(-9223372036854775808)", "integer overflow"),
])
def test_queries_that_fail(lowtide, query, words):
    with Target(interpreters()[0], "ready()") as target:
        result = lowtide("sql", target.pid, query)
    assert result.code == 2 and words in result.err and result.out == "", result


def test_an_interrupt_ends_a_query():
    with Target(interpreters()[0], "ready()") as target:
        interrupt(target.pid)


def interrupt(pid):
    process = subprocess.Popen([lowtide_path(), "sql", str(pid),
                                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=reset_signals)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT
