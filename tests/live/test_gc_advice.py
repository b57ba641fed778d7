"""Findings on collections lead to the line of the program's own code, and the fix fits the cause."""
import json
import textwrap

import pytest

from harness import Target, watching

SERVICE = textwrap.dedent('''
    import gc, json, sys, time
    LINES = {}
    def serve(step, pause=0.02):
        gc.collect()
        ready(lines=LINES)
        while True:
            step()
            time.sleep(pause)
''')
# A program, the finding, the line that it points to, what the fix must say and what it must not.
FAULTS = {
    "a long pause that is called for": (
        "class Slow:\n    def __del__(self):\n        time.sleep(0.12)\n"
        "def flush():\n    one = Slow()\n    one.own = one\n    del one\n    gc.collect()\n"
        "LINES['call'] = flush.__code__.co_firstlineno + 4\nserve(flush, 0.2)",
        "gc-long-pauses", "call", ["Take the call of gc.collect() at", "in flush()"], ["--advise"]),
    "full collections in vain that are called for": (
        "held = [[i] for i in range(50000)]\ndef tidy():\n    gc.collect()\n"
        "LINES['call'] = tidy.__code__.co_firstlineno + 1\ngc.disable()\nserve(tidy, 0.1)",
        "gc-full-in-vain", "call", ["Take out the call of gc.collect() at", "in tidy()"], ["third threshold"]),
    "thresholds too low": (
        "gc.set_threshold(20, 10, 10**6)\nkept = [[i] for i in range(50000)]\n"
        "def rows():\n    return [[j] for j in range(3000)]\n"
        "LINES['call'] = rows.__code__.co_firstlineno + 1\nserve(rows, 0)",
        "gc-thresholds-low", "call", ["gc.set_threshold(%d)"], ["gc.set_threshold(200)"]),
    "freezing pays where calls go through it all": (
        "held = [[i] for i in range(200000)]\ndef tidy():\n    gc.collect()\n"
        "LINES['call'] = tidy.__code__.co_firstlineno + 1\nserve(tidy, 0.2)",
        "gc-freeze-pays", "call", ["gc.collect(); gc.freeze()", "in tidy()"], []),
}


@pytest.mark.three_interpreters("a fix is made of events, which other tests compare on each", every={"fault": ("freezing pays where calls go through it all",)})
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_the_fix_fits_the_cause(interpreter, lowtide, fault):
    script, name, line, said, unsaid = FAULTS[fault]
    # Times of collections this short are known to the probe only.
    with Target(interpreter, SERVICE + script) as target:
        result = lowtide("gc", "--json", "-d", "3", target.pid)
    assert result.code == 0, result
    found = {one["id"]: one for one in result.json["result"]["findings"]}
    if name == "gc-thresholds-low" and result.json["result"]["source"] == "poll":
        pytest.skip("the time of short collections is seen by no source that is possible here")
    assert name in found, sorted(found)
    one = found[name]
    assert one["where"] and one["where"].endswith("target.py:%d" % target.facts["lines"][line]), one
    usual = one["evidence"].get("default_threshold0")
    for text in said:
        assert (text % usual if "%" in text else text) in one["fix"], one
    assert not any(text in one["fix"] for text in unsaid), one


@pytest.mark.three_interpreters("findings are made of events, which other tests compare on each")
def test_a_budget_for_pauses(interpreter, lowtide):
    """--max-pause is the budget of the finding too. A sleep takes as long as the processor is busy with others: the log of
    the program tells how long its pauses were."""
    script = ("import threading\nlog = []\n"
              "class Slow:\n    def __del__(self):\n        time.sleep(0.03)\n"
              "def flush():\n    one = Slow()\n    one.own = one\n    del one\n"
              "    begun = time.monotonic_ns()\n    gc.collect()\n    log.append((begun, time.monotonic_ns()))\n"
              "def tell():\n    while True:\n        wait_line()\n        ready(log=log)\n"
              "threading.Thread(target=tell, daemon=True).start()\nserve(flush, 0.2)")
    with Target(interpreter, SERVICE + script) as target:
        usual = lowtide("gc", "--json", "-d", "2", "--source", "poll", target.pid)
        asked = lowtide("gc", "--json", "-d", "2", "--source", "poll", "--max-pause", "20", target.pid)
        target.send()
        log = target.wait_ready()["log"]
    for result, budget in ((usual, 100), (asked, 20)):
        assert result.code == 0, result
        result = result.json["result"]
        first = result["collections"][0]
        start = first["monotonic_ns"] - int(first["start"] * 1e9)
        last = start + result["summary"]["seconds"] * 1e9
        inside = [(end - begun) / 1e6 for begun, end in log if start <= begun and end <= last]
        touched = [(end - begun) / 1e6 for begun, end in log if start <= end and begun <= last]
        assert len(inside) >= 5, log
        found = {one["id"]: one for one in result["findings"]}
        over = 0
        if "gc-long-pauses" in found:
            evidence = found["gc-long-pauses"]["evidence"]
            over = evidence["pauses_over_budget"]
            assert evidence["budget_ms"] == budget and over >= 1, evidence
        # Polling is a millisecond off at either end of a pause.
        least, most = sum(one > budget + 3 for one in inside), sum(one > budget - 3 for one in touched)
        assert least <= over <= most, (budget, over, inside)
    assert over >= 5, inside


