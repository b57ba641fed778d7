"""A big list that is gone, but for one object in a thousand."""
from oracle import part, sizes


class Order:
    __slots__ = ("number", "note")

    def __init__(self, i):
        self.number, self.note = i, None


orders = [Order(i) for i in range(400_000)]
freed = sizes(orders)
survivors = orders[::1000]
del orders
kept = sizes(survivors)
ready(pins=["__main__.Order", "survivors["],
      parts=[part("pymalloc", "free ", 0.95 * (freed - kept), 1.05 * freed + 12_000_000)])
