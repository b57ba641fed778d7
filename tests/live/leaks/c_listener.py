"""A C extension keeps each order that it is told of in memory of its own: no Python object refers to them any more."""
import seeded

from load import turns

REQUIRES = ["seeded"]
EXPECT = {"kind": ["references-from-c"], "pattern": r"<Order at 0x[0-9a-f]+, .*>", "type": r"c_listener\.Order"}


class Order:
    def __init__(self, number):
        self.lines = ["line %d of order %d" % (i, number) for i in range(8)]


def main():
    for turn in turns(300):
        seeded.listen(Order(turn))
