"""Django: models, templates, requests, and a cache of model instances that is never emptied."""
import gc

import django
from django.conf import settings
from django.http import HttpResponse
from django.template import engines
from django.urls import path

settings.configure(DEBUG=False, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], INSTALLED_APPS=["django.contrib.contenttypes"],
                   TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}], DATABASES={},
                   CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}})
django.setup()

from django.db import models  # noqa: E402
from django.test import Client  # noqa: E402

from oracle import part, sizes  # noqa: E402


class Order(models.Model):
    number = models.IntegerField()
    note = models.TextField()

    class Meta:
        app_label = "shop"


page = engines["django"].from_string("{% for order in orders %}<li>{{ order.number }}: {{ order.note }}</li>{% endfor %}")
cached = []


def listing(request, first):
    orders = [Order(number=i, note="note of %d" % i) for i in range(first, first + 200)]
    cached.extend(orders)
    return HttpResponse(page.render({"orders": orders}))


urlpatterns = [path("orders/<int:first>", listing)]
client = Client()
for number in range(0, 20_000, 200):
    assert client.get("/orders/%d" % number).status_code == 200
gc.collect()
live = [one for one in gc.get_objects() if type(one) is Order]
assert len(live) == len(cached)
kind = "live objects: %s.Order" % Order.__module__
notes = sizes([order.note for order in cached])
own = sizes(cached)
count = len(live)
del live
ready(parts=[part("objects", kind, own, 10 * own), part("objects", "live objects: str", notes, notes + 12_000_000)])
