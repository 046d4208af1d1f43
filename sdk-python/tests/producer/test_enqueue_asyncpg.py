"""Enqueue on connections of asyncpg."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from conftest import Dev

from posthaste import InvalidJob, NewJob, enqueue, enqueue_many
from producer.ledger import Ledger


def connected(dev: Dev, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(dev.database_url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_job_is_there_once_its_transaction_commits_and_not_if_it_rolls_back(
    dev: Dev, ledger: Ledger
) -> None:
    async def work(connection: Any) -> tuple[int, int]:
        async with connection.transaction():
            kept = await enqueue(connection, "asyncpg.commits", {"to": "a@b"}, delay=60, tags=["x"])
            assert ledger.job(kept) is None
        transaction = connection.transaction()
        await transaction.start()
        dropped = await enqueue(connection, "asyncpg.rolls_back")
        await transaction.rollback()
        return kept, dropped

    kept, dropped = connected(dev, work)
    job = ledger.job(kept)
    assert job is not None
    assert (job["args"], job["state"], job["tags"]) == ({"to": "a@b"}, "scheduled", ["x"])
    assert ledger.job(dropped) is None


def test_a_connection_of_a_pool_enqueues_and_without_a_transaction_at_once(dev: Dev, ledger: Ledger) -> None:
    async def run() -> None:
        async with (
            asyncpg.create_pool(dev.database_url, min_size=1, max_size=1) as pool,
            pool.acquire() as connection,
        ):
            job_id = await enqueue(connection, "asyncpg.pool")
            assert ledger.job(job_id) is not None

    asyncio.run(run())


def test_codecs_for_json_that_were_set_on_the_connection_do_not_write_it_twice(
    dev: Dev, ledger: Ledger
) -> None:
    async def work(connection: Any) -> list[Any]:
        for name in ("json", "jsonb"):
            await connection.set_type_codec(name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        one = await enqueue(connection, "asyncpg.codecs", {"a": "b"}, metadata={"c": 1})
        many, faulty = await enqueue_many(
            connection,
            [NewJob("asyncpg.codecs", {"a": "b"}, metadata={"c": 1}), NewJob("asyncpg.codecs", priority=9)],
        )
        assert isinstance(faulty, InvalidJob)
        return [one, many]

    for job_id in connected(dev, work):
        job = ledger.job(job_id)
        assert job is not None
        assert (job["args"], job["metadata"]) == ({"a": "b"}, {"c": 1})


def test_a_statement_that_was_prepared_serves_every_kind_of_args(dev: Dev, ledger: Ledger) -> None:
    sent: list[Any] = [{"a": 1}, [1, "x"], "text", 1.5, None, True]

    async def work(connection: Any) -> list[int]:
        return [await enqueue(connection, "asyncpg.prepared", args) for args in sent]

    stored = [ledger.job(job_id) for job_id in connected(dev, work)]
    assert [job and job["args"] for job in stored] == sent


def test_a_refusal_names_every_field_and_fails_no_more_than_its_savepoint(dev: Dev, ledger: Ledger) -> None:
    async def work(connection: Any) -> int:
        async with connection.transaction():
            kept = await enqueue(connection, "asyncpg.kept")
            with pytest.raises(InvalidJob) as caught:
                async with connection.transaction():
                    await enqueue(connection, "asyncpg.refused", priority=9, max_attempts=0)
            assert {error.field for error in caught.value.errors} == {"priority", "max_attempts"}
            with pytest.raises(InvalidJob):
                async with connection.transaction():
                    await enqueue(connection, "not a kind")
        return kept

    assert ledger.job(connected(dev, work)) is not None


def test_a_pool_is_no_connection_and_is_refused_by_name(dev: Dev) -> None:
    with pytest.raises(TypeError, match=r"not asyncpg\.pool\.Pool"):
        enqueue(asyncpg.pool.Pool.__new__(asyncpg.pool.Pool), "asyncpg.pool")
