"""The memory faults that this shop can be given, each a mistake that real services make.

A fault is switched on with `--fault NAME` or `POST /admin/faults/NAME`. The code of the fault stands where
such code stands in real programs; `on()` is all that it asks here.
"""
import gc


class Fault:
    """One mistake: what it does, and the Python expression that reaches what piles up ("" when there is none)."""

    def __init__(self, name, summary, expression=""):
        self.name = name
        self.summary = summary
        self.expression = expression

    def __repr__(self):
        return "<Fault %s>" % self.name


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("price-cache", "quotes are cached under a key that holds the session: none is ever found again",
              "sys.modules['shop.pricing']._quotes"),
        Fault("method-cache", "functools.lru_cache(maxsize=None) on a method pins every price list",
              "sys.modules['shop.pricing'].PriceList.discount"),
        Fault("cart-registry", "the class keeps a list of all its carts",
              "sys.modules['shop.cart'].Cart.instances"),
        Fault("listeners", "each session subscribes to price changes and never unsubscribes",
              "sys.modules['shop.events']._listeners"),
        Fault("kept-errors", "errors are kept with their tracebacks, which pin the locals of every frame",
              "sys.modules['shop.errors'].recent"),
        Fault("fragment-cache", "an unbounded lru_cache over rendered fragments that hold the customer's name",
              "sys.modules['shop.templates'].fragment"),
        Fault("order-history", "a deque without maxlen keeps every order",
              "sys.modules['shop.orders'].history"),
        Fault("open-reports", "report generators are started and never finished",
              "sys.modules['shop.orders']._open_reports"),
        Fault("log-handlers", "each request adds a handler to the logger",
              "sys.modules['shop.web'].log.handlers"),
        Fault("sessions", "sessions never expire",
              "sys.modules['shop.session'].store._by_id"),
        Fault("seen-ids", "the worker remembers every job in a set, a local variable of its loop"),
        Fault("thread-locals", "threads of a pool keep everything that they rendered in thread-local storage"),
        Fault("threads", "each checkout starts a thread that waits for an answer that never comes"),
        Fault("gc-off", "the collector is disabled while orders and their lines refer to each other"),
        Fault("gc-threshold", "the threshold is so high that the collector never runs"),
        Fault("gc-freeze", "gc.freeze() at every hundredth request: garbage among the frozen is never found"),
    )
}

_active = set()


def on(name):
    return name in _active


def active():
    return sorted(_active)


def switch_on(name):
    """Raises KeyError for a name that no fault has."""
    fault = FAULTS[name]
    _active.add(fault.name)
    if name == "gc-off":
        gc.disable()
    elif name == "gc-threshold":
        gc.set_threshold(100000000, 50, 1000)
    return fault


def cyclic_orders():
    """True when orders and their lines refer to each other, as in many object mappers."""
    return on("gc-off") or on("gc-threshold") or on("gc-freeze")
