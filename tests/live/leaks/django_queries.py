"""Django in production with DEBUG = True: the connection keeps every query, and the loop never ends a request."""
import django_site

django_site.configure(DEBUG=True)

from django.db import models  # noqa: E402

from load import turns  # noqa: E402

REQUIRES = ["django"]
EXPECT = {"kind": ["instance-attribute", "thread-local"], "pattern": r".*\.queries_log$"}


class Article(models.Model):
    name = models.CharField(max_length=80)

    class Meta:
        app_label = "shop"


def main():
    django_site.create(Article)
    Article.objects.bulk_create(Article(name="article %d" % i) for i in range(20))
    for turn in turns(250, warm_up=300):
        Article.objects.filter(name="article %d" % turn, id__in=range(40)).first()
