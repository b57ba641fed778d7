"""A Django project in one file, with its database in memory; the programs on Django share it."""
import io
from wsgiref.util import setup_testing_defaults

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


class Visitor:
    """Speaks to the project as a web server does, through WSGI; keeps its cookie."""

    def __init__(self):
        from django.core.wsgi import get_wsgi_application
        self.application = get_wsgi_application()
        self.cookie = ""

    def get(self, path):
        environ = {"PATH_INFO": path, "QUERY_STRING": "", "HTTP_COOKIE": self.cookie, "wsgi.input": io.BytesIO()}
        setup_testing_defaults(environ)
        answer = {}
        response = self.application(environ, lambda status, headers: answer.update(headers))
        body = b"".join(response)
        response.close()
        self.cookie = answer.get("Set-Cookie", self.cookie).partition(";")[0]
        return body
