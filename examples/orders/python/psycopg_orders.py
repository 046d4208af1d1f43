"""An order and its e-mail, together or not at all, with psycopg 3.

pip install ./sdk-python "psycopg[binary]"
DATABASE_URL=postgres://… python examples/orders/python/psycopg_orders.py ada@example.com 1999
"""

import os
import sys

import psycopg

from posthaste import enqueue


class Declined(Exception):
    """The card was declined."""


def charge(cents: int) -> None:
    if cents > 100_000:
        raise Declined(f"{cents} cents are too many")


def place_order(connection: psycopg.Connection, email: str, cents: int) -> tuple[int, int]:
    with connection.transaction():
        order = connection.execute(
            "insert into orders (email, cents) values (%s, %s) returning id", [email, cents]
        ).fetchone()
        job = enqueue(connection, "order.email", {"order": order[0], "to": email})
        charge(cents)  # if this raises, there is no order, and nobody gets an e-mail
    return order[0], job


if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "create table if not exists orders (id bigserial primary key, email text not null, cents bigint not null)"
        )
        order, job = place_order(connection, sys.argv[1], int(sys.argv[2]))
        print(f"order {order}, job {job}")
