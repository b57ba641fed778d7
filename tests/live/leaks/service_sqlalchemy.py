"""Healthy: SQLAlchemy with a short session for each unit of work, rows written, read and deleted."""
from sqlalchemy import create_engine, delete, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from load import turns

REQUIRES = ["sqlalchemy"]
EXPECT = None


class Base(DeclarativeBase):
    pass


class Reading(Base):
    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


engine = create_engine("sqlite://")
Base.metadata.create_all(engine)


def main():
    for turn in turns(60, warm_up=150):
        with Session(engine) as session:
            session.add_all(Reading(text="reading %d %d" % (turn, i)) for i in range(5))
            session.commit()
            session.scalars(select(Reading).limit(10)).all()
            if turn % 10 == 9:
                session.execute(delete(Reading))
                session.commit()
