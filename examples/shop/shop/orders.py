"""What was bought, and reports about it."""
import collections
import itertools

from . import faults

history = collections.deque(maxlen=500)
_open_reports = []
_numbers = itertools.count(1)


def keep_all():
    """Replaces the history by one that never forgets."""
    global history
    history = collections.deque(history)


class OrderLine:
    def __init__(self, order, sku, quantity, cents):
        # A line that knows its order makes a cycle: only the collector can free the two.
        self.order = order
        self.sku = sku
        self.quantity = quantity
        self.cents = cents


class Order:
    def __init__(self, session, catalog, price_of):
        self.number = next(_numbers)
        self.customer = session.name
        back = self if faults.cyclic_orders() else None
        self.lines = [OrderLine(back, line.product.sku, line.quantity, price_of(line.product).cents)
                      for line in session.cart.lines.values()]
        self.cents = sum(line.quantity * line.cents for line in self.lines)
        self.receipt = "order %d for %s: " % (self.number, self.customer) + "-" * 400
        catalog.record_order(self.customer, self.cents)


def place(session, catalog, price_of):
    order = Order(session, catalog, price_of)
    session.cart.lines.clear()
    if faults.on("order-history") and history.maxlen is not None:
        keep_all()
    if not faults.cyclic_orders():
        history.append(order)
    return order


def report(order):
    """Lines of an invoice, one at a time."""
    heading = "Invoice %d" % order.number
    lines = ["%s x%d %d" % (line.sku, line.quantity, line.cents) for line in order.lines]
    yield heading
    for line in lines:
        yield line


def first_line(order):
    lines = report(order)
    if faults.on("open-reports"):
        _open_reports.append(lines)
    return next(lines)
