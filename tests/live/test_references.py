"""References and sizes of all objects of a target with the whole standard library, against its own gc and sys.

docs/references.md lists the types that differ: a type that differs and is not listed there fails.
"""
import array
import re
from pathlib import Path

import pytest
from decoding import decode
from harness import REPOSITORY, Target

# Of the tracked objects; and the sum of all sizes.
EXACT = 0.999
SIZES = 0.005


def listed(heading: str) -> set[str]:
    """The types in the first column of the table below a heading of docs/references.md."""
    text = (REPOSITORY / "docs" / "references.md").read_text()
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return {name for row in re.findall(r"^\| (`.*?`) \|", section, re.M) for name in re.findall(r"`([^`]+)`", row)}


def read_record(path: Path) -> dict[int, tuple[int, frozenset[int]]]:
    words = array.array("Q")
    words.frombytes(path.read_bytes())
    record, at = {}, 0
    while at < len(words):
        address, size, count = words[at:at + 3]
        record[address] = size, frozenset(words[at + 3:at + 3 + count])
        at += 3 + count
    return record


@pytest.fixture
def library(interpreter):
    script = (Path(__file__).parent / "references_target.py").read_text()
    with Target(interpreter, script, timeout=300) as target:
        yield target, read_record(target.directory / "record")


def test_references_and_sizes(library):
    target, record = library
    assert target.facts["modules"] > 300
    addresses = list(record)
    decoded, unreadable = decode(target.pid, addresses)
    assert unreadable == 0
    tracked = set(addresses[:target.facts["tracked"]])
    assert len(tracked) > 30000

    differ, sizes, exact = {}, {}, 0
    total = ours = 0
    for thing in decoded:
        size, referents = record[thing.address]
        if thing.visited == referents:
            exact += thing.address in tracked
        else:
            differ.setdefault(thing.type, []).append(
                (hex(thing.address), [hex(x) for x in referents - thing.visited][:5],
                 [hex(x) for x in thing.visited - referents][:5]))
        assert thing.size is not None, thing
        total, ours = total + size, ours + thing.size
        if thing.size != size:
            sizes.setdefault(thing.type, []).append((hex(thing.address), size, thing.size))

    assert exact >= EXACT * len(tracked), (exact, len(tracked), {k: (len(v), v[0]) for k, v in differ.items()})
    # One object of a type may have changed after it was recorded.
    unlisted = {k: v[0] for k, v in differ.items() if k not in listed("References that differ") and len(v) > 1}
    assert not unlisted
    assert abs(ours - total) <= SIZES * total
    unlisted = {k: v[0] for k, v in sizes.items() if k not in listed("Sizes that differ")}
    assert not unlisted
