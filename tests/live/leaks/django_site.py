"""A Django project in one file, with its database in memory; the programs on Django share it."""
import django
from django.conf import settings


def configure(**more):
    settings.configure(ALLOWED_HOSTS=["*"], USE_TZ=True, SECRET_KEY="k",
                       DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
                       INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions"], **more)
    django.setup()


def create(*models):
    from django.db import connection
    with connection.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
