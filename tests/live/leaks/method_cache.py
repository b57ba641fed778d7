"""functools.cache on a method: the cache keeps every order for ever, each with its lines."""
import functools

from load import turns

EXPECT = {"kind": ["lru-cache-unbounded"], "expression": ["sys.modules['method_cache'].Order.total"]}


class Order:
    def __init__(self, number):
        self.number = number
        self.lines = [{"article": i, "text": "line %d of order %d" % (i, number)} for i in range(4)]

    @functools.lru_cache(maxsize=None)
    def total(self, tax):
        return sum(line["article"] for line in self.lines) * tax


def main():
    for turn in turns(300):
        Order(turn).total(1.19)
