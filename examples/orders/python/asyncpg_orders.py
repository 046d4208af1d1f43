"""An order and its e-mail, together or not at all, with asyncpg.

pip install ./sdk-python asyncpg
DATABASE_URL=postgres://… python examples/orders/python/asyncpg_orders.py ada@example.com 1999
"""

import asyncio
import os
import sys

import asyncpg

from posthaste import enqueue


class Declined(Exception):
    """The card was declined."""


async def charge(cents: int) -> None:
    if cents > 100_000:
        raise Declined(f"{cents} cents are too many")


async def place_order(connection: asyncpg.Connection, email: str, cents: int) -> tuple[int, int]:
    async with connection.transaction():
        order = await connection.fetchval(
            "insert into orders (email, cents) values ($1, $2) returning id", email, cents
        )
        job = await enqueue(connection, "order.email", {"order": order, "to": email})
        await charge(cents)  # if this raises, there is no order, and nobody gets an e-mail
    return order, job


async def main() -> None:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"]) as pool, pool.acquire() as connection:
        await connection.execute(
            "create table if not exists orders (id bigserial primary key, email text not null, cents bigint not null)"
        )
        order, job = await place_order(connection, sys.argv[1], int(sys.argv[2]))
        print(f"order {order}, job {job}")


if __name__ == "__main__":
    asyncio.run(main())
