"""A CPython on musl, as in Alpine: what lowtide says of memory where there is no malloc of glibc's."""
import pytest
from harness import Target, musl_interpreter

# Every tenth of the big blocks survives, and every tenth of the small ones.
SCRIPT = """
class Order:
    def __init__(self, number):
        self.number = number
held = [Order(i) for i in range(20_000)]
big = [bytes(600 + i % 3000) for i in range(20_000)]
kept = big[::10]
del big
ready(orders=len(held), kept=sum(map(len, kept)))
wait_line()
ready(sound=all(not any(block) for block in kept), count=len(held))
"""


@pytest.fixture(scope="module")
def target():
    interpreter = musl_interpreter()
    if interpreter is None:
        pytest.skip("no CPython on musl here (scripts/musl.sh makes one)")
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        yield target
        assert target.settled()
        target.send()
        facts = target.wait_ready()
        assert facts["sound"] and facts["count"] == 20_000, facts


def test_types(target, lowtide):
    result = lowtide("types", "--json", target.pid)
    assert result.code == 0, result
    rows = {(row["module"], row["type"]): row["count"] for row in result.json["result"]["rows"]}
    assert rows["__main__", "Order"] == target.facts["orders"]


def test_rss_has_its_memory_as_one_part(target, lowtide):
    result = lowtide("rss", "--json", target.pid)
    assert result.code == 0, result
    found = result.json["result"]
    assert found["allocator"] == "musl" and found["other_allocator"] is None and found["malloc"] is None, found
    assert found["explained_ratio"] >= 0.97 and found["trim_gain_bytes"] == 0, found["parts"]
    parts = {(part["layer"], part["name"]): part for part in found["parts"]}
    rest = parts["malloc", "musl"]
    assert rest["detail"] == "used and free memory as one part" and rest["bytes"] > 10 << 20, parts
    assert parts["objects", "live objects: bytes"]["bytes"] >= 0.9 * target.facts["kept"]
    assert not [part for part in found["parts"] if part["layer"] == "unexplained" and part["bytes"] > 1 << 20], parts


def test_fragmentation_is_that_of_pythons_allocator(target, lowtide):
    result = lowtide("fragmentation", "--json", target.pid)
    assert result.code == 0, result
    found = result.json["result"]
    assert found["pymalloc"]["arenas"] > 0 and found["arenas"] == [] and found["verdict"] == "none", found


def test_trim_is_refused(target, lowtide):
    for options in ((), ("--watch", "-d", "2")):
        result = lowtide("trim", *options, target.pid)
        assert result.code == 3, result
        assert "uses musl in place of glibc's malloc" in result.err and "no setting for that" in " ".join(result.err.split()), result


def test_doctor_advises_nothing_of_glibc(target, lowtide):
    result = lowtide("doctor", "--json", target.pid)
    assert result.code == 0, result
    found = {finding["id"]: finding for finding in result.json["result"]["findings"]}
    assert not {"trim-would-return", "malloc-arenas"} & set(found), found
    assert "MALLOC_" not in found.get("rss-above-python", {"fix": ""})["fix"], found
