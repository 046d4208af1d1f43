"""What is said of a job, and how it arrives."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pydantic
import pytest
from conftest import Dev
from opentelemetry.sdk.trace import TracerProvider

import posthaste.new_job
from posthaste import Client, InvalidJob, NewJob, Posthaste, enqueue, enqueue_many
from posthaste.testing import Queue
from producer.ledger import Ledger


@dataclass
class Line:
    sku: str
    price: Decimal


class Order(pydantic.BaseModel):
    number: UUID
    lines: list[Line]


def test_every_option_arrives(dev: Dev, ledger: Ledger) -> None:
    at = datetime(2100, 1, 1, 12, 30, tzinfo=ZoneInfo("Asia/Kolkata"))
    tags = ['a "quoted" \\ one', "{braces, comma}", "NULL", "ümlaut", " "]
    with psycopg.connect(dev.database_url) as connection:
        job_id = enqueue(
            connection,
            "new.everything",
            Order(number=UUID(int=1), lines=[Line("tea", Decimal("1.10"))]),
            queue="mail",
            endpoint="nowhere",
            priority=3,
            run_at=at,
            max_attempts=7,
            timeout=timedelta(seconds=1.5),
            expires_at=at + timedelta(days=1),
            tags=tags,
            metadata={"at": at},
            headers={"x-tenant": "7"},
            callback={"timeout_ms": 1000},
        )
    job = ledger.job(job_id)
    assert job is not None
    order = '{"number":"00000000-0000-0000-0000-000000000001","lines":[{"sku":"tea","price":"1.10"}]}'
    assert job["args_text"] == order
    assert (job["queue"], job["endpoint"], job["priority"], job["max_attempts"]) == ("mail", "nowhere", 3, 7)
    assert (job["run_at"], job["expires_at"], job["timeout_ms"]) == (at, at + timedelta(days=1), 1500)
    assert (job["tags"], job["metadata"], job["headers"]) == (tags, {"at": at.isoformat()}, {"x-tenant": "7"})


def test_what_is_not_said_is_the_server_s_default(dev: Dev, ledger: Ledger) -> None:
    with psycopg.connect(dev.database_url) as connection:
        bare = enqueue(connection, "new.defaults")
        null = enqueue(connection, "new.defaults", None, queue=None, priority=None)
        many = enqueue_many(connection, [NewJob("new.defaults"), NewJob("new.defaults", None)])
    jobs = [ledger.job(job_id) for job_id in [bare, null, *many] if isinstance(job_id, int)]
    assert [job and job["args"] for job in jobs] == [{}, None, {}, None]
    assert {(job["queue"], job["priority"], job["max_attempts"]) for job in jobs if job} == {
        ("default", 2, 25)
    }


def test_a_time_without_a_zone_and_a_word_that_is_no_option_are_refused_before_anything_is_sent(
    dev: Dev,
) -> None:
    with psycopg.connect(dev.database_url) as connection:
        with pytest.raises(ValueError, match="run_at needs a time zone"):
            enqueue(connection, "new.naive", run_at=datetime(2100, 1, 1))
        with pytest.raises(TypeError, match="prioritee"):
            enqueue(connection, "new.word", prioritee=1)  # type: ignore[call-overload]
        with pytest.raises(InvalidJob) as caught:
            enqueue(connection, "new.nul", {"a": "\0"})
        assert [(error.field, error.code) for error in caught.value.errors] == [("args", "nul_character")]
        assert isinstance(enqueue(connection, "new.after"), int)


def test_one_text_is_no_list_of_tags_by_any_way(dev: Dev) -> None:
    with psycopg.connect(dev.database_url) as connection, Client(dev.api_url) as client:
        ways: list[Callable[[], object]] = [
            lambda: NewJob("new.tags", tags="vip"),
            lambda: enqueue(connection, "new.tags", tags="vip"),
            lambda: client.enqueue("new.tags", tags="vip"),
            lambda: Queue(Posthaste()).enqueue("new.tags", tags="vip"),
        ]
        for way in ways:
            with pytest.raises(TypeError, match=r"^tags must be a list of texts, as \['vip'\]$"):
                way()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("x" * 300, {}),
        ("", {}),
        ("a b", {"queue": "_q", "max_attempts": 0}),
        ("k", {"max_attempts": 1001, "tags": ["t"] * 21}),
        ("k", {"tags": ["", "t" * 201]}),
        ("k", {"tags": ["a\tb"]}),
        ("k", {"tags": ["a\x85b"]}),
        ("k", {"args": {"a": "\0"}}),
        ("k", {"metadata": {"a": "\0"}}),
        ("k", {"metadata": [1]}),
        ("k", {"delay": 315_360_001}),
        ("k", {"args": "x" * 1024 * 1024, "metadata": {"m": "x" * 65536}}),
    ],
)
def test_the_testing_kit_refuses_what_the_server_refuses(dev: Dev, kind: str, options: Any) -> None:
    with psycopg.connect(dev.database_url) as connection, pytest.raises(InvalidJob) as real:
        enqueue(connection, kind, **options)
    with pytest.raises(InvalidJob) as kit:
        Queue(Posthaste()).enqueue(kind, **options)
    assert kit.value.errors == real.value.errors


def test_the_testing_kit_takes_what_the_server_takes(dev: Dev) -> None:
    options: Any = {"queue": "q" * 200, "max_attempts": 1000, "tags": ["t" * 200] * 20, "metadata": {}}
    with psycopg.connect(dev.database_url) as connection:
        assert enqueue(connection, "k" * 200, "x" * (1024 * 1024 - 2), **options)
    assert Queue(Posthaste()).enqueue("k" * 200, "x" * (1024 * 1024 - 2), **options).id == 1


def test_all_faults_come_as_one_error_that_says_them() -> None:
    fault = posthaste.FieldError("kind", "required", "is required")
    assert str(InvalidJob([fault, posthaste.FieldError("tags", "too_many", "tags must be at most 20")])) == (
        "kind: is required; tags must be at most 20"
    )


def test_the_current_span_becomes_the_parent_of_the_job(dev: Dev) -> None:
    tracer = TracerProvider().get_tracer("test")
    with psycopg.connect(dev.database_url) as connection:
        with tracer.start_as_current_span("order") as span:
            traced = enqueue(connection, "new.traced")
            batch = enqueue_many(connection, [NewJob("new.traced")])
        untraced = enqueue(connection, "new.untraced")
        query = "select trace from posthaste.job where job_id = any(%s) order by job_id"
        traces = connection.execute(query, [[traced, *batch, untraced]]).fetchall()
    context = span.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert traces == [(parent,), (parent,), (None,)]


def test_options_and_new_job_say_the_same() -> None:
    hints = get_type_hints(NewJob)
    assert get_type_hints(posthaste.new_job.Options) == {
        name: hint for name, hint in hints.items() if name not in ("kind", "args")
    }


def test_headers_are_not_in_the_repr() -> None:
    assert "secret" not in repr(NewJob("new.headers", headers={"authorization": "secret"}))


def test_a_coroutine_of_another_loop_is_not_needed_to_refuse_a_connection() -> None:
    async def wrong() -> None:
        enqueue(object(), "new.nothing")  # type: ignore[call-overload]

    with pytest.raises(TypeError, match=r"not builtins\.object"):
        asyncio.run(wrong())
