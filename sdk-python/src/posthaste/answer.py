"""Answers: how an outcome is written on the wire."""

from __future__ import annotations

import logging
import math
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import _json
from .duration import Duration, milliseconds, seconds
from .outcome import (
    Accepted,
    CallbackWait,
    Cancel,
    Completed,
    Fail,
    JobsWait,
    Outcome,
    Retire,
    Retry,
    Snooze,
    Suspend,
    Throttle,
    TimerWait,
    Wait,
)

MAX_RESULT_BYTES = 1024 * 1024
_MAX_MESSAGE = 2048
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_log = logging.getLogger("posthaste")


@dataclass(frozen=True)
class Answer:
    """What is answered: a status, headers whose names are in lower case, and a body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def answer(value: object) -> Answer:
    """Write what a handler returned, or the outcome that it raised.

    A result that cannot be stored gives up instead, with code `result_not_json` or `result_too_large`: the
    work is done, and doing it again would not help.
    """
    outcome = value if isinstance(value, Outcome) else Completed(value)
    try:
        return _write(outcome)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(outcome, Completed):
            return _fail(Fail(f"the result {error}", code="result_not_json"))
        return _fail(Fail(f"{type(outcome).__name__}: {error}", code="invalid_outcome"))


def _write(outcome: Outcome) -> Answer:
    match outcome:
        case Completed():
            return _completed(outcome)
        case Retry():
            code = _code(outcome) or "retry"
            return problem(500, code, outcome.message, headers=_said("retry", outcome.after))
        case Throttle():
            return problem(429, None, outcome.message, headers=_after(outcome.after))
        case Retire():
            return problem(410, None, outcome.message)
        case Fail():
            return _fail(outcome)
        case Cancel():
            return _reply(200, {"reason": clean(outcome.reason)}, _said("cancel"))
        case Snooze():
            return _reply(200, {}, _said("snooze", outcome.after))
        case Accepted():
            return _accepted(outcome)
        case Suspend():
            return _reply(202, suspension(outcome), _said("suspend"))
        case _:
            raise TypeError("is no outcome that Posthaste knows")


def problem(
    status: int,
    code: str | None,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Answer:
    """Write an error as RFC 9457 has it. `detail` is cleaned, and capped at 2 KiB."""
    document: dict[str, Any] = {"type": "about:blank", "status": status, "detail": clean(detail)}
    if code:
        document["code"] = code
    if errors:
        document["errors"] = errors
    return _reply(status, document, headers, "application/problem+json")


def crash(error: BaseException, *, with_traceback: bool) -> Answer:
    """Write an exception that nobody caught: 500, tried again. Its traceback stays here unless wanted."""
    lines = traceback.format_exception_only(type(error), error)
    if with_traceback:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
    text = "".join(lines).strip()
    return problem(500, "unhandled_exception", text[-_MAX_MESSAGE:] if with_traceback else text)


def clean(text: str) -> str:
    """Leave out what no log should hold, and what is too much."""
    return _CONTROL.sub(" ", text)[:_MAX_MESSAGE]


def _reply(
    status: int, value: object, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> Answer:
    return Answer(status, {"posthaste-protocol": "1", "content-type": kind, **(headers or {})}, _bytes(value))


def _bytes(value: object) -> bytes:
    return _json.dumps(value).encode()


def _said(word: str, after: Duration | None = None) -> dict[str, str]:
    return {"posthaste-outcome": word, **_after(after)}


def _after(after: Duration | None) -> dict[str, str]:
    return {} if after is None else {"retry-after": str(math.ceil(seconds(after)))}


def _completed(outcome: Completed) -> Answer:
    if outcome.result is None:
        return Answer(204, {"posthaste-protocol": "1"})
    body = _bytes(outcome.result)
    if len(body) > MAX_RESULT_BYTES:
        message = (
            f"the result has {len(body)} bytes, at most {MAX_RESULT_BYTES} are stored: put it somewhere else"
        )
        return _fail(Fail(message, code="result_too_large"))
    return Answer(200, {"posthaste-protocol": "1", "content-type": "application/json"}, body)


def _fail(outcome: Fail) -> Answer:
    return problem(422, _code(outcome), outcome.message, headers=_said("fail"))


def _code(outcome: Retry | Fail) -> str | None:
    """Give the code; none for what the server takes as none: it is logged, and the job ends the same."""
    code = outcome.code
    if code is None or (isinstance(code, str) and _CODE.fullmatch(code)):
        return code
    said = type(outcome).__name__
    _log.warning("the code %.80r of %s is left out: it must be 1 to 64 letters, digits and _ . -", code, said)
    return None


def _accepted(outcome: Accepted) -> Answer:
    given = {
        "posthaste-callback-timeout-ms": outcome.callback_timeout,
        "posthaste-heartbeat-timeout-ms": outcome.heartbeat_timeout,
    }
    headers = {name: str(milliseconds(time)) for name, time in given.items() if time is not None}
    return _reply(202, {}, headers)


def suspension(outcome: Suspend) -> dict[str, Any]:
    """Write what a function waits for, as the body of its answer."""
    waits = [_wait(wait) for wait in outcome.waits]
    one = len(waits) == 1
    said = {
        "wait": waits[0] if one else None,
        "waits": None if one else waits,
        "need": None if one else outcome.need,
        "steps": outcome.steps,
    }
    return {name: value for name, value in said.items() if value is not None}


def _wait(wait: Wait) -> dict[str, Any]:
    said: dict[str, Any] = {"name": wait.name}
    match wait:
        case CallbackWait():
            said |= {"for": "callback", "timeout_ms": milliseconds(wait.timeout), "cel": wait.cel}
            said["signature"] = wait.signature
        case TimerWait(until=datetime() as until):
            said |= {"for": "timer", "until": until.isoformat()}
        case TimerWait(until=float() | int() | timedelta() as after):
            said |= {"for": "timer", "timeout_ms": milliseconds(after)}
        case JobsWait():
            jobs = [str(job) for job in wait.jobs]
            said |= {"for": "jobs", "jobs": jobs, "need": wait.need, "timeout_ms": milliseconds(wait.timeout)}
    return {name: value for name, value in said.items() if value is not None}
