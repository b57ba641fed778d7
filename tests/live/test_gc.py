"""`lowtide gc`: the collections of a live process, against the target's own gc."""
import json
import textwrap

import pytest

from harness import Target

# Makes cycles and collects now and then, until it is told to say what it did.
SCRIPT = textwrap.dedent('''
    import gc, threading, time

    def sweep():
        for _ in range(50):
            ring = []
            ring.append(ring)
        gc.collect()

    def on_gc(phase, info):
        pass

    def totals():
        return [one["collections"] for one in gc.get_stats()]

    gc.callbacks.append(on_gc)
    gc.set_threshold(100000, 10, 10)
    held = [[i] for i in range(300000)]
    ready()
    done = threading.Event()

    def work():
        while not done.wait(0.05):
            sweep()

    worker = threading.Thread(target=work)
    worker.start()
    wait_line()
    done.set()
    worker.join()
''')


def test_gc_tells_collections_causes_and_callbacks(interpreter, lowtide):
    with Target(interpreter, SCRIPT) as target:
        result = lowtide("gc", "--json", "-d", "2", "--source", "poll", target.pid)
        assert result.code == 0, result
        found = result.json["result"]
        assert found["source"] == "poll"
        assert found["summary"]["count"] > 0
        causes = found["summary"]["by_cause"]
        assert set(causes) == {"explicit"}, json.dumps(causes)
        assert all(one["cause"] == "explicit" for one in found["collections"])
        assert found["callbacks"] and "on_gc" in found["callbacks"][0]
        assert found["timeline"][0]["thresholds"] == [100000, 10, 10]
        assert found["timeline"][0]["rss_bytes"] > 0
        target.send("end")


@pytest.mark.three_interpreters("the command's own course")
def test_gc_of_a_process_that_ends_gives_what_there_was(interpreter, lowtide):
    script = "import sys, time\nready()\ntime.sleep(1)\nsys.stdout.flush()\nimport os\nos._exit(0)"
    with Target(interpreter, script) as target:
        result = lowtide("gc", "--json", "-d", "60", "--source", "poll", target.pid)
        assert result.code == 0, result
        assert result.json["result"]["ended"] is True


@pytest.mark.three_interpreters("the command's own course")
def test_gc_as_text_names_the_source_and_what_matters(interpreter, lowtide):
    with Target(interpreter, SCRIPT) as target:
        result = lowtide("gc", "-d", "1", "--source", "poll", target.pid)
        assert result.code == 0, result
        assert "source poll" in result.out
        assert "COLLECTIONS" in result.out and "explicit" in result.out
        target.send("end")


@pytest.mark.three_interpreters("the command's own course")
def test_gc_writes_a_recording_that_it_reads_back(interpreter, lowtide, tmp_path):
    path = tmp_path / "app.tide"
    with Target(interpreter, SCRIPT) as target:
        watched = lowtide("gc", "--json", "-d", "1", "--source", "poll", "-o", path, target.pid)
        target.send("end")
    assert watched.code == 0, watched
    read = lowtide("gc", "--json", path)
    assert read.code == 0, read
    for key in ("source", "summary", "collections", "headline", "callbacks", "findings"):
        assert read.json["result"][key] == watched.json["result"][key], key
    trace = lowtide("gc", "-q", path, "-o", tmp_path / "app.trace.json")
    assert trace.code == 0, trace
    assert json.loads((tmp_path / "app.trace.json").read_text())
    rows = lowtide("gc", path, "--format", "csv")
    assert rows.code == 0 and len(rows.out.splitlines()) == 1 + len(read.json["result"]["collections"]), rows


def test_doctor_that_watches_finds_calls_in_hot_paths(interpreter, lowtide):
    with Target(interpreter, SCRIPT) as target:
        result = lowtide("doctor", "--json", "-d", "2", target.pid)
        target.send("end")
    assert result.code == 0, result
    findings = {one["id"]: one for one in result.json["result"]["findings"]}
    assert "gc-explicit-collect" in findings, sorted(findings)
    assert findings["gc-explicit-collect"]["evidence"]["collections"] > 0
    assert "gc-callbacks" in findings