@pytest.mark.three_interpreters("who calls is in the event, which other tests compare on each", every={"what": ("gc.disable()",)})
@pytest.mark.parametrize("what, name", [("gc.disable()", "collector-disabled"), ("gc.set_debug(gc.DEBUG_SAVEALL)", "debug-saveall")])
def test_who_set_it_is_named_when_it_was_seen(interpreter, lowtide, what, name):
    script = "def later():\n    wait_line()\n    %s\nLINES['call'] = later.__code__.co_firstlineno + 2\ngc.collect()\n" \
             "ready(lines=LINES)\nlater()\nserve(lambda: [[]], 0.1)" % what
    with Target(interpreter, SERVICE + script) as target:
        if lowtide("gc", "--source", "probe", "-d", "1", target.pid).code != 0:
            pytest.skip("who calls is seen by the probe only")
        with watching("doctor", "--json", "-d", "4", target.pid) as process:
            target.send()
            out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    found = {one["id"]: one for one in json.loads(out)["result"]["findings"]}
    assert found[name]["where"].endswith("target.py:%d" % target.facts["lines"]["call"]), found[name]
    assert "was called at" in found[name]["explanation"]


@pytest.mark.three_interpreters("findings are made of events, which other tests compare on each")
def test_a_library_that_collects_is_told_with_who_calls_it(interpreter, lowtide):
    script = textwrap.dedent("""
        import os, types
        held = [[i] for i in range(50000)]
        # Code of a file that is in no folder: only its name says that it is installed.
        library = types.ModuleType("reports")
        exec(compile("import gc\\ndef render():\\n    gc.collect()\\n", "/srv/lib/site-packages/reports/core.py", "exec"),
             library.__dict__)
        def nightly():
            library.render()
        LINES["call"] = nightly.__code__.co_firstlineno + 1
        serve(nightly, 0.1)
    """)
    with Target(interpreter, SERVICE + script) as target:
        result = lowtide("gc", "--json", "-d", "3", target.pid)
    assert result.code == 0, result
    found = {one["id"]: one for one in result.json["result"]["findings"]}["gc-explicit-collect"]
    assert found["where"] == "/srv/lib/site-packages/reports/core.py:3", found
    line = "target.py:%d in nightly()" % target.facts["lines"]["call"]
    assert found["evidence"]["called_through"].endswith(line) and line in found["fix"], found


@pytest.mark.three_interpreters("findings are made of events, which other tests compare on each")
def test_pauses_that_grew_with_the_heap(interpreter, lowtide, tmp_path):
    script = ("held = [[i] for i in range(20000)]\n"
              "import threading\ndef later():\n    wait_line()\n    held.extend([i] for i in range(400000))\n"
              "    gc.collect()\n    ready()\n"
              "threading.Thread(target=later, daemon=True).start()\nserve(lambda: gc.collect(), 0.2)")
    with Target(interpreter, SERVICE + script) as target:
        first = lowtide("gc", "-d", "3", "-o", tmp_path / "first.tide", target.pid)
        target.send()
        target.wait_ready()
        second = lowtide("gc", "-d", "3", "-o", tmp_path / "second.tide", target.pid)
    assert first.code == second.code == 0, (first, second)
    result = lowtide("gc", "--json", tmp_path / "first.tide", tmp_path / "second.tide").json["result"]
    reasons = [one["text"] for one in result["reasons"]]
    assert any("in a full collection, which looks at every tracked object: " in one for one in reasons), reasons
