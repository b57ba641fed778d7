"""What things cost: quotes for a product, discounts for a customer."""
import functools
import time

from . import faults

_CURRENCIES = {"EUR": 1.0, "USD": 1.08, "SEK": 11.3}
_quotes = {}


class Quote:
    """The price of one product for one kind of customer."""

    def __init__(self, sku, cents, currency, reason):
        self.sku = sku
        self.cents = cents
        self.currency = currency
        self.reason = reason
        self.made = time.time()

    def __str__(self):
        return "%d.%02d %s" % (self.cents // 100, self.cents % 100, self.currency)


class PriceList:
    """The prices of one customer."""

    def __init__(self, tier, customer=""):
        self.tier = tier
        self.customer = customer
        self.rates = [1.0 - 0.01 * tier * step for step in range(20)]

    @functools.lru_cache(maxsize=None)
    def discount(self, cents):
        return self._discount(cents)

    def _discount(self, cents):
        return int(cents * self.rates[min(cents // 1000, len(self.rates) - 1)])


_lists = [PriceList(tier) for tier in range(4)]


def price_list(session):
    if faults.on("method-cache"):
        return PriceList(session.tier, session.id)
    return _lists[session.tier]


def quote(product, session):
    key = (product.sku, session.tier, session.currency)
    if faults.on("price-cache"):
        key += (session.id,)
    found = _quotes.get(key)
    if found is None:
        prices = price_list(session)
        cents = prices.discount(product.cents) if faults.on("method-cache") else prices._discount(product.cents)
        found = Quote(product.sku, int(cents * _CURRENCIES[session.currency]), session.currency,
                      "tier %d of %s" % (session.tier, product.category))
        if not faults.on("method-cache"):
            _quotes[key] = found
    return found
