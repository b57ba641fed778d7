"""logging: a MemoryHandler without a target: each buffered record stays, with its arguments."""
import logging
import logging.handlers

from load import turns

EXPECT = {"kind": ["logging-handler"], "pattern": r".*(handlers\[\d\]|handler|_handlers?\b.*|_handlerList\[\d\].*)\.buffer"}

orders = logging.getLogger("orders")
handler = logging.handlers.MemoryHandler(capacity=10_000_000, flushLevel=logging.CRITICAL)


def main():
    orders.addHandler(handler)
    orders.setLevel(logging.INFO)
    orders.propagate = False
    for turn in turns(250):
        orders.info("order %d: %s", turn, ["line %d of %d" % (i, turn) for i in range(5)])
