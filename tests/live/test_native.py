"""Faults of C extensions, seeded by tests/live/extension/seeded.c: what doctor says of them."""
import textwrap

import pytest
from harness import Target, build_dir, run_command
from harness.extension import CannotBuild, extension_path

LEVELS = ["info", "low", "medium", "high", "critical"]


@pytest.fixture
def seeded(interpreter):
    """Starts a target that can import `seeded`."""
    try:
        path = extension_path(interpreter)
    except CannotBuild as reason:
        pytest.skip(str(reason))

    def start(script):
        head = f"import gc, sys\nsys.path.insert(0, {str(path)!r})\nimport seeded\n"
        return Target(interpreter, head + textwrap.dedent(script))
    return start


def findings(lowtide, target, name):
    result = lowtide("doctor", "--json", target.pid)
    assert result.code == 0, result
    return [f for f in result.json["result"]["findings"] if f["id"] == name]


CYCLES = '''
    for i in range({count}):
        content = ["%d" % i * 50]
        content.append(seeded.{type}(content))
    del content
    before = len(gc.get_objects())
    gc.collect()
    gc.disable()
    ready(offset={offset})
'''


@pytest.mark.parametrize("type, offset, collected", [("Box", 24, False), ("Holder", 40, True)])
def test_a_cycle_through_a_type_without_traverse(seeded, lowtide, type, offset, collected):
    with seeded(CYCLES.format(count=2000, type=type, offset=offset)) as target:
        found = findings(lowtide, target, "type-without-traverse")
        assert len(found) == 1, found
        evidence = found[0]["evidence"]
        assert evidence["type"] == "seeded." + type
        assert evidence["library"].endswith("/seeded.so")
        assert evidence["member_offset"] == offset
        assert evidence["leads_to"] == "builtins.list"
        assert evidence["collected_type"] is collected
        assert evidence["references"] == 2000
        assert evidence["objects"] == 6000
        assert found[0]["severity"] in ("medium", "high")
        assert "gc.get_objects()" in found[0]["expression"]
        # The collector is off, but of these it would free nothing.
        (disabled,) = findings(lowtide, target, "collector-disabled")
        assert disabled["evidence"]["garbage_objects"] < 1500


def test_a_file_says_the_same(seeded, lowtide, tmp_path):
    path = tmp_path / "cycles.tide"
    script = CYCLES.format(count=2000, type="Box", offset=24).replace("before =", "kept = [seeded.Box(str) for i in range(10)]\n    before =")
    with seeded(script) as target:
        result = lowtide("snapshot", "-o", path, target.pid)
        assert result.code == 0, result
        live = lowtide("doctor", "--json", target.pid).json["result"]["findings"]
    assert "type-without-traverse" in [f["id"] for f in live]
    assert lowtide("doctor", "--json", path).json["result"]["findings"] == live


def test_a_subclass_of_such_a_type(seeded, lowtide):
    script = '''
        class Parcel(seeded.Box):
            pass
        for i in range(1500):
            content = ["%d" % i * 50]
            content.append(Parcel(content))
        del content
        gc.collect()
        ready()
    '''
    with seeded(script) as target:
        (found,) = findings(lowtide, target, "type-without-traverse")
        assert found["evidence"]["type"] == "__main__.Parcel"
        assert found["evidence"]["member_offset"] == 24
        assert found["evidence"]["references"] == 1500


def test_what_is_alive_or_can_be_collected_is_no_fault(seeded, lowtide):
    script = '''
        gc.disable()
        held = []
        for i in range(2000):
            content = []
            content.append(seeded.Crate(content))     # visited: waits for the collector
            content = []
            content.append(seeded.Box(content))       # not visited, but alive
            held.append(content)
            content = [[]]
            content[0].append(content)                # a Box that hangs on garbage goes with it
            content.append(seeded.Box(["x"]))
        ready()
    '''
    with seeded(script) as target:
        assert findings(lowtide, target, "type-without-traverse") == []


@pytest.mark.parametrize("how", ["lose", "listen"])
def test_references_that_nobody_accounts_for(seeded, lowtide, how):
    script = f'''
        class Order:
            pass
        for i in range(1200):
            order = Order()
            order.lines = ["%d" % i * 20]
            seeded.{how}(order)
        del order
        gc.collect()
        ready()
    '''
    with seeded(script) as target:
        found = findings(lowtide, target, "references-from-c")
        assert len(found) == 1, found
        evidence = found[0]["evidence"]
        assert evidence["type"] == "__main__.Order"
        # An old word of a C stack may stand for the reference of one or two.
        assert 1190 <= evidence["objects"] <= 1200
        assert 1190 <= evidence["missing_references"] <= 1200
        assert evidence["held_bytes"] > 1000 * 100
        assert "seeded.so" in evidence["extension_modules"]
        assert found[0]["severity"] in ("medium", "high")


def test_what_static_data_holds(seeded, lowtide):
    script = '''
        class Table:
            pass
        def fill():
            table = Table()
            table.rows = [bytes(1000) for _ in range(20000)]
            seeded.register(table)
        fill()
        ready()
    '''
    with seeded(script) as target:
        found = findings(lowtide, target, "references-from-c")
        assert len(found) == 1, found
        assert found[0]["evidence"]["held_by"] == "seeded.so:seeded_registry"
        assert found[0]["evidence"]["type"] == "__main__.Table"
        assert found[0]["severity"] == "high"


