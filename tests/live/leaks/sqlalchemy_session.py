"""SQLAlchemy: one Session for the life of the process. Objects are added and the commit never comes."""
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from load import turns

REQUIRES = ["sqlalchemy"]
EXPECT = {"kind": ["instance-attribute"], "expression": ["sys.modules['sqlalchemy_session'].session._new"]}


class Base(DeclarativeBase):
    pass


class Reading(Base):
    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
session = Session(engine, autoflush=False)


def main():
    with Session(engine) as other:
        other.add_all(Reading(text="seed %d" % i) for i in range(20))
        other.commit()
    for turn in turns(250):
        session.add(Reading(text="reading %d" % turn))
        if turn % 10 == 0:
            with Session(engine) as other:
                other.scalars(select(Reading).limit(5)).all()
