"""Enqueue on connections of psycopg 3."""

import asyncio
from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg
import pytest
from conftest import Dev
from psycopg.rows import dict_row, tuple_row

from posthaste import InvalidJob, enqueue
from producer.ledger import Ledger

Plain: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"


@pytest.fixture
def connection(dev: Dev) -> Iterator[Plain]:
    with psycopg.connect(dev.database_url) as connection:
        yield connection


def test_a_job_is_there_once_its_transaction_commits(connection: Plain, ledger: Ledger) -> None:
    job_id = enqueue(connection, "psycopg.commits", {"to": "a@b"}, priority=1)
    assert ledger.job(job_id) is None
    connection.commit()
    job = ledger.job(job_id)
    assert job is not None
    assert (job["args"], job["priority"]) == ({"to": "a@b"}, 1)


def test_a_job_of_a_transaction_that_rolls_back_never_was(connection: Plain, ledger: Ledger) -> None:
    job_id = enqueue(connection, "psycopg.rolls_back")
    connection.rollback()
    assert ledger.job(job_id) is None


def test_a_refusal_fails_no_more_than_its_savepoint(connection: Plain, ledger: Ledger) -> None:
    kept = enqueue(connection, "psycopg.kept")
    with pytest.raises(InvalidJob) as caught, connection.transaction():
        enqueue(connection, "psycopg.refused", priority=9)
    assert [(error.field, error.code) for error in caught.value.errors] == [("priority", "out_of_range")]
    connection.commit()
    assert ledger.job(kept) is not None


def test_in_a_failed_transaction_the_driver_s_own_error_is_raised(
    connection: Plain,
) -> None:
    with pytest.raises(InvalidJob):
        enqueue(connection, "not a kind")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        enqueue(connection, "psycopg.too_late")


def test_autocommit_commits_at_once(dev: Dev, ledger: Ledger) -> None:
    with psycopg.connect(dev.database_url, autocommit=True) as connection:
        job_id = enqueue(connection, "psycopg.autocommit")
        assert ledger.job(job_id) is not None


def test_a_cursor_stands_for_its_connection_and_keeps_its_rows(connection: Plain, ledger: Ledger) -> None:
    cursor = connection.execute("select generate_series(1, 2)")
    job_id = enqueue(cursor, "psycopg.cursor")
    assert cursor.fetchall() == [(1,), (2,)]
    connection.commit()
    assert ledger.job(job_id) is not None


@pytest.mark.parametrize("cursor_factory", [psycopg.Cursor, psycopg.ClientCursor, psycopg.RawCursor])
@pytest.mark.parametrize("row_factory", [dict_row, tuple_row])
def test_the_connection_s_factories_do_not_matter(
    dev: Dev, row_factory: object, cursor_factory: object
) -> None:
    made = psycopg.connect(dev.database_url, row_factory=row_factory, cursor_factory=cursor_factory)  # type: ignore[arg-type]
    with made as connection:
        assert isinstance(enqueue(connection, "psycopg.factories", {"a": 1}, tags=["x"]), int)


def test_prepared_statements_and_a_pipeline_change_nothing(connection: Plain, ledger: Ledger) -> None:
    connection.prepare_threshold = 0
    ids = [enqueue(connection, "psycopg.prepared", n) for n in range(3)]
    with connection.pipeline():
        ids += [enqueue(connection, "psycopg.prepared", n) for n in range(3)]
    connection.commit()
    assert ids == sorted(set(ids))
    assert ledger.count("psycopg.prepared") == 6


def test_an_asynchronous_connection_and_its_cursor_are_awaited(dev: Dev, ledger: Ledger) -> None:
    async def produce() -> tuple[int, int]:
        async with await psycopg.AsyncConnection.connect(dev.database_url) as connection:
            kept = await enqueue(connection, "psycopg.async")
            with pytest.raises(InvalidJob):
                async with connection.transaction():
                    await enqueue(connection, "not a kind")
            await connection.commit()
            cursor = await connection.execute("select 1")
            dropped = await enqueue(cursor, "psycopg.async")
            await connection.rollback()
            return kept, dropped

    kept, dropped = asyncio.run(produce())
    assert ledger.job(kept) is not None
    assert ledger.job(dropped) is None
