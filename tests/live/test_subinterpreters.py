"""Objects of subinterpreters: every interpreter has lists of its own (and, since 3.12, maybe its own arenas)."""
import pytest

from harness import Target
from test_census import by_name, differences, probe

SCRIPT = '''
import collections, gc, json, os, sys, tempfile
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

INSIDE = """
import collections, gc, json, os, sys
class Inside:
    def __init__(self, number):
        self.number, self.items = number, [number]
held = [Inside(i) for i in range({count})] + [dict(key=[i]) for i in range(100)]
def named(kind):
    module = kind.__dict__.get("__module__") if kind.__flags__ & 512 else kind.__module__
    return (module if isinstance(module, str) else "") + ":" + kind.__qualname__
def measure():
    counts = collections.Counter()
    for thing in gc.get_objects():
        counts[named(type(thing))] += 1
    return counts
measure()
gc.disable()
if {freeze}:
    gc.freeze()
gc.collect()
counts = measure()
fd = os.open({path!r}, os.O_WRONLY | os.O_CREAT)
os.write(fd, json.dumps(dict(counts=counts, frozen=gc.get_freeze_count())).encode())
os.close(fd)
"""

def named(kind):
    module = kind.__dict__.get("__module__") if kind.__flags__ & 512 else kind.__module__
    return (module if isinstance(module, str) else "") + ":" + kind.__qualname__

def measure():
    counts = collections.Counter()
    for thing in gc.get_objects():
        counts[named(type(thing))] += 1
    return counts

kept, paths = [], []
for number in range(3):
    one = interpreters.create()
    kept.append(one)
    path = "/tmp/lowtide-inside-%d-%d" % (os.getpid(), number)
    interpreters.run_string(one, INSIDE.format(count=1000 * (number + 1), path=path, freeze=number == 2))
    paths.append(path)
inside = []
for path in paths:
    with open(path) as file:
        inside.append(json.load(file))
    os.unlink(path)
measure()
gc.disable()
gc.collect()
ready(counts=measure(), inside=inside, frozen=gc.get_freeze_count())
sleep_forever()
'''


def test_every_interpreter(interpreter):
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        seen = probe(target.pid, "--graph")
        assert seen["proved"]
        inside, facts = target.facts["inside"], target.facts
        assert len(seen["interpreters"]) == 4
        assert [i["enabled"] for i in seen["interpreters"]] == [False] * 4
        counts, _ = by_name(seen["types"])
        # Each of them has classes of these names.
        assert sum(c["counts"].get("__main__:Inside", 0) for c in inside) == 3000
        total = dict(facts["counts"])
        for one in inside:
            for name, count in one["counts"].items():
                total[name] = total.get(name, 0) + count
        # The code that runs in a subinterpreter leaves nothing there but what is in its namespace.
        wrong = differences(counts, total)
        assert sum(abs((a or 0) - (b or 0)) for a, b in wrong.values()) <= 12, wrong
        assert counts["__main__:Inside"] == 3000
        assert seen["permanent_of"][0] == facts["frozen"]
        # gc.freeze() caught the code object's function and frames that have ended since.
        assert 3000 < inside[2]["frozen"] - 6 < seen["permanent_of"][3] <= inside[2]["frozen"]
        assert seen["graph"]["tracked"] == seen["tracked"]


@pytest.mark.parametrize("mode", ["fork", "live"])
def test_an_interpreter_that_was_destroyed(interpreter, mode):
    script = SCRIPT.replace("measure()\ngc.disable()\ngc.collect()\nready",
                            "interpreters.destroy(kept[1])\nmeasure()\ngc.disable()\ngc.collect()\nready")
    with Target(interpreter, script) as target:
        target.wait_asleep()
        seen = probe(target.pid, "--mode", mode)
        assert seen["proved"] and len(seen["interpreters"]) == 3
