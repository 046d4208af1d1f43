"""The examples of orders: the order's row and the job commit or roll back together."""

import os
import re
import subprocess
import sys
from uuid import uuid4

import psycopg
import pytest
from conftest import ROOT, Dev
from psycopg.conninfo import conninfo_to_dict

from producer.ledger import Ledger

STACKS = {
    "psycopg_orders": "postgresql",
    "asyncpg_orders": "postgresql",
    "sqlalchemy_orders": "postgresql+psycopg",
    "sqlalchemy_async_orders": "postgresql+asyncpg",
    "django_orders": "postgresql",
}


def order(dev: Dev, stack: str, email: str, cents: int) -> "subprocess.CompletedProcess[str]":
    at = conninfo_to_dict(dev.database_url)
    environment = os.environ | {
        "DATABASE_URL": dev.database_url.replace("postgres:", STACKS[stack] + ":", 1),
        "PGHOST": str(at["host"]),
        "PGPORT": str(at["port"]),
        "PGUSER": str(at["user"]),
        "PGDATABASE": str(at["dbname"]),
    }
    command = [sys.executable, ROOT / "examples" / "orders" / "python" / f"{stack}.py", email, str(cents)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def count(dev: Dev, query: str, email: str) -> int:
    with psycopg.connect(dev.database_url) as connection:
        row = connection.execute(query.encode(), [email]).fetchone()
        assert row is not None
        number: int = row[0]
        return number


def orders_and_jobs(dev: Dev, email: str) -> tuple[int, int]:
    return (
        count(dev, "select count(*) from orders where email = %s", email),
        count(dev, "select count(*) from posthaste.jobs where args ->> 'to' = %s", email),
    )


@pytest.mark.parametrize("stack", STACKS)
def test_an_order_that_commits_has_its_e_mail(dev: Dev, ledger: Ledger, stack: str) -> None:
    email = f"{uuid4()}@example.com"
    done = order(dev, stack, email, 1999)
    said = re.fullmatch(r"order (\d+), job (\d+)\n", done.stdout)
    assert said, done.stderr
    job = ledger.job(int(said[2]))
    assert job is not None
    assert (job["kind"], job["args"]) == ("order.email", {"order": int(said[1]), "to": email})
    assert orders_and_jobs(dev, email) == (1, 1)


@pytest.mark.parametrize("stack", STACKS)
def test_an_order_that_rolls_back_has_neither_a_row_nor_an_e_mail(dev: Dev, stack: str) -> None:
    email = f"{uuid4()}@example.com"
    done = order(dev, stack, email, 200_000)
    assert done.returncode == 1
    assert "Declined: 200000 cents are too many" in done.stderr
    assert orders_and_jobs(dev, email) == (0, 0)
