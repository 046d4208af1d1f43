"""Outcomes, as they are written and as Posthaste reads them."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from vectors import vectors

from posthaste import (
    Accepted,
    CallbackWait,
    Cancel,
    Fail,
    JobsWait,
    Outcome,
    Retire,
    Retry,
    Snooze,
    Suspend,
    Throttle,
    TimerWait,
)
from posthaste._json import parse_time
from posthaste.answer import MAX_RESULT_BYTES, answer, crash, suspension
from posthaste.testing import Completed
from posthaste.testing.reading import outcome


@vectors("suspend", only="expect")
def test_suspend(case: dict[str, Any]) -> None:
    given, expect = json.loads(case["given"]["body"]), case["expect"]
    waits = [_wait(one) for one in expect["waits"]]
    said = suspension(Suspend(*waits, need=given.get("need"), steps=given.get("steps")))
    assert _waits(said) == expect["waits"]
    assert said.get("need", len(waits)) == expect["need"]
    assert said.get("steps") == json.loads(expect["steps"] or "null")


@vectors("accepted", only="expect")
def test_accepted(case: dict[str, Any]) -> None:
    callback, heartbeat = (case["expect"][f"{name}_timeout_ms"] for name in ("callback", "heartbeat"))
    said = answer(
        Accepted(
            callback_timeout=callback and timedelta(milliseconds=callback),
            heartbeat_timeout=heartbeat and heartbeat / 1000,
        )
    )
    given = [[name, text] for name, text in said.headers.items() if name.endswith("-timeout-ms")]
    assert given == case["given"]["headers"]


def _wait(one: dict[str, Any]) -> Any:
    timeout = one["timeout_ms"] / 1000 if "timeout_ms" in one else None
    if one["for"] == "callback":
        return CallbackWait(one["name"], timeout, one.get("cel"), one.get("signature"))
    if one["for"] == "jobs":
        return JobsWait(one["name"], [int(job) for job in one["jobs"]], one["need"], timeout)
    return TimerWait(one["name"], parse_time(one["until"]) if "until" in one else timeout or 0)


def _waits(said: dict[str, Any]) -> list[dict[str, Any]]:
    waits: list[dict[str, Any]] = said.get("waits") or [said["wait"]]
    for wait in waits:
        if "until" in wait:
            wait["until"] = wait["until"].replace("+00:00", "Z")
    return waits


@pytest.mark.parametrize(
    ("value", "status", "word"),
    [
        (Completed({"pages": 3}), 200, None),
        (Completed(), 204, None),
        (Retry("busy", after=30, code="printer_busy"), 500, "retry"),
        (Retry(), 500, "retry"),
        (Snooze(30), 200, "snooze"),
        (Snooze(timedelta(minutes=2)), 200, "snooze"),
        (Throttle(5, message="at my limit"), 429, None),
        (Throttle(), 429, None),
        (Fail("no such order", code="no_such_order"), 422, "fail"),
        (Cancel("withdrawn"), 200, "cancel"),
        (Retire("use v2"), 410, None),
        (Accepted(), 202, None),
        (Accepted(callback_timeout=3600, heartbeat_timeout=60), 202, None),
        (Suspend(CallbackWait("paid")), 202, "suspend"),
        (
            Suspend(TimerWait("nap", 60), JobsWait("pages", [42, 43], need=1), need=1, steps={"a": 1}),
            202,
            "suspend",
        ),
    ],
    ids=repr,
)
def test_every_outcome_is_written_as_its_row_of_the_answer_table(
    value: Outcome, status: int, word: str
) -> None:
    said = answer(value)
    assert (said.status, said.headers.get("posthaste-outcome")) == (status, word)
    assert said.headers["posthaste-protocol"] == "1"
    again = answer(outcome(said))
    assert (again.status, again.headers, again.body) == (said.status, said.headers, said.body)


def test_an_outcome_of_ones_own_is_written_as_what_it_is() -> None:
    class PrinterBusy(Retry):
        pass

    assert answer(PrinterBusy("busy")).headers["posthaste-outcome"] == "retry"


def test_two_outcomes_that_say_the_same_are_equal() -> None:
    assert Retry("busy", after=3) == Retry("busy", after=3) != Retry("busy")
    assert Retry("busy") != Fail("busy")
    assert repr(Retry("busy", after=3)) == "Retry(message='busy', after=3, code='retry')"


@dataclass
class Page:
    number: int
    at: datetime


def test_results_are_json_of_what_python_has() -> None:
    at = datetime(2026, 11, 21, 8, tzinfo=timezone.utc)
    said = answer({"page": Page(1, at), "price": Decimal("1.50"), "id": UUID(int=7), "name": "Zoë"})
    assert json.loads(said.body) == {
        "page": {"number": 1, "at": "2026-11-21T08:00:00+00:00"},
        "price": "1.50",
        "id": "00000000-0000-0000-0000-000000000007",
        "name": "Zoë",
    }


@pytest.mark.parametrize("value", [object(), b"bytes", float("nan"), {1, 2}, {"a": "\x00"}, {"a": "\ud800"}])
def test_a_result_that_is_no_json_gives_up_and_says_why(value: object) -> None:
    said = answer(value)
    assert said.headers["posthaste-outcome"] == "fail"
    assert json.loads(said.body)["code"] == "result_not_json"
    assert (
        json.loads(said.body)["detail"].startswith("the result ") or "no form in JSON" in said.body.decode()
    )


def test_a_result_of_a_mebibyte_is_stored_and_a_larger_one_gives_up() -> None:
    assert answer("x" * (MAX_RESULT_BYTES - 2)).status == 200
    said = answer("x" * (MAX_RESULT_BYTES - 1))
    assert said.headers["posthaste-outcome"] == "fail"
    assert json.loads(said.body)["code"] == "result_too_large"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Suspend(),
        lambda: Suspend(CallbackWait("a"), CallbackWait("a")),
        lambda: Suspend(*[CallbackWait(f"w{n}") for n in range(33)]),
        lambda: Suspend(CallbackWait("a"), need=2),
    ],
)
def test_a_suspension_that_cannot_be_is_refused_where_it_is_made(make: Any) -> None:
    with pytest.raises(ValueError, match="wait"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: CallbackWait("a" * 201),
        lambda: CallbackWait("a b"),
        lambda: CallbackWait("a", timeout=30 * 86_400 + 1),
        lambda: TimerWait("", 60),
        lambda: TimerWait("nap", 0),
        lambda: TimerWait("nap", timedelta(days=31)),
        lambda: JobsWait("a", []),
        lambda: JobsWait("a", [1, 1]),
        lambda: JobsWait("a", range(1, 1002)),
        lambda: JobsWait("a", [1, 2], need=3),
        lambda: JobsWait("a", [1], timeout=0),
        lambda: JobsWait("a", "42"),  # type: ignore[arg-type]
        lambda: JobsWait("a", [0]),
        lambda: TimerWait("nap", datetime(2026, 1, 1)),
    ],
)
def test_a_wait_that_no_server_takes_is_refused_where_it_is_made(make: Any) -> None:
    with pytest.raises(ValueError, match="wait"):
        make()


def test_a_wait_may_be_as_long_as_the_server_takes_it() -> None:
    CallbackWait("a" * 200, timeout=timedelta(days=30))
    TimerWait("com.example:nap/1", 0.001)
    TimerWait("nap", datetime(2026, 1, 1, tzinfo=timezone.utc))
    JobsWait("a", range(1, 1001), need=1000)


def test_a_retry_without_a_code_of_its_own_reads_as_no_crash() -> None:
    said = answer(Retry("unlucky"))
    assert json.loads(said.body)["code"] == "retry"
    assert outcome(said) == Retry("unlucky")
    assert "code" not in json.loads(answer(Fail("no")).body)


@pytest.mark.parametrize("code", ["has space", "", "x" * 65, "é", 7])
def test_a_code_that_posthaste_would_not_take_is_left_out_and_logged(
    code: Any, caplog: pytest.LogCaptureFixture
) -> None:
    said = answer(Fail("no", code=code))
    assert (said.status, said.headers["posthaste-outcome"]) == (422, "fail")
    assert "code" not in json.loads(said.body)
    assert json.loads(answer(Retry("no", code=code)).body)["code"] == "retry"
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert (
        caplog.records[0]
        .getMessage()
        .startswith(f"the code {code!r} of Fail is left out: it must be 1 to 64")
    )


def test_a_crash_says_what_happened_capped_and_cleaned_and_no_more() -> None:
    try:
        raise ValueError("bad\x1b[31m" + "x" * 5000)
    except ValueError as error:
        short = crash(error, with_traceback=False)
    document = json.loads(short.body)
    assert (short.status, short.headers["content-type"]) == (500, "application/problem+json")
    assert document["detail"].startswith("ValueError: bad [31m")
    assert len(document["detail"]) == 2048
    assert "Traceback" not in document["detail"]
    assert document["code"] == "unhandled_exception"


def test_a_result_that_is_nested_too_deep_gives_up() -> None:
    """The work is done: doing it again would not help."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    said = answer(deep)
    assert (said.status, json.loads(said.body)["code"]) == (422, "result_not_json")
