"""What a customer is about to buy."""
from . import faults


class CartLine:
    def __init__(self, product, quantity):
        self.product = product
        self.quantity = quantity
        self.note = "%d x %s" % (quantity, product.name)


class Cart:
    instances = []  # a registry "for the admin page"

    def __init__(self, session_id):
        self.session_id = session_id
        self.lines = {}
        if faults.on("cart-registry"):
            Cart.instances.append(self)

    def add(self, product, quantity=1):
        line = self.lines.get(product.sku)
        if line is None:
            self.lines[product.sku] = CartLine(product, quantity)
        else:
            line.quantity += quantity

    def cents(self, price_of):
        return sum(price_of(line.product).cents * line.quantity for line in self.lines.values())

    def __len__(self):
        return len(self.lines)
