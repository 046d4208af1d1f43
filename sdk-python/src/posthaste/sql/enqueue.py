"""Enqueue jobs in the transaction that the caller has open."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from .._json import NotStorable, dumps
from .._trace import traceparent
from ..invalid_job import InvalidJob, parse_faults
from ..new_job import EMPTY, NewJob, Options, batch_texts, unstorable, wire_fields
from .connections import Executes, ExecutesAsync, OpensCursors, Rows, ask

if TYPE_CHECKING:
    from typing_extensions import Unpack  # type checkers know it; Python has it from 3.11 on

_TYPES: Mapping[str, str] = {
    "args": "json",
    "priority": "integer",
    "run_at": "timestamptz",
    "delay_ms": "bigint",
    "max_attempts": "integer",
    "timeout_ms": "integer",
    "expires_at": "timestamptz",
    "tags": "text[]",
    "metadata": "json",
    "headers": "json",
    "callback": "json",
}


@overload
def enqueue(
    connection: ExecutesAsync, kind: str, args: object = EMPTY, **options: Unpack[Options]
) -> Coroutine[Any, Any, int]: ...
@overload
def enqueue(
    connection: Executes | OpensCursors, kind: str, args: object = EMPTY, **options: Unpack[Options]
) -> int: ...
def enqueue(connection: object, kind: str, args: object = EMPTY, **options: Unpack[Options]) -> Any:
    """Enqueue a job in the transaction that `connection` is in, and return its id.

    The job is there if and when that transaction commits. Nothing is committed, rolled back or begun here;
    a connection in autocommit commits the job at once.

    Args:
        connection: One of psycopg 3 (or a cursor), asyncpg, SQLAlchemy 2 (or a session) or Django. With an
            asynchronous one, `await` the id.
        kind: What to do; endpoints take jobs by it.
        args: The function's input: any JSON value, dataclass or pydantic model. Kept byte for byte.
        **options: As the fields of `NewJob`.

    Raises:
        InvalidJob: The server refused it; `errors` are all faults. The transaction has then failed, as after
            any error: use a savepoint to go on.
        TypeError: `connection` is none of these, or JSON has no form for the args. Nothing was sent.

    """
    return ask(connection, *_statement(NewJob(kind, args, **options)), _first_value)


@overload
def enqueue_many(
    connection: ExecutesAsync, jobs: Iterable[NewJob]
) -> Coroutine[Any, Any, list[int | InvalidJob]]: ...
@overload
def enqueue_many(connection: Executes | OpensCursors, jobs: Iterable[NewJob]) -> list[int | InvalidJob]: ...
def enqueue_many(connection: object, jobs: Iterable[NewJob]) -> Any:
    """Enqueue at most 10,000 jobs with one statement in the transaction that `connection` is in.

    Returns, in the order given, the id of each sound job and the `InvalidJob` of each that has faults: those
    are not raised, and touch neither the transaction nor the sound jobs. Args go through `jsonb`, which sorts
    keys; where the text matters use `enqueue`.

    Raises:
        InvalidJob: There are more than 10,000.
        TypeError: As `enqueue`.

    """
    texts = batch_texts(map(_traced_fields, jobs))
    sound = "[" + ",".join(text for text in texts if isinstance(text, str)) + "]"

    def read(rows: Rows) -> list[int | InvalidJob]:
        answers = iter(rows)
        return [text if isinstance(text, InvalidJob) else _outcome(*next(answers)) for text in texts]

    return ask(
        connection,
        "select id, error::text from posthaste.enqueue_many(jobs => cast({} as text)::jsonb)",
        [sound],
        read,
    )


def _traced_fields(job: NewJob) -> dict[str, object]:
    parent = traceparent()
    return wire_fields(job) | ({"traceparent": parent} if parent else {})


def _statement(job: NewJob) -> tuple[str, list[str]]:
    wire = _traced_fields(job)
    named = (f"{name} => cast({{}} as text)::{_TYPES.get(name, 'text')}" for name in wire)
    return f"select posthaste.enqueue({', '.join(named)})", [_text(name, wire[name]) for name in wire]


def _text(name: str, value: Any) -> str:
    match _TYPES.get(name):
        case "json":
            try:
                return dumps(value)
            except NotStorable as error:
                raise unstorable(name, error) from error
        case "text[]":
            return _array(value)
        case _:
            return str(value)


def _array(texts: Sequence[str]) -> str:
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


def _outcome(job_id: int | None, faults: str) -> int | InvalidJob:
    return parse_faults(faults) if job_id is None else job_id


def _first_value(rows: Rows) -> int:
    job_id: int = rows[0][0]
    return job_id
