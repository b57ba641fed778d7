"""lowtide without memory: an allocation that fails, or a thread that does not start, changes no figure. The answer is the usual one, or
exit code 70 with the sentence for it; and the process goes on."""
import os
import re

import pytest
from harness import Target, build_dir, lowtide_path

SHIM = build_dir() / "tests/tools/no_memory.so"
LEAST = 512   # bytes
PLACES = int(os.environ.get("LOWTIDE_NO_MEMORY_PLACES", "25"))  # allocations that fail, each in a run of its own, of those of a run

# CPython 3.15 asks for huge pages for its arenas: the kernel makes some of what is there at any moment, and all of it resident.
SCRIPT = """
import ctypes
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE
class Order:
    def __init__(self, number):
        self.number, self.lines = number, [str(number), (number, float(number))]
held = [Order(i) for i in range(30000)]
texts = {"order %d" % i: {"id": i} for i in range(20000)}
ready()
while True:
    wait_line()
    ready(alive=len(held))
"""


def figures(command: str, result: dict):
    """What an answer says that a process at rest says again."""
    if command in ("retained", "doctor"):
        return {name: part for name, part in result.items() if name != "identity"}
    if command == "types":
        return [(one["module"], one["type"], one["count"], one["bytes"]) for one in result["rows"]]
    return [(part["name"], part["bytes"], part["count"]) for part in result["parts"] if part["layer"] in ("objects", "pymalloc", "malloc")]


@pytest.mark.three_interpreters("which allocations there are does not depend on the release")
@pytest.mark.parametrize("command", ["rss", "types", "retained", "doctor"])
def test_the_usual_answer_or_none(lowtide, interpreter, command):
    if b"libasan" in lowtide_path().read_bytes():
        pytest.skip("the sanitizer has an allocator of its own")

    def run(target, **environment):
        return lowtide(command, target.pid, "--json", env={"LD_PRELOAD": str(SHIM), "NO_MEMORY_LEAST": str(LEAST), **environment})

    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        usual = run(target, NO_MEMORY_TELL="1")
        told = re.findall(r"^no_memory:([ \d]+)$", usual.err, re.M)  # by lowtide, and by each process that it started
        made = max([int(count) for count in line.split()] for line in told)  # of each thread
        places = [(thread, at) for thread, count in enumerate(made) for at in range(count)]
        assert len(places) > 100 and len(made) > 1
        expected = figures(command, usual.json["result"])
        failed = 0
        for thread, at in places[::max(len(places) // PLACES, 1)]:
            done = run(target, NO_MEMORY_IN=str(thread), NO_MEMORY_AT=str(at))
            assert done.code in (0, 70), (thread, at, done)
            if done.code == 0:
                assert figures(command, done.json["result"]) == expected, (thread, at)
            else:
                failed += 1
                assert "memory" in done.err, (thread, at, done)
        assert failed > 0
        for at in range(1, len(made)):
            done = run(target, NO_MEMORY_THREAD=str(at))
            assert done.code == 0 and figures(command, done.json["result"]) == expected, (at, done)
        target.send()
        assert target.wait_ready()["alive"] == 30000
