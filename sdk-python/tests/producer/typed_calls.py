"""Calls of producers as a type checker sees them; `test_types.py` has mypy read this, and nobody runs it."""

import asyncpg  # type: ignore[import-untyped]
import psycopg
import sqlalchemy
from django.db import connection as django_connection  # type: ignore[import-untyped]
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session
from typing_extensions import assert_type

from posthaste import AsyncClient, Client, InvalidJob, JobRecord, NewJob, enqueue, enqueue_many


def plain(
    one: "psycopg.Connection[tuple[int]]",
    cursor: "psycopg.Cursor[dict[str, int]]",
    connection: sqlalchemy.Connection,
    session: Session,
    client: Client,
) -> None:
    assert_type(enqueue(one, "kind", {"a": 1}, priority=1, delay=1.5, tags=["a"]), int)
    assert_type(enqueue(cursor, "kind"), int)
    assert_type(enqueue(connection, "kind"), int)
    assert_type(enqueue(session, "kind"), int)
    assert_type(enqueue_many(session, [NewJob("kind")]), list[int | InvalidJob])
    assert_type(client.enqueue("kind", {"a": 1}, idempotency_key="a", priority=1), int)
    enqueue(django_connection, "kind")
    enqueue(one, "kind", prioritee=1)  # type: ignore[call-overload]
    enqueue(one, "kind", priority="first")  # type: ignore[call-overload]
    enqueue("postgres://", "kind")  # type: ignore[call-overload]
    NewJob("kind", {}, "queue")  # type: ignore[call-arg]
    client.enqueue("kind", prioritee=1)  # type: ignore[call-arg]


async def awaited(
    one: "psycopg.AsyncConnection[tuple[int]]",
    cursor: "psycopg.AsyncCursor[tuple[int]]",
    record: "asyncpg.Connection[asyncpg.Record]",
    connection: AsyncConnection,
    session: AsyncSession,
    client: AsyncClient,
) -> None:
    assert_type(await enqueue(one, "kind", {"a": 1}, priority=1), int)
    assert_type(await enqueue(cursor, "kind"), int)
    await enqueue(record, "kind")
    assert_type(await enqueue(connection, "kind"), int)
    assert_type(await enqueue(session, "kind"), int)
    assert_type(await enqueue_many(session, [NewJob("kind")]), list[int | InvalidJob])
    assert_type(await client.enqueue("kind", {"a": 1}, priority=1), int)
    assert_type(await client.wait(1, timeout=5), JobRecord)
    assert_type([job async for job in client.jobs(state="dead")], list[JobRecord])
    await client.enqueue("kind", prioritee=1)  # type: ignore[call-arg]
