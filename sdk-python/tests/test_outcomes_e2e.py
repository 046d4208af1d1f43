"""Every outcome of the answer table, by every server, as the real Posthaste reads it."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Dev
from serving import SERVERS, Producer, serving

ARGS = {"result": {"pages": 3}, "async_result": {"pages": 3}, "order": {"cents": 1250}}
FORMATS = {"lambda_invoke": "lambda"}
KINDS = [
    "result", "async_result", "nothing", "retry", "snooze", "throttle", "fail", "cancel", "retire", "crash",
    "too_large", "accept", "callback_first", "order", "progress",
]  # fmt: skip


class Jobs:
    """One job of each kind, all on their way at once; each test waits for its own."""

    def __init__(self, producer: Producer, endpoint: str) -> None:
        self._producer, self.endpoint = producer, endpoint
        self._ids = {kind: self.enqueue(kind) for kind in KINDS}

    def enqueue(self, kind: str, args: object = None, **fields: Any) -> int:
        return self._producer.enqueue(kind, args or ARGS.get(kind), endpoint=self.endpoint, **fields)

    def ended(self, kind: str, args: object = None, **fields: Any) -> dict[str, Any]:
        known = self._ids.get(kind) if args is None and not fields else None
        return self._producer.ended(known or self.enqueue(kind, args, **fields))


@pytest.fixture(scope="module", params=SERVERS)
def jobs(dev: Dev, request: pytest.FixtureRequest) -> Iterator[Jobs]:
    producer = Producer(dev)
    with serving(request.param) as url:
        producer.endpoint(request.param, url, format=FORMATS.get(request.param, "envelope"))
        yield Jobs(producer, request.param)


def outcomes(job: dict[str, Any]) -> list[str]:
    """From the first attempt to the last."""
    return [attempt["outcome"] for attempt in reversed(job["attempts"])]


def first(job: dict[str, Any]) -> dict[str, Any]:
    attempt: dict[str, Any] = job["attempts"][-1]
    return attempt


def test_a_result_is_that_of_the_job(jobs: Jobs) -> None:
    job = jobs.ended("result")
    assert job["result"] == {"pages": 3, "job": int(job["id"]), "name": "Zoë"}
    job = jobs.ended("async_result")
    assert job["result"] == {"pages": 3, "job": int(job["id"])}


def test_nothing_is_a_result_of_null(jobs: Jobs) -> None:
    job = jobs.ended("nothing")
    assert (job["state"], job["result"], first(job)["http_status"]) == ("completed", None, 204)


def test_a_retry_uses_an_attempt(jobs: Jobs) -> None:
    job = jobs.ended("retry")
    assert (job["result"], outcomes(job)) == ([2, 2], ["retried", "completed"])
    assert (first(job)["error"]["code"], first(job)["error"]["message"]) == (
        "printer_busy",
        "the printer is busy",
    )


def test_a_snooze_and_a_throttle_use_no_attempt(jobs: Jobs) -> None:
    assert (jobs.ended("snooze")["result"], outcomes(jobs.ended("snooze"))) == (
        [1, 2],
        ["snoozed", "completed"],
    )
    assert (jobs.ended("throttle")["result"], outcomes(jobs.ended("throttle"))) == (
        [1, 2],
        ["throttled", "completed"],
    )


def test_a_fail_is_dead_with_its_own_code(jobs: Jobs) -> None:
    job = jobs.ended("fail")
    assert (job["state"], job["error"]["code"], job["error"]["message"]) == (
        "dead",
        "no_such_order",
        "no such order",
    )


def test_a_cancel_is_cancelled_with_its_reason(jobs: Jobs) -> None:
    job = jobs.ended("cancel")
    assert job["state"] == "cancelled"
    assert "the order was withdrawn" in str(job)


def test_a_retired_function_says_410(jobs: Jobs) -> None:
    job = jobs.ended("retire")
    assert (job["state"], job["error"]["code"], job["error"]["message"]) == (
        "dead",
        "http_410",
        "use the new one",
    )


def test_a_crash_is_tried_again_and_its_message_is_kept(jobs: Jobs) -> None:
    job = jobs.ended("crash")
    assert (job["result"], outcomes(job)) == (2, ["retried", "completed"])
    assert first(job)["error"]["code"] == "unhandled_exception"
    assert first(job)["error"]["message"] == "ValueError: the printer is on fire"


def test_a_result_that_is_too_large_is_dead_and_says_so(jobs: Jobs) -> None:
    job = jobs.ended("too_large")
    assert (job["state"], job["error"]["code"]) == ("dead", "result_too_large")


def test_a_wrong_shape_of_args_is_dead_at_once_and_names_the_field(jobs: Jobs) -> None:
    job = jobs.ended("result", {"pages": "three"})
    assert (job["state"], job["error"]["code"], len(job["attempts"])) == ("dead", "invalid_args", 1)
    assert job["error"]["message"] == "args.pages must be a whole number, not text"


def test_an_unknown_kind_is_the_endpoints_fault_and_uses_no_attempt(jobs: Jobs) -> None:
    producer = jobs._producer
    number = jobs.enqueue("nobody")
    job = producer.until(number, ("scheduled",))
    assert job["attempts"][0]["http_status"] == 404
    assert "kinds here: accept, async_result" in job["attempts"][0]["error"]["message"]
    assert job["attempt"] <= 1
    producer.call("POST", f"/v1/jobs/{number}/cancel")


def test_an_accepted_job_is_ended_by_its_callback(jobs: Jobs) -> None:
    job = jobs.ended("accept")
    assert (job["result"], job["progress"]["message"]) == ({"frames": 1440}, "page 4")
    job = jobs.ended("callback_first")
    assert (job["result"], len(job["attempts"])) == ("before the 202", 1)


def test_a_suspended_job_goes_on_with_its_steps(jobs: Jobs) -> None:
    job = jobs.ended("order")
    assert job["result"] == {
        "steps": {"cents": 1250, "by": "Ada"},
        "last": {"state": None, "result": None},
        "lease": 4,
    }
    assert outcomes(job) == ["suspended"] * 3 + ["completed"]
    assert job["attempt"] == 1


def test_progress_and_steps_are_told_to_the_next_attempt(jobs: Jobs) -> None:
    job = jobs.ended("progress")
    assert (first(job)["error"]["code"], first(job)["error"]["message"]) == ("retry", "jam")
    percent, message, steps, key = job["result"]
    assert (percent, message) == (40, "page 4")
    assert steps == {"fetch": {"rows": 9}, "parse": True, "print": True}
    assert len(key) == 22


def test_a_job_that_is_delivered_twice_has_its_effect_once(jobs: Jobs, tmp_path: Any) -> None:
    file = str(tmp_path / "charges.db")
    job = jobs.ended("once", {"file": file}, timeout_ms=1000)
    assert job["result"]["charged_by"] < job["result"]["now"] == job["run_lease"]
    assert (first(job)["class"], first(job)["error"]["code"]) == ("unknown", "timeout")
    with sqlite3.connect(file) as database:
        assert database.execute("select count(*) from charges").fetchall() == [(1,)]
