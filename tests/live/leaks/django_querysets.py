"""Django: evaluated QuerySets are kept in a list of the module, each with the rows that it has fetched."""
import django_site

django_site.configure(DEBUG=False)

from django.db import models  # noqa: E402

from load import turns  # noqa: E402

REQUIRES = ["django"]
EXPECT = {"kind": ["module-container"], "expression": ["sys.modules['django_querysets'].REPORTS"]}

REPORTS = []


class Article(models.Model):
    name = models.CharField(max_length=80)
    price = models.IntegerField()

    class Meta:
        app_label = "shop"


def main():
    django_site.create(Article)
    Article.objects.bulk_create(Article(name="article %d" % i, price=i) for i in range(60))
    for turn in turns(60, warm_up=150):
        report = Article.objects.filter(price__gte=turn % 50)[:12]
        sum(article.price for article in report)
        REPORTS.append(report)
