"""Automatic collection is off "for latency"; parents and children refer to each other and have a __del__."""
import gc

from load import turns

EXPECT = {"kind": ["cycle-with-del"], "pattern": r"|.*(Parent|Child).*", "type": r".*\b(Parent|Child)"}


class Parent:
    def __init__(self, number):
        self.children = [Child(self, number * 10 + i) for i in range(5)]

    def __del__(self):
        self.closed = True


class Child:
    def __init__(self, parent, number):
        self.parent, self.name = parent, "child %d" % number


def main():
    gc.disable()
    for turn in turns(250):
        Parent(turn)
