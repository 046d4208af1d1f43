"""A job that is not there yet: what a producer says of it, and how that is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Final, TypedDict

from ._json import NotStorable, dumps
from .duration import Duration, milliseconds
from .errors import FieldError
from .invalid_job import InvalidJob

EMPTY: Final[Mapping[str, object]] = MappingProxyType({})


class Options(TypedDict, total=False):
    """What `enqueue` takes beside kind and args: the fields of `NewJob` that are given by name."""

    queue: str | None
    endpoint: str | None
    priority: int | None
    run_at: datetime | None
    delay: Duration | None
    max_attempts: int | None
    timeout: Duration | None
    expires_at: datetime | None
    tags: Sequence[str] | None
    metadata: Mapping[str, object] | None
    headers: Mapping[str, str] | None
    callback: Mapping[str, object] | None


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job to enqueue. `None` means the server's default; bounds are the server's, in docs/reference/sql.md.

    Attributes:
        kind: What to do; endpoints take jobs by it.
        args: The function's input: any JSON value, dataclass or pydantic model. At most 1 MiB. Default `{}`.
        queue: Default `default`.
        endpoint: The endpoint's name, where the kind's own is not wanted.
        priority: 1 (first) to 4 (last). Default 2.
        run_at: Not before this time, which has a time zone. Not together with `delay`.
        delay: Not before so many seconds from now, at most ten years.
        max_attempts: How many attempts may fail before the job is dead. Default 25.
        timeout: How many seconds the function has, at most an hour. Default: the endpoint's.
        expires_at: When the job is no longer worth starting; it has a time zone.
        tags: At most 20 labels to find the job by. One text raises `TypeError`: it would be many labels.
        metadata: The producer's own notes, at most 64 KiB.
        headers: Headers to send with each dispatch, at most 8 KiB.
        callback: What a webhook to this job means, `{"cel": {…}, "timeout_ms": …}`: docs/reference/cel.md.

    """

    kind: str = field(kw_only=False)
    args: object = field(default_factory=dict, kw_only=False)
    queue: str | None = None
    endpoint: str | None = None
    priority: int | None = None
    run_at: datetime | None = None
    delay: Duration | None = None
    max_attempts: int | None = None
    timeout: Duration | None = None
    expires_at: datetime | None = None
    tags: Sequence[str] | None = None
    metadata: Mapping[str, object] | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    callback: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        """Refuse one text as tags: each of its letters would be one."""
        if isinstance(self.tags, str):
            raise TypeError(f"tags must be a list of texts, as [{self.tags!r:.50}]")


def wire_fields(job: NewJob) -> dict[str, object]:
    """Name what was given as SQL and REST name it."""
    wire: dict[str, object] = {}
    for given in fields(job):
        value = getattr(job, given.name)
        if value is None and given.name != "args":
            continue
        if given.name in ("delay", "timeout"):
            wire[given.name + "_ms"] = milliseconds(value)
        elif given.name in ("run_at", "expires_at"):
            wire[given.name] = _utc(given.name, value)
        else:
            wire[given.name] = value
    return wire


def batch_texts(fields_of_jobs: Iterable[Mapping[str, object]]) -> list[str | InvalidJob]:
    """Write each job of a batch as JSON; those that cannot be stored get their fault instead."""
    return [_text_or_fault(wire) for wire in fields_of_jobs]


def unstorable(name: str, error: NotStorable) -> InvalidJob:
    """Say of a field what the server would say of it."""
    return InvalidJob([FieldError(name, error.code, f"{name or 'a field'} {error}")])


def _text_or_fault(wire: Mapping[str, object]) -> str | InvalidJob:
    try:
        return dumps(wire)
    except NotStorable as error:
        return unstorable("", error)


def _utc(name: str, at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, as datetime.now(timezone.utc) has one")
    return at.astimezone(timezone.utc).isoformat()
