"""SQLAlchemy: an engine for each tenant and day, kept in a registry of the class."""
from sqlalchemy import create_engine, text

from load import turns

REQUIRES = ["sqlalchemy"]
EXPECT = {"kind": ["class-attribute"], "expression": ["sys.modules['sqlalchemy_engines'].Tenant.engines"]}


class Tenant:
    engines = {}

    def __init__(self, name, day):
        self.key = "%s on day %d" % (name, day)

    def count(self):
        if self.key not in Tenant.engines:
            Tenant.engines[self.key] = create_engine("sqlite://")
        with Tenant.engines[self.key].connect() as connection:
            return connection.execute(text("select 1")).scalar()


def main():
    for turn in turns(40, warm_up=100):
        Tenant("tenant", turn).count()