# Each program has one fault; by the id of the finding that should name it.
FAULTS = {
    "gc-off": "gc.disable()\nwork(lambda: held.append([]))",
    "gc-saveall": "gc.set_debug(gc.DEBUG_SAVEALL)\nwork(lambda: (ring(), gc.collect(0)))",
    "gc-freeze-pays": "held += [[i] for i in range(300000)]\ngc.collect()\nwork(lambda: gc.collect(), 0.2)",
    "gc-full-in-vain": "gc.set_threshold(10**6)\nwork(lambda: gc.collect())",
    "gc-thresholds-low": "gc.set_threshold(10, 10, 10**6)\nheld += [[i] for i in range(100000)]\n"
                         "work(lambda: [[j] for j in range(1000)], 0)",
}


@pytest.mark.three_interpreters("a finding is made of events, which other tests compare on each", every={"fault": ("gc-freeze-pays",)})
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_gc_names_the_fault(interpreter, lowtide, fault):
    script = textwrap.dedent('''
        import gc, threading, time
        held = []
        def ring():
            one = []
            one.append(one)
        def work(step, pause=0.02):
            ready()
            while True:
                step()
                time.sleep(pause)
    ''') + FAULTS[fault]
    with Target(interpreter, script) as target:
        # Reading the counters is enough but for the time of short collections.
        source = () if fault == "gc-thresholds-low" else ("--source", "poll")
        result = lowtide("gc", "--json", "-d", "2", *source, target.pid)
    if fault == "gc-thresholds-low" and result.json["result"]["source"] == "poll":
        pytest.skip("the time of short collections is seen by no source that is possible here")
    assert result.code == 0, result
    assert fault in [one["id"] for one in result.json["result"]["findings"]], result.json["result"]["findings"]


SERVICE = textwrap.dedent('''
    import gc, threading, time
    class Order:
        pass
    held = []
    def ring():
        one = Order()
        one.own = one
    def work(step, pause=0.02):
        ready()
        while True:
            step()
            time.sleep(pause)
''')
# What `doctor -d` should say of a service with one fault, and what the evidence must be.
WATCHED = {
    # A finalizer that takes its time: no machine is so fast that this is no long pause.
    "gc-long-pauses": ("class Slow(Order):\n    def __del__(self):\n        time.sleep(0.15)\n"
                       "def handle():\n    one = Slow()\n    one.own = one\n    del one\n"
                       "    [Order() for i in range(3000)]\nwork(handle)",
                       lambda e: e["pause_max_ms"] >= 100 and e["pauses_over_budget"] >= 1),
    "gc-explicit-collect": ("def handle():\n    gc.collect()\nwork(handle)", lambda e: e["per_second"] > 1),
    "gc-full-in-vain": ("held += [[i] for i in range(100000)]\nwork(lambda: gc.collect())",
                        lambda e: e["full_collections"] >= 3 and e["collected"] == 0),
    "collector-disabled": ("gc.disable()\nwork(ring, 0.0005)",
                           lambda e: e["enabled"] is False and e["garbage_type"] == "__main__.Order"),
    "gc-thresholds-low": ("gc.set_threshold(10, 10, 10**6)\nheld += [[i] for i in range(100000)]\n"
                          "work(lambda: [[j] for j in range(1000)], 0)", lambda e: e["cpu_share"] >= 0.05),
    "gc-freeze-pays": ("held += [[i] for i in range(300000)]\ngc.collect()\nwork(lambda: gc.collect(), 0.2)",
                       lambda e: e["long_lived"] >= 300000 and e["full_collections"] >= 2),
    "uncollectable-garbage": ("import _testcapi\n@_testcapi.with_tp_del\nclass Bad:\n"
                              "    def __tp_del__(self):\n        pass\n"
                              "def step():\n    one = Bad()\n    one.own = one\n    del one\n    gc.collect(0)\n"
                              "work(step)",
                              lambda e: e["added_objects"] > 0 and e["added_per_second"] > 0
                              and e["garbage_type"] == "__main__.Bad"),
    "debug-saveall": ("gc.set_debug(gc.DEBUG_SAVEALL)\nwork(lambda: (ring(), gc.collect(0)))",
                      lambda e: e["added_objects"] > 0 and e["garbage_type"] == "__main__.Order"),
}


