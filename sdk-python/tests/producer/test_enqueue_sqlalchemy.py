"""Enqueue on connections and sessions of SQLAlchemy 2."""

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy
from conftest import Dev
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from posthaste import InvalidJob, NewJob, enqueue, enqueue_many
from producer.ledger import Ledger


def url(dev: Dev, driver: str) -> str:
    return dev.database_url.replace("postgresql://", "postgres://").replace(
        "postgres://", f"postgresql+{driver}://"
    )


@pytest.fixture
def engine(dev: Dev) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine(url(dev, "psycopg"))
    yield engine
    engine.dispose()


def test_a_job_is_there_once_its_connection_commits_and_not_if_it_rolls_back(
    engine: sqlalchemy.Engine, ledger: Ledger
) -> None:
    with engine.connect() as connection:
        kept = enqueue(connection, "sqlalchemy.commits", {"to": "a@b", "at": "10:30::x"}, tags=["a", "b"])
        assert ledger.job(kept) is None
        connection.commit()
        dropped = enqueue(connection, "sqlalchemy.rolls_back")
        connection.rollback()
    job = ledger.job(kept)
    assert job is not None
    assert (job["args"], job["tags"]) == ({"to": "a@b", "at": "10:30::x"}, ["a", "b"])
    assert ledger.job(dropped) is None


def test_a_session_and_its_savepoint_each_keep_or_drop_their_jobs(
    engine: sqlalchemy.Engine, ledger: Ledger
) -> None:
    with Session(engine) as session, session.begin():
        kept = enqueue(session, "sqlalchemy.session")
        nested = session.begin_nested()
        dropped = enqueue(session, "sqlalchemy.savepoint")
        nested.rollback()
        with pytest.raises(InvalidJob), session.begin_nested():
            enqueue(session, "not a kind")
        scoped = scoped_session(sessionmaker(engine))
        own = enqueue(scoped, "sqlalchemy.scoped")
        scoped.commit()
        assert ledger.job(own) is not None
        assert ledger.job(kept) is None
    assert ledger.job(kept) is not None
    assert ledger.job(dropped) is None


def test_psycopg2_below_it_will_do(dev: Dev, ledger: Ledger) -> None:
    engine = sqlalchemy.create_engine(url(dev, "psycopg2"))
    with engine.begin() as connection:
        job_id = enqueue(connection, "sqlalchemy.psycopg2", {"discount": "100%", "a": "\\"}, tags=["a"])
        with pytest.raises(InvalidJob), connection.begin_nested():
            enqueue(connection, "not a kind")
    engine.dispose()
    job = ledger.job(job_id)
    assert job is not None
    assert (job["args"], job["tags"]) == ({"discount": "100%", "a": "\\"}, ["a"])


def test_in_a_failed_transaction_the_driver_s_own_error_is_raised(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(InvalidJob):
            enqueue(connection, "not a kind")
        with pytest.raises(DBAPIError, match="current transaction is aborted"):
            enqueue(connection, "sqlalchemy.too_late")


def test_autocommit_commits_at_once(engine: sqlalchemy.Engine, ledger: Ledger) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert ledger.job(enqueue(connection, "sqlalchemy.autocommit")) is not None


def test_an_engine_is_no_connection_and_is_refused_by_name(engine: sqlalchemy.Engine) -> None:
    with pytest.raises(TypeError, match=r"not sqlalchemy\.engine\.base\.Engine"):
        enqueue(engine, "sqlalchemy.engine")  # type: ignore[call-overload]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_asynchronous_connections_and_sessions_are_awaited(dev: Dev, ledger: Ledger, driver: str) -> None:
    async def produce() -> tuple[list[int], list[int]]:
        engine = create_async_engine(url(dev, driver))
        async with engine.connect() as connection:
            kept = [await enqueue(connection, "sqlalchemy.async", {"a": 1}, timeout=1.5, tags=["x"])]
            await connection.commit()
            dropped = [await enqueue(connection, "sqlalchemy.async")]
            await connection.rollback()
        async with AsyncSession(engine) as session, session.begin():
            kept.append(await enqueue(session, "sqlalchemy.async"))
            nested = await session.begin_nested()
            dropped.append(await enqueue(session, "sqlalchemy.async"))
            await nested.rollback()
            with pytest.raises(InvalidJob) as caught:
                async with session.begin_nested():
                    await enqueue(session, "sqlalchemy.async", priority=9)
            assert caught.value.errors[0].field == "priority"
            scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
            one, fault = await enqueue_many(scoped, [NewJob("sqlalchemy.async"), NewJob("not a kind")])
            assert isinstance(one, int)
            assert isinstance(fault, InvalidJob)
            kept.append(one)
            await scoped.commit()
            await scoped.remove()
        await engine.dispose()
        return kept, dropped

    kept, dropped = asyncio.run(produce())
    assert all(ledger.job(job_id) for job_id in kept)
    assert not any(ledger.job(job_id) for job_id in dropped)
