"""Healthy: a MemoryHandler with a target, flushed when it is full, many times a second."""
import logging
import logging.handlers

from load import turns

EXPECT = None

orders = logging.getLogger("orders")


def main():
    target = logging.StreamHandler(open("/dev/null", "w"))
    orders.addHandler(logging.handlers.MemoryHandler(capacity=50, target=target))
    orders.setLevel(logging.INFO)
    orders.propagate = False
    for turn in turns(300):
        orders.info("order %d: %s", turn, ["line %d of %d" % (i, turn) for i in range(5)])
