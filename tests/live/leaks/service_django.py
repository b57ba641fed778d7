"""Healthy: Django with sessions in its database; visitors log in and out, expired sessions are cleared."""
import django_site

django_site.configure(DEBUG=False, ROOT_URLCONF="service_django",
                      MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"])

from django.contrib.sessions.models import Session  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from load import turns  # noqa: E402

REQUIRES = ["django"]
EXPECT = None


def log_in(request):
    request.session["basket"] = list(range(10))
    return HttpResponse("in")


def log_out(request):
    request.session.flush()
    return HttpResponse("out")


urlpatterns = [path("in", log_in), path("out", log_out)]


def main():
    django_site.create(Session)
    visitor = django_site.Visitor()
    for turn in turns(40, warm_up=100):
        visitor.get("/in")
        assert visitor.cookie
        visitor.get("/out")
