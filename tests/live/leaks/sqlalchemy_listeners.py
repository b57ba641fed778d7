"""SQLAlchemy: an event listener is added to the engine at each request, to time that request's statements."""
import time

from sqlalchemy import create_engine, event, text

from load import turns

REQUIRES = ["sqlalchemy"]
EXPECT = {"kind": ["callback-list"],
          "pattern": r"sys\.modules\['sqlalchemy_listeners'\]\.engine\.dispatch\.(before_cursor_execute|_events)\b.*"
                     r"|sys\.modules\['sqlalchemy\.event\.registry'\]\._(key_to_collection|collection_to_key)"}

engine = create_engine("sqlite://")


def request(number):
    marks = ["mark %d of request %d" % (i, number) for i in range(12)]

    def before(connection, cursor, statement, parameters, context, executemany):
        if number < 0:
            marks.append(time.monotonic())

    event.listen(engine, "before_cursor_execute", before)
    return marks


def main():
    with engine.connect() as connection:
        for turn in turns(150, warm_up=100):
            request(turn)
            if turn % 20 == 0:
                connection.execute(text("select 1")).all()
