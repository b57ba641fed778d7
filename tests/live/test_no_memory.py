"""lowtide without memory: an allocation that fails, or a thread that does not start, changes no figure. The answer is the usual one, or
exit code 70 with the sentence for it; and the process goes on."""
import re

import pytest
from harness import Target, build_dir, lowtide_path

SHIM = build_dir() / "tests/tools/no_memory.so"
LEAST = 4096  # bytes: what is smaller is hardly ever refused
PLACES = 40   # allocations that fail, each in a run of its own, of those that a run makes

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


def figures(command: str, result: dict) -> list:
    """What an answer says that a process at rest says again."""
    if command == "types":
        return [(one["module"], one["type"], one["count"], one["bytes"]) for one in result["rows"]]
    return [(part["name"], part["bytes"], part["count"]) for part in result["parts"] if part["layer"] in ("objects", "pymalloc", "malloc")]


@pytest.mark.three_interpreters("which allocations there are does not depend on the release")
@pytest.mark.parametrize("command", ["rss", "types"])
def test_the_usual_answer_or_none(lowtide, interpreter, command):
    if b"libasan" in lowtide_path().read_bytes():
        pytest.skip("the sanitizer has an allocator of its own")

    def run(target, **environment):
        return lowtide(command, target.pid, "--json", env={"LD_PRELOAD": str(SHIM), "NO_MEMORY_LEAST": str(LEAST), **environment})

    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        usual = run(target, NO_MEMORY_TELL="1")
        told = re.findall(r"^no_memory: (\d+) (\d+)$", usual.err, re.M)  # by lowtide, and by each process that it started
        allocations, threads = max((int(made), int(started)) for made, started in told)
        assert allocations > PLACES and threads > 0
        expected = figures(command, usual.json["result"])
        failed = 0
        for at in range(0, allocations, max(allocations // PLACES, 1)):
            done = run(target, NO_MEMORY_AT=str(at))
            assert done.code in (0, 70), (at, done)
            if done.code == 0:
                assert figures(command, done.json["result"]) == expected, at
            else:
                failed += 1
                assert "memory" in done.err, (at, done)
        assert failed > 0
        for at in range(threads):
            done = run(target, NO_MEMORY_THREAD=str(at))
            assert done.code == 0 and figures(command, done.json["result"]) == expected, (at, done)
        target.send()
        assert target.wait_ready()["alive"] == 30000
