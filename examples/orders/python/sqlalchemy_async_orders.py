"""An order and its e-mail, together or not at all, with an asynchronous session of SQLAlchemy 2.

pip install ./sdk-python "sqlalchemy[asyncio]" asyncpg
DATABASE_URL=postgresql+asyncpg://… python examples/orders/python/sqlalchemy_async_orders.py ada@example.com 1999
"""

import asyncio
import os
import sys

from sqlalchemy import BigInteger
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

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


async def charge(cents: int) -> None:
    if cents > 100_000:
        raise Declined(f"{cents} cents are too many")


async def place_order(session: AsyncSession, email: str, cents: int) -> tuple[int, int]:
    async with session.begin():
        order = Order(email=email, cents=cents)
        session.add(order)
        await session.flush()  # the order has its id now
        job = await enqueue(session, "order.email", {"order": order.id, "to": email})
        await charge(cents)  # if this raises, there is no order, and nobody gets an e-mail
        return order.id, job


async def main() -> None:
    engine = create_async_engine(os.environ["DATABASE_URL"])
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        order, job = await place_order(session, sys.argv[1], int(sys.argv[2]))
        print(f"order {order}, job {job}")
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
