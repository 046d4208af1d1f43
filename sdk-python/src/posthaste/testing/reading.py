"""Answers as Posthaste reads them: the table of docs/reference/answers.md, of what this package answers."""

from __future__ import annotations

import json
from typing import Any

from .. import _json
from ..answer import Answer
from ..errors import ConfigurationError
from ..outcome import (
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


def outcome(answer: Answer) -> Outcome:
    """Read what a handler said.

    Raises `ConfigurationError` for an answer that means that the endpoint is wrong, such as an unknown kind.
    """
    body = json.loads(answer.body) if answer.body else None
    said = body if isinstance(body, dict) else {}
    detail, code = str(said.get("detail", "")), said.get("code")
    after = answer.headers.get("retry-after")
    wait = None if after is None else float(after)
    match answer.headers.get("posthaste-outcome") or answer.status:
        case 200 | 204:
            return Completed(body)
        case "retry" | 500:
            return Retry(detail, after=wait, code=code)
        case "fail" | 422:
            return Fail(detail, code=code)
        case "cancel":
            return Cancel(said["reason"])
        case "snooze":
            return Snooze(60 if wait is None else wait)
        case 429:
            return Throttle(wait, message=detail)
        case 410:
            return Retire(detail)
        case 202:
            times = (f"posthaste-{name}-timeout-ms" for name in ("callback", "heartbeat"))
            callback, heartbeat = (_seconds(answer.headers.get(name)) for name in times)
            return Accepted(callback_timeout=callback, heartbeat_timeout=heartbeat)
        case "suspend":
            waits = [_wait(one) for one in said.get("waits") or [said["wait"]]]
            return Suspend(*waits, need=said.get("need"), steps=said.get("steps"))
        case _:
            raise ConfigurationError(f"{answer.status} {code}: {detail}")


def _wait(said: dict[str, Any]) -> Wait:
    timeout = _seconds(said.get("timeout_ms"))
    match said["for"]:
        case "callback":
            return CallbackWait(said["name"], timeout, said.get("cel"), said.get("signature"))
        case "timer" if "until" in said:
            return TimerWait(said["name"], _json.parse_time(said["until"]))
        case "timer":
            return TimerWait(said["name"], timeout or 0.0)
        case _:
            return JobsWait(said["name"], [int(job) for job in said["jobs"]], said.get("need"), timeout)


def _seconds(said_ms: Any) -> float | None:
    return None if said_ms is None else int(said_ms) / 1000
