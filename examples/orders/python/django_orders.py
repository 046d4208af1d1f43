"""An order and its e-mail, together or not at all, with Django, here in one file.

pip install ./sdk-python django "psycopg[binary]"
PGHOST=… PGUSER=… PGDATABASE=… python examples/orders/python/django_orders.py ada@example.com 1999
"""

import os
import sys

import django
from django.conf import settings
from django.db import connection, models, transaction

from posthaste import enqueue

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("PGDATABASE", "postgres"),  # libpq reads the other PG variables by itself
        }
    }
)
django.setup()


class Order(models.Model):
    id = models.BigAutoField(primary_key=True)
    email = models.TextField()
    cents = models.BigIntegerField()

    class Meta:
        app_label = "shop"
        db_table = "orders"


class Declined(Exception):
    """The card was declined."""


def charge(cents: int) -> None:
    if cents > 100_000:
        raise Declined(f"{cents} cents are too many")


def place_order(email: str, cents: int) -> tuple[int, int]:
    with transaction.atomic():
        order = Order.objects.create(email=email, cents=cents)
        job = enqueue(connection, "order.email", {"order": order.id, "to": email})
        charge(cents)  # if this raises, there is no order, and nobody gets an e-mail
    return order.id, job


if __name__ == "__main__":
    with connection.cursor() as cursor:
        cursor.execute(
            "create table if not exists orders (id bigserial primary key, email text not null, cents bigint not null)"
        )
    order, job = place_order(sys.argv[1], int(sys.argv[2]))
    print(f"order {order}, job {job}")
