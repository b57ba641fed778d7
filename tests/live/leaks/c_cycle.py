"""Contracts in a cycle through an object of a C type without tp_traverse: the collector runs and cannot free them."""
import seeded

from load import turns

REQUIRES = ["seeded"]
EXPECT = {"kind": ["type-without-traverse"], "pattern": r"next\(x for x in gc\.get_objects\(\) if id\(x\) == 0x[0-9a-f]+\)",
          "type": r"seeded\.Box"}


class Contract:
    def __init__(self, number):
        self.text = ["clause %d of contract %d" % (i, number) for i in range(8)]
        self.seal = seeded.Box(self)


def main():
    for turn in turns(300):
        Contract(turn)
