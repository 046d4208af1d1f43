"""How each driver is asked: one statement, in whatever transaction the caller's connection is in.

No driver is imported here. A connection is recognised by the module and name of its class, and of those it
derives from.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from ..invalid_job import InvalidJob, parse_faults

T = TypeVar("T")
Rows = Sequence[Any]  # of sequences: drivers have classes of their own for a row
Ask = Callable[[Any, str, Sequence[str]], Any]  # connection, statement, values: rows, or a coroutine of them


class Fetchable(Protocol):
    """What a statement leaves behind on a connection that is not asynchronous."""

    def fetchall(self) -> Any:
        """Every row."""


class Executes(Protocol):
    """A connection or cursor of psycopg, or a connection or session of SQLAlchemy."""

    def execute(self, *args: Any, **options: Any) -> Fetchable:
        """Run a statement."""


class OpensCursors(Protocol):
    """A connection of Django."""

    def cursor(self) -> Any:
        """Open a cursor."""


class ExecutesAsync(Protocol):
    """A connection or cursor of psycopg or asyncpg, or a connection or session of SQLAlchemy."""

    def execute(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Run a statement."""


def ask(connection: object, statement: str, values: Sequence[str], read: Callable[[Rows], T]) -> Any:
    """Run a statement with `{}` for each value, and read its rows: `T`, or a coroutine of `T`.

    Values are text and the statement casts them: what a driver, or a codec set on the connection, makes of
    numbers, lists or JSON does not matter then.
    """
    way = _way(connection)
    if inspect.iscoroutinefunction(way):
        return _read_later(way(connection, statement, values), read)
    with _faults_told():
        return read(way(connection, statement, values))


async def _read_later(rows: Coroutine[Any, Any, Rows], read: Callable[[Rows], T]) -> T:
    with _faults_told():
        return read(await rows)


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if refusal := _refusal(error):
            raise refusal from error
        raise


def _refusal(error: BaseException | None) -> InvalidJob | None:
    """Find a refusal in a driver's error, or in the driver's error that SQLAlchemy or Django wraps."""
    while error is not None:
        # psycopg and asyncpg; psycopg2 under SQLAlchemy or Django
        if "PH422" in (getattr(error, "sqlstate", None), getattr(error, "pgcode", None)):
            diagnosis = getattr(error, "diag", None)
            if faults := getattr(error, "detail", None) or getattr(diagnosis, "message_detail", None):
                return parse_faults(faults)
        error = getattr(error, "orig", None) or error.__cause__
    return None


def _psycopg(connection: Any, statement: str, values: Sequence[str]) -> Rows:
    # A cursor of our own: the connection's factories, and a cursor that was given, may be of any kind.
    with sys.modules["psycopg"].Cursor(_of_cursor(connection), row_factory=_tuples) as cursor:
        rows: Rows = cursor.execute(_numbered(statement, values, "%s"), values).fetchall()
        return rows


async def _psycopg_async(connection: Any, statement: str, values: Sequence[str]) -> Rows:
    async with sys.modules["psycopg"].AsyncCursor(_of_cursor(connection), row_factory=_tuples) as cursor:
        await cursor.execute(_numbered(statement, values, "%s"), values)
        rows: Rows = await cursor.fetchall()
        return rows


async def _asyncpg(connection: Any, statement: str, values: Sequence[str]) -> Rows:
    rows: Rows = await connection.fetch(_numbered(statement, values, "${}"), *values)
    return rows


def _sqlalchemy(connection: Any, statement: str, values: Sequence[str]) -> Rows:
    rows: Rows = connection.execute(*_sqlalchemy_text(statement, values)).fetchall()
    return rows


async def _sqlalchemy_async(connection: Any, statement: str, values: Sequence[str]) -> Rows:
    rows: Rows = (await connection.execute(*_sqlalchemy_text(statement, values))).fetchall()
    return rows


def _django(connection: Any, statement: str, values: Sequence[str]) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(_numbered(statement, values, "%s"), values)
        rows: Rows = cursor.fetchall()
        return rows


_WAYS: dict[tuple[str, str], Ask] = {
    ("psycopg", "Connection"): _psycopg,
    ("psycopg", "Cursor"): _psycopg,
    ("psycopg", "AsyncConnection"): _psycopg_async,
    ("psycopg", "AsyncCursor"): _psycopg_async,
    ("asyncpg", "Connection"): _asyncpg,
    ("asyncpg", "PoolConnectionProxy"): _asyncpg,
    ("sqlalchemy", "Connection"): _sqlalchemy,
    ("sqlalchemy", "Session"): _sqlalchemy,
    ("sqlalchemy", "scoped_session"): _sqlalchemy,
    ("sqlalchemy", "AsyncConnection"): _sqlalchemy_async,
    ("sqlalchemy", "AsyncSession"): _sqlalchemy_async,
    ("sqlalchemy", "async_scoped_session"): _sqlalchemy_async,
    ("django", "ConnectionProxy"): _django,
    ("django", "BaseDatabaseWrapper"): _django,
}


def _way(connection: object) -> Ask:
    for base in type(connection).__mro__:
        if way := _WAYS.get((base.__module__.partition(".")[0], base.__name__)):
            return way
    given = f"{type(connection).__module__}.{type(connection).__qualname__}"
    raise TypeError(
        "enqueue takes the connection that your transaction is on, of psycopg 3, asyncpg, SQLAlchemy 2 "
        f"(or its session) or Django, not {given}"
    )


def _numbered(statement: str, values: Sequence[str], placeholder: str) -> str:
    return statement.format(*(placeholder.format(n) for n in range(1, len(values) + 1)))


def _sqlalchemy_text(statement: str, values: Sequence[str]) -> tuple[Any, dict[str, str]]:
    text = sys.modules["sqlalchemy"].text(_numbered(statement, values, ":v{}"))
    return text, {f"v{n}": value for n, value in enumerate(values, 1)}


def _of_cursor(connection: Any) -> Any:
    return getattr(connection, "connection", connection)


def _tuples(_cursor: object) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    return tuple
