"""glibc's allocator from outside, beside what it says of itself: malloc_info() and mallinfo2() of the same quiet process."""
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from freezing import tool
from harness import Target, run_command

TARGET = Path(__file__).with_name("malloc_target.py")
SCRIPT = "import os, sys\nsys.argv.append(os.path.dirname(__file__))\nexec(compile({source!r}, 'malloc_target.py', 'exec'))\n"


def allocator(pid, *options):
    result = run_command(tool("lt_malloc"), *options, pid)
    assert result.code == 0, result
    return result.json


def started(interpreter, threads, shape="whole"):
    return Target(interpreter, SCRIPT.format(source=TARGET.read_text()), threads, shape)


def own_words(target):
    """What the process says; it then does nothing any more."""
    target.send()
    path, deadline = target.directory / "info", time.monotonic() + 60
    while not path.read_text().rstrip().endswith("</malloc>"):
        assert time.monotonic() < deadline and target.alive(), target.output()
        time.sleep(0.01)
    target.wait_asleep()
    text = path.read_text()
    sums, _, info = text.partition("<malloc")
    return [int(word) for word in sums.split()], ElementTree.fromstring("<malloc" + info)


def total(element, kind):
    found = element.find(f"total[@type='{kind}']")
    return (int(found.get("size")), int(found.get("count"))) if found is not None else (0, 0)


def compare(found, sums, info):
    assert found["found"] and found["whole"] and not found["disordered"] and found["unreadable"] == 0, found
    heaps = info.findall("heap")
    assert len(found["arenas"]) == len(heaps)
    for heap, arena in zip(heaps, found["arenas"]):
        states = arena["found"]
        assert states == arena["walked"]
        system = int(heap.find("system[@type='current']").get("size"))
        assert arena["system"] == system
        assert tuple(states["fast"]) == total(heap, "fast")
        size, count = total(heap, "rest")
        assert count == states["free"][1] + states["top"][1]
        # malloc_info() adds the size words as they are: the lowest bit of each chunk in a bin is set.
        free = states["free"][0] + states["top"][0]
        assert size == free + states["free"][1]
        assert system - free - states["fast"][0] == states["used"][0] + states["tcache"][0] + arena["overhead"]
        assert arena["locked"] is False and arena["whole"] is True
    assert (found["mmapped_bytes"], found["mmapped_chunks"]) == total(info, "mmap")
    assert found["mapped_found_bytes"] == found["mmapped_bytes"]
    assert found["mmapped"]["mmapped"][1] == found["mmapped_chunks"]
    if sums:

        def of_all(state, what):
            return sum(arena["found"][state][what] for arena in found["arenas"])

        assert sums == [sum(arena["system"] for arena in found["arenas"]), of_all("free", 1) + of_all("top", 1), of_all("fast", 1),
                        found["mmapped_chunks"], found["mmapped_bytes"], of_all("fast", 0),
                        of_all("free", 0) + of_all("top", 0) + of_all("fast", 0)]


@pytest.mark.parametrize("threads", (1, 32))
def test_as_the_allocator_says_itself(interpreter, threads):
    with started(interpreter, threads) as target:
        sums, info = own_words(target)
        found = allocator(target.pid)
        compare(found, sums, info)
        assert threads == 1 or len(found["arenas"]) > 2 and found["caches"] >= threads
        by_structure = allocator(target.pid, "--by-structure")
        compare(by_structure, sums, info)
        for name in ("release", "caches", "mmap_threshold"):
            assert by_structure[name] == found[name]
        assert target.alive()


def test_main_arena_in_pieces(interpreter):
    """Another user of brk(2) in between, then no more of it: the arena goes on in mappings."""
    with started(interpreter, 1, "pieces") as target:
        sums, info = own_words(target)
        found = allocator(target.pid)
        compare(found, sums, info)
        assert found["arenas"][0]["overhead"] >= 5008


def test_state_of_each_chunk(interpreter):
    with started(interpreter, 2) as target:
        own_words(target)
        for state in ("tcache", "used", "mmapped"):
            addresses = target.facts[state]
            result = run_command(tool("lt_malloc"), target.pid, *addresses)
            assert result.code == 0, result
            assert result.json["asked"] == [state] * len(addresses)
        # Freed and too large for a cache: a chunk of a bin, or part of one that begins before it.
        result = run_command(tool("lt_malloc"), target.pid, *target.facts["merged"])
        assert result.json["asked"] in ([None], ["free"], ["top"])


def test_memory_that_means_harm(interpreter):
    with started(interpreter, 4) as target:
        target.wait_asleep()
        result = run_command(tool("lt_malloc"), "--disturb", 60, target.pid)
        assert result.code == 0, result
        assert result.json["rounds"] == 60 and result.json["found"] >= 30, "what is disturbed was reached"
        assert result.json["whole"] < 60, "it was disturbed"
        assert target.alive()
