"""Asks the tool lt_decode what lowtide sees of single objects of a target."""
from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness import build_dir, run_command


@dataclass
class Reference:
    to: int
    untraversed: bool
    kind: str = ""
    index: int = 0
    name: str = ""  # an address in hexadecimal; the spelling of a member

    @classmethod
    def parse(cls, text: str) -> "Reference":
        parts = text.lstrip("-").split(":", 3)
        reference = cls(int(parts[0], 16), text.startswith("-"))
        if len(parts) > 1:
            reference.kind, reference.index, reference.name = parts[1], int(parts[2]), parts[3]
        return reference


@dataclass
class Decoded:
    address: int
    type: str
    size: int | None
    conservative: bool
    whole: bool
    references: list[Reference] = field(default_factory=list)

    @property
    def visited(self) -> frozenset[int]:
        """What tp_traverse visits."""
        return frozenset(r.to for r in self.references if not r.untraversed)

    @property
    def owned(self) -> frozenset[int]:
        return frozenset(r.to for r in self.references)


def decode(pid: int, addresses, kinds: bool = False) -> tuple[list[Decoded], int]:
    """The objects in the order of the addresses, and the count of what could not be read."""
    options = ["--kinds"] if kinds else []
    result = run_command(build_dir() / "tests/tools/lt_decode", *options, pid,
                         stdin="".join("%x\n" % address for address in addresses))
    assert result.code == 0, result
    decoded = []
    for line in result.out.splitlines():
        address, name, _kind, size, flags, *references = line.split()
        decoded.append(Decoded(int(address, 16), name, None if size == "-" else int(size), "c" in flags,
                               "u" not in flags, [Reference.parse(r) for r in references]))
    assert len(decoded) == len(addresses), result.err
    return decoded, int(re.search(r"unreadable (\d+)", result.err).group(1))