@pytest.mark.three_interpreters("a finding is made of events, which other tests compare on each", every={"fault": ("gc-full-in-vain", "uncollectable-garbage")})
@pytest.mark.parametrize("fault", sorted(WATCHED))
def test_doctor_that_watches_names_the_fault(interpreter, lowtide, fault):
    script, holds = WATCHED[fault]
    if "_testcapi" in script:
        script = ("try:\n    import _testcapi\n    _testcapi.with_tp_del\nexcept (ImportError, AttributeError):\n"
                  "    ready(lacks='_testcapi')\n    time.sleep(3600)\n") + script
    with Target(interpreter, SERVICE + script) as target:
        if "lacks" in target.facts:
            pytest.skip("this build has no " + target.facts["lacks"])
        result = lowtide("doctor", "--json", "-d", "3", target.pid)
    assert result.code == 0, result
    findings = {one["id"]: one for one in result.json["result"]["findings"]}
    assert fault in findings, [(one["id"], one["title"]) for one in findings.values()]
    assert holds(findings[fault]["evidence"]), findings[fault]


def test_doctor_that_watches_a_healthy_service_is_quiet(interpreter, lowtide):
    script = ("held += [[i] for i in range(1000)]\ngc.collect()\n"
              "work(lambda: [ring() for i in range(20)], 0.01)")
    with Target(interpreter, SERVICE + script) as target:
        result = lowtide("doctor", "--json", "-d", "3", target.pid)
    assert result.code == 0, result
    loud = [(one["id"], one["title"], one["evidence"]) for one in result.json["result"]["findings"]
            if one["severity"] != "info"]
    assert not loud, loud


def test_nobody_is_told_to_freeze_what_is_frozen(interpreter, lowtide):
    script = ("import gc, time\nheld = [[i] for i in range(300000)]\ngc.collect()\ngc.freeze()\nready()\n"
              "while True:\n    gc.collect()\n    time.sleep(0.2)\n")
    with Target(interpreter, script) as target:
        result = lowtide("gc", "--json", "-d", "2", "--source", "poll", target.pid)
    assert result.code == 0, result
    assert "gc-freeze-pays" not in [one["id"] for one in result.json["result"]["findings"]]


CHANGES = textwrap.dedent('''
    import gc, time

    def change():
        gc.disable()
        gc.enable()
        gc.freeze()
        gc.unfreeze()
        gc.set_threshold(5000, 20, 30)
        gc.set_debug(0)
    wait = wait_line
    ready(first=change.__code__.co_firstlineno + 1)
    while True:
        change()
        time.sleep(0.2)
''')


def test_gc_says_who_changed_the_collector(interpreter, lowtide):
    with Target(interpreter, CHANGES) as target:
        result = lowtide("gc", "--json", "-d", "2", target.pid)
        first = target.facts["first"]
    assert result.code == 0, result
    found = result.json["result"]
    if found["source"] != "probe":
        pytest.skip("who calls is seen by probes only: " + str(found["why_not"]))
    calls = ["gc.disable", "gc.enable", "gc.freeze", "gc.unfreeze", "gc.set_threshold", "gc.set_debug"]
    lines = {one["call"]: one["where"].split(":")[-2:] for one in found["changes"]}
    assert lines == {call: [str(first + i), "change"] for i, call in enumerate(calls)}, lines


# Keeps the collector out of a request, as some services do: what was made meanwhile is collected once it is on again.
OFF_AND_ON = textwrap.dedent('''
    import gc, time

    gc.collect()
    ready(line=LINE)
    while True:
        gc.disable()
        held = [[] for _ in range(60000)]
        time.sleep(0.01)
        gc.enable()
        held.append([])
        time.sleep(0.03)
        held = None
''')
OFF_AND_ON = OFF_AND_ON.replace("LINE", str(OFF_AND_ON.split("\n").index("    gc.enable()") + 1))


@pytest.mark.parametrize("source", ["probe", "poll"])
def test_what_waits_while_the_collector_is_off(interpreter, lowtide, source):
    with Target(interpreter, OFF_AND_ON) as target:
        result = lowtide("gc", "--json", "-d", "2", "--source", source, target.pid)
        line = target.facts["line"]
    if source == "probe" and result.code == 4:
        pytest.skip(result.err)
    assert result.code == 0, result
    found = result.json["result"]
    causes = found["summary"]["by_cause"]
    assert set(causes) <= {"threshold-0", "threshold-1", "threshold-2", "unknown"} and "threshold-0" in causes, causes
    # Of the first one the call may lie before the recording.
    waited = [one for one in found["collections"] if one["counts"][0] > 50000 and one["start"] > found["changes"][0]["start"]]
    assert waited, found["collections"]
    for one in waited:
        assert "next bytecode" not in one["evidence"], one
        assert "automatic collection was off" in one["evidence"], one
        assert source != "probe" or one["evidence"].endswith(f"target.py:{line}:<module>"), one
    assert "gc-young-pause" not in [one["id"] for one in found["findings"]]
