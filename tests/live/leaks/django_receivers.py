"""Django: each request connects a receiver to a signal, strongly, and nobody disconnects it."""
import django_site

django_site.configure(DEBUG=False, ROOT_URLCONF="django_receivers", MIDDLEWARE=[])

from django.dispatch import Signal  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from load import turns  # noqa: E402

REQUIRES = ["django"]
EXPECT = {"kind": ["callback-list"], "expression": ["sys.modules['django_receivers'].order_paid.receivers"]}

order_paid = Signal()


def order(request, number):
    basket = ["line %d of order %d" % (i, number) for i in range(25)]

    def paid(sender, **_):
        return basket

    order_paid.connect(paid, weak=False)
    return HttpResponse("order %d" % number)


urlpatterns = [path("order/<int:number>", order)]


def main():
    visitor = django_site.Visitor()
    for turn in turns(80, warm_up=200):
        visitor.get("/order/%d" % turn)
