"""Many jobs with one statement."""

import time

import psycopg
import pytest
from conftest import Dev

from posthaste import InvalidJob, NewJob, enqueue_many
from producer.ledger import Ledger


def test_sound_jobs_are_written_and_faulty_ones_told_in_the_order_given(dev: Dev, ledger: Ledger) -> None:
    jobs = [
        NewJob("many.sound", {"n": 1}, tags=["x"], delay=60),
        NewJob("many.faulty", priority=9, max_attempts=0),
        NewJob("many.faulty", {"a": "\0"}),
        NewJob("many.sound", {"n": 2}),
        NewJob("many.faulty", float("nan")),
        NewJob("many.faulty", ["\ud800"]),
        NewJob("not a kind"),
    ]
    with psycopg.connect(dev.database_url) as connection:
        outcomes = enqueue_many(connection, jobs)
    codes = [
        [(error.field, error.code) for error in outcome.errors] if isinstance(outcome, InvalidJob) else None
        for outcome in outcomes
    ]
    assert codes == [
        None,
        [("priority", "out_of_range"), ("max_attempts", "out_of_range")],
        [("", "nul_character")],
        None,
        [("", "invalid_value")],
        [("", "lone_surrogate")],
        [("kind", "invalid_name")],
    ]
    stored = [ledger.job(outcome) for outcome in outcomes if isinstance(outcome, int)]
    assert [job and (job["args"], job["state"]) for job in stored] == [
        ({"n": 1}, "scheduled"),
        ({"n": 2}, "available"),
    ]
    assert ledger.count("many.faulty") == 0


def test_none_are_none(dev: Dev) -> None:
    with psycopg.connect(dev.database_url) as connection:
        assert enqueue_many(connection, []) == []


def test_ten_thousand_go_at_once_and_roll_back_at_once(dev: Dev, ledger: Ledger) -> None:
    jobs = [NewJob("many.crowd", {"n": n}) for n in range(10_000)]
    with psycopg.connect(dev.database_url) as connection:
        began = time.monotonic()
        ids = enqueue_many(connection, jobs)
        assert time.monotonic() - began < 30
        connection.rollback()
        assert ledger.count("many.crowd") == 0
        ids = enqueue_many(connection, jobs)
        connection.commit()
    assert ids == sorted(ids, key=lambda outcome: outcome if isinstance(outcome, int) else -1)
    assert len(set(ids)) == ledger.count("many.crowd") == 10_000


def test_more_than_ten_thousand_are_refused_together(dev: Dev) -> None:
    with psycopg.connect(dev.database_url) as connection, pytest.raises(InvalidJob) as caught:
        enqueue_many(connection, [NewJob("many.too_many")] * 10_001)
    assert [(error.field, error.code) for error in caught.value.errors] == [("jobs", "too_many")]
