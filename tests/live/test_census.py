"""The census and the state of the collector, against the target's own gc and sys."""
from pathlib import Path

import pytest

from harness import Target, build_dir, run_command

SCRIPT = Path(__file__).with_name("census_target.py")


def probe(pid, *options):
    result = run_command(build_dir() / "tests/tools/lt_probe", *options, pid)
    assert result.code == 0, result
    return result.json


def by_name(types):
    """Counts and bytes of each type without the permanent generation, which gc.get_objects() leaves out."""
    counts, sizes = {}, {}
    for module, name, count, size, permanent, permanent_size in types:
        key = f"{module}:{name}"
        counts[key] = counts.get(key, 0) + count - permanent
        sizes[key] = sizes.get(key, 0) + size - permanent_size
    return {k: v for k, v in counts.items() if v}, {k: v for k, v in sizes.items() if v}


def differences(ours, theirs):
    return {k: (ours.get(k), theirs.get(k)) for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k)}


def assert_same(seen, facts):
    assert (seen["status"], seen["proved"], seen["unreadable"]) == ("ok", True, 0)
    counts, sizes = by_name(seen["types"])
    assert not differences(counts, facts["counts"])
    # These were counted while they grew.
    for grown in ("collections:Counter",):
        sizes.pop(grown, None)
        facts["sizes"].pop(grown, None)
    ours, theirs = sum(sizes.values()), sum(facts["sizes"].values())
    assert abs(ours - theirs) <= 0.005 * theirs, differences(sizes, facts["sizes"])
    assert seen["permanent"] == facts["frozen"] == sum(seen["permanent_of"])
    assert seen["tracked"] == sum(facts["counts"].values()) + facts["frozen"]


@pytest.mark.parametrize("allocator", ["", "debug", "malloc"])
def test_counts_and_sizes(interpreter, allocator):
    env = {"PYTHONMALLOC": allocator} if allocator else None
    with Target(interpreter, SCRIPT, 3000, env=env) as target:
        target.wait_asleep()
        assert_same(probe(target.pid), target.facts)


def test_malloc_with_many_objects(interpreter):
    """More than can be followed link by link: anonymous memory is searched."""
    with Target(interpreter, SCRIPT, 40000, env={"PYTHONMALLOC": "malloc"}) as target:
        target.wait_asleep()
        assert_same(probe(target.pid), target.facts)


def test_frozen_heap(interpreter):
    with Target(interpreter, SCRIPT, 3000, "freeze") as target:
        target.wait_asleep()
        seen = probe(target.pid)
        assert_same(seen, target.facts)
        permanent = {f"{m}:{n}": p for m, n, _, _, p, _ in seen["types"] if p}
        assert permanent["__main__:Plain"] == 3000
        assert permanent["__main__:Outer.Inner"] == 10


@pytest.mark.parametrize("mode", ["fork", "stop", "live"])
def test_state_of_the_collector(interpreter, mode):
    with Target(interpreter, SCRIPT, 10) as target:
        target.wait_asleep()
        seen = probe(target.pid, "--mode", mode)
        facts = target.facts
        assert [i["id"] for i in seen["interpreters"]] == [0]
        main = seen["interpreters"][0]
        assert main["enabled"] == facts["enabled"] and not main["collecting"]
        assert main["debug"] == facts["debug"]
        assert [g["threshold"] for g in main["generations"]] == facts["threshold"]
        for generation, stats in zip(main["generations"], facts["stats"]):
            assert {k: generation[k] for k in stats if k in generation} == {k: stats[k] for k in stats if k in generation}
            assert generation["collections"] == stats["collections"]
        assert (main["garbage"], main["callbacks"]) == (facts["garbage"], facts["callbacks"])
        assert [(t["thread_id"], t["native_id"]) for t in main["threads"]] == [(facts["ident"], facts["native"])]
        assert not main["threads"][0]["holds_gil"]


def test_graph_holds_the_census(interpreter):
    with Target(interpreter, SCRIPT, 1000) as target:
        target.wait_asleep()
        seen = probe(target.pid, "--graph")
        graph = seen["graph"]
        assert graph["proved"] and graph["misplaced"] == 0
        assert graph["tracked"] == seen["tracked"] and graph["permanent"] == seen["permanent"]
        assert graph["nodes"] > graph["tracked"] and graph["edges"] > graph["nodes"]
        assert graph["bytes"] > seen["bytes"]
        # None, and the singletons that everything refers to.
        assert graph["static"] > 100
