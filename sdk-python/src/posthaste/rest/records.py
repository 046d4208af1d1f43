"""What the HTTP API tells of jobs and endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from .._json import parse_time
from ..envelope import Progress

State = Literal["scheduled", "available", "running", "waiting", "completed", "cancelled", "dead"]
_ENDED = ("completed", "cancelled", "dead")


@dataclass(frozen=True)
class ErrorRecord:
    """How a run failed."""

    code: str
    message: str
    at: datetime


@dataclass(frozen=True)
class AttemptRecord:
    """A run that has ended; the fields are those of docs/reference/http-api.md."""

    run_lease: int
    attempt: int
    outcome: str
    class_: str | None
    http_status: int | None
    started_at: datetime | None
    finished_at: datetime
    timings_ms: Mapping[str, float]
    error: ErrorRecord | None


@dataclass(frozen=True)
class JobRecord:
    """A job as it was when it was read; the fields are those of docs/reference/http-api.md."""

    id: int
    kind: str
    queue: str
    endpoint: str | None
    state: State
    priority: int
    attempt: int
    max_attempts: int
    run_lease: int
    args: Any
    result: Any
    error: ErrorRecord | None
    """Of the last run that failed; `None` once completed."""
    progress: Progress | None
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    run_at: datetime
    created_at: datetime
    finished_at: datetime | None
    attempts: tuple[AttemptRecord, ...]
    """The newest 50, newest first; empty in lists."""

    @property
    def ended(self) -> bool:
        """Whether it is completed, cancelled or dead."""
        return self.state in _ENDED


@dataclass(frozen=True)
class Explanation:
    """Why a job is not running: `reason` is a stable word, `detail` a sentence."""

    id: int
    state: State
    reason: str
    detail: str
    endpoint: str | None
    run_at: datetime
    cancel_requested: bool
    ahead: int | None
    """How many runs of its queue and kind come first, counted to 10,000."""
    dispatchers: int
    misconfigured: bool


@dataclass(frozen=True)
class EndpointRecord:
    """An endpoint as it was when it was read."""

    name: str
    version: int
    paused_at: datetime | None
    paused_reason: str | None
    created_at: datetime
    updated_at: datetime
    spec: Mapping[str, Any]
    """All that `put_endpoint` takes, complete with defaults: docs/how-to/endpoints.md."""
    secret: str | None = field(default=None, repr=False)
    """The signing secret, only in the answer that made it."""


def read_job(body: Mapping[str, Any]) -> JobRecord:
    """Read a job of an answer."""
    return JobRecord(
        **_known(
            JobRecord,
            body,
            id=int,
            error=_read_error,
            progress=_read_progress,
            tags=tuple,
            run_at=parse_time,
            created_at=parse_time,
            finished_at=parse_time,
            attempts=lambda attempts: tuple(map(_read_attempt, attempts)),
        )
    )


def read_explanation(body: Mapping[str, Any]) -> Explanation:
    """Read an explanation."""
    return Explanation(**_known(Explanation, body, id=int, run_at=parse_time))


def read_endpoint(body: Mapping[str, Any]) -> EndpointRecord:
    """Read an endpoint: what was written of it, and what became of it."""
    own = {one.name for one in fields(EndpointRecord)}
    spec = {name: value for name, value in body.items() if name not in own}
    times = dict.fromkeys(("paused_at", "created_at", "updated_at"), parse_time)
    return EndpointRecord(**_known(EndpointRecord, {"secret": None, **body, "spec": spec}, **times))


def _read_attempt(body: Mapping[str, Any]) -> AttemptRecord:
    times = dict.fromkeys(("started_at", "finished_at"), parse_time)
    return AttemptRecord(**_known(AttemptRecord, body, error=_read_error, **times))


def _read_error(body: Mapping[str, Any]) -> ErrorRecord:
    return ErrorRecord(**_known(ErrorRecord, body, at=parse_time))


def _read_progress(body: Mapping[str, Any]) -> Progress:
    given = {one.name: body[one.name] for one in fields(Progress) if body.get(one.name) is not None}
    return Progress(**given | ({"at": parse_time(given["at"])} if "at" in given else {}))


def _known(record: Any, body: Mapping[str, Any], **reads: Callable[[Any], Any]) -> dict[str, Any]:
    """Take the record's fields out of a body, which may have more; `None` needs no reading."""
    taken = {}
    for one in fields(record):
        value = body[one.name.rstrip("_")]
        read = reads.get(one.name)
        taken[one.name] = value if value is None or read is None else read(value)
    return taken
