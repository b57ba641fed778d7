"""Pages, from string templates."""
import functools
import html
import string
import threading

from . import faults

_PAGE = string.Template("<!doctype html><title>$title</title><h1>$title</h1><p>Hello $name</p>$body\n")
_ROW = string.Template('<li><a href="/product/$sku">$name</a> <b>$price</b></li>')
_local = threading.local()


@functools.lru_cache(maxsize=None)
def fragment(sku, name, price, visitor):
    """One row of a list. The cache has no bound, and `visitor` makes every call a new one."""
    return _ROW.substitute(sku=sku, name=html.escape(name), price=price) + "<!-- for %s -->" % visitor


def row(product, quote, session):
    if faults.on("fragment-cache"):
        return fragment(product.sku, product.name, str(quote), session.name)
    return _ROW.substitute(sku=product.sku, name=html.escape(product.name), price=quote)


def page(title, session, body):
    text = _PAGE.substitute(title=html.escape(title), name=html.escape(session.name), body=body)
    if faults.on("thread-locals"):
        if not hasattr(_local, "rendered"):
            _local.rendered = []
        _local.rendered.append(text)
    return text