def test_what_static_data_alone_holds(seeded, lowtide):
    """A dict of strings, which the collector does not track before 3.14: no object leads to it."""
    script = '''
        seeded.register(dict((str(i) * 100, str(i) * 101) for i in range(10000)))
        ready()
    '''
    with seeded(script) as target:
        found = findings(lowtide, target, "references-from-c")
        assert len(found) == 1, found
        assert found[0]["evidence"]["held_by"] == "seeded.so:seeded_registry"
        assert found[0]["evidence"]["type"] == "builtins.dict"
        assert found[0]["evidence"]["held_bytes"] > 10000 * 800


@pytest.mark.parametrize("how, amounts, severity", [("register", (3, 3), "medium"), ("lose", (3, 3), "medium"), ("register", (0, 6), "low")])
def test_growth_of_what_c_code_holds(seeded, lowtide, tmp_path, how, amounts, severity):
    """By three snapshots: the library and symbol that hold it, and whether it was steady."""
    script = f"""
        class Table:
            pass
        def fill(count):
            for _ in range(count):
                table = Table()
                table.rows = [bytes(1000) for _ in range(150)]
                seeded.{how}(table)
        fill(2)
        ready()
        while True:
            fill(int(wait_line()))
            ready()
    """
    files = [tmp_path / f"{number}.tide" for number in range(3)]
    with seeded(script) as target:
        for file, amount in zip(files, (*amounts, None)):
            assert lowtide("snapshot", target.pid, "-o", file).code == 0
            if amount is not None:
                target.send(str(amount))
                target.wait_ready()
    result = lowtide("leaks", "--json", *files)
    assert result.code == 0, result
    first = result.json["result"]["suspects"][0]
    assert (first["kind"], first["type"], first["severity"]) == ("references-from-c", "__main__.Table", severity), first
    assert first["evidence"]["held_growth_bytes"] > 3 * 150 * 1000
    if how == "register":
        assert first["evidence"]["held_by"] == first["where"] == "seeded.so:seeded_registry", first
        assert "seeded_registry" in first["title"] and "seeded_registry" in first["fix"], first
    else:
        assert "held_by" not in first["evidence"] and "seeded.so" in first["evidence"]["extension_modules"], first


def objects(target, *addresses):
    result = run_command(build_dir() / "tests/tools/lt_unexplained", target.pid, *addresses)
    assert result.code == 0, result
    return result.json["objects"]


def test_reference_counts_add_up(seeded):
    """For each object: what lowtide found, with what it says is missing, is what the target counts."""
    script = '''
        class Thing:
            pass
        def things():
            out = {}
            thing = Thing(); seeded.lose(thing); seeded.lose(thing); out["lost"] = thing
            thing = Thing(); seeded.listen(thing); out["listens"] = thing
            thing = Thing(); seeded.register(thing); out["registered"] = thing
            thing = Thing(); out["boxed"] = thing; out["box"] = seeded.Box(thing)
            thing = Thing(); out["held"] = thing; out["holder"] = seeded.Holder(thing)
            thing = Thing(); thing.a = thing.b = thing; out["own"] = thing
            thing = Thing(); out["several"] = thing; out["tuple"] = (thing, thing); out["dict"] = {thing: thing}
            return out
        all = things()
        names = sorted(all)
        counts = {name: sys.getrefcount(all[name]) - 1 for name in names}
        referrers = {name: len(gc.get_referrers(all[name])) for name in names}
        ready(counts=counts, ids={name: hex(id(all[name])) for name in names}, referrers=referrers)
    '''
    with seeded(script) as target:
        ids, counts = target.facts["ids"], target.facts["counts"]
        seen = objects(target, *ids.values())
        for name in counts:
            facts = seen[ids[name]]
            assert facts["known"], name
            missing = sum(r["count"] for r in facts["roots"])
            assert facts["edges"] + missing == counts[name], (name, facts, counts[name])
            assert facts["edges"] >= target.facts["referrers"][name] - 1, (name, facts)
        kinds = {name: {r["kind"]: r for r in seen[ids[name]]["roots"]} for name in counts}
        # An old word of a C stack may stand for one of them.
        assert sum(r["count"] for r in seen[ids["lost"]]["roots"]) == 2
        assert sum(r["count"] for r in seen[ids["listens"]]["roots"]) == 1
        assert kinds["registered"]["static"]["name"] == "seeded.so:seeded_registry"
        assert seen[ids["boxed"]]["scanned"] == 1 and not kinds["boxed"]
        assert seen[ids["held"]]["scanned"] == 1 and not kinds["held"]
        assert not kinds["own"] and not kinds["several"]


@pytest.mark.parametrize("how", ["waits", "runs"])
def test_an_object_on_a_c_stack(seeded, how):
    script = f'''
        class Thing:
            pass
        def make():
            thing = Thing()
            make.id = hex(id(thing))
            return thing
        def call():
            ready(id=make.id)
            while "{how}" == "runs":
                pass
            sleep_forever()
        seeded.on_stack(make, call)
    '''
    with seeded(script) as target:
        if how == "waits":
            target.wait_asleep()
        facts = objects(target, target.facts["id"])[target.facts["id"]]
        kinds = {r["kind"]: r["name"] for r in facts["roots"]}
        assert kinds == {"stack": f"the C stack of thread {target.facts['pid']}"}
