"""Enqueue on connections of Django."""

import django
import pytest
from conftest import Dev
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from posthaste import InvalidJob, NewJob, enqueue, enqueue_many
from producer.ledger import Ledger


@pytest.fixture(autouse=True)
def project(dev: Dev) -> None:
    """Django's settings are set once for the process; each alias has a connection of its own."""
    if settings.configured:
        return
    at = conninfo_to_dict(dev.database_url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": at["host"],
        "PORT": at["port"],
        "USER": at["user"],
        "NAME": at["dbname"],
    }
    bound = database | {"OPTIONS": {"server_side_binding": True}}
    settings.configure(DATABASES={"default": database, "orders": database, "bound": bound})
    django.setup()


def test_a_job_is_there_once_its_atomic_block_commits_and_not_if_it_rolls_back(ledger: Ledger) -> None:
    from django.db import connection, transaction

    with transaction.atomic():
        kept = enqueue(connection, "django.commits", {"discount": "100%", "to": "%s"}, tags=["a"])
        assert ledger.job(kept) is None
    with transaction.atomic():
        dropped = enqueue(connection, "django.rolls_back")
        transaction.set_rollback(True)
    job = ledger.job(kept)
    assert job is not None
    assert (job["args"], job["tags"]) == ({"discount": "100%", "to": "%s"}, ["a"])
    assert ledger.job(dropped) is None


@pytest.mark.parametrize("alias", ["orders", "bound"])
def test_a_named_alias_has_a_transaction_of_its_own(ledger: Ledger, alias: str) -> None:
    from django.db import connections, transaction

    # Two transactions that make one kind new at the same time wait for each other: these are one thread.
    with transaction.atomic(using=alias):
        inside = enqueue(connections[alias], "django.alias", {"a": 1}, priority=1)
        outside = enqueue(connections["default"], "django.other_alias")
        assert ledger.job(inside) is None
        assert ledger.job(outside) is not None
    assert ledger.job(inside) is not None


def test_a_refusal_fails_no_more_than_its_savepoint(ledger: Ledger) -> None:
    from django.db import DatabaseError, connection, transaction

    with transaction.atomic():
        kept = enqueue(connection, "django.kept")
        with pytest.raises(InvalidJob) as caught, transaction.atomic():
            enqueue(connection, "django.refused", priority=9)
        assert isinstance(caught.value.__cause__, DatabaseError)
        one, fault = enqueue_many(connection, [NewJob("django.kept"), NewJob("django.refused", priority=9)])
        assert isinstance(fault, InvalidJob)
    assert [error.code for error in caught.value.errors] == ["out_of_range"]
    assert ledger.job(kept) is not None
    assert ledger.count("django.kept") == 2
    assert isinstance(one, int)
