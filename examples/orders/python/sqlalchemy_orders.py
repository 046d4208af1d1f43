"""An order and its e-mail, together or not at all, with a session of SQLAlchemy 2.

pip install ./sdk-python sqlalchemy "psycopg[binary]"
DATABASE_URL=postgresql+psycopg://… python examples/orders/python/sqlalchemy_orders.py ada@example.com 1999
"""

import os
import sys

from sqlalchemy import BigInteger, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from posthaste import enqueue


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    email: Mapped[str]
    cents: Mapped[int] = mapped_column(BigInteger)


class Declined(Exception):
    """The card was declined."""


def charge(cents: int) -> None:
    if cents > 100_000:
        raise Declined(f"{cents} cents are too many")


def place_order(session: Session, email: str, cents: int) -> tuple[int, int]:
    with session.begin():
        order = Order(email=email, cents=cents)
        session.add(order)
        session.flush()  # the order has its id now
        job = enqueue(session, "order.email", {"order": order.id, "to": email})
        charge(cents)  # if this raises, there is no order, and nobody gets an e-mail
        return order.id, job


if __name__ == "__main__":
    engine = create_engine(os.environ["DATABASE_URL"])
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        order, job = place_order(session, sys.argv[1], int(sys.argv[2]))
        print(f"order {order}, job {job}")
