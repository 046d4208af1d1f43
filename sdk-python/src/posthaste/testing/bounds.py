"""What the server refuses, of a callback and of a job: docs/reference/callbacks.md and sql.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._json import dumps
from ..duration import seconds
from ..errors import FieldError
from ..name import is_name
from ..new_job import NewJob

MAX_BODY_BYTES = 1024 * 1024 + 4096
MAX_STEPS_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 128 * 1024
"""Of a job's progress, report by report."""
_MAX_MS = 30 * 86_400_000
_RANGES = {
    "percent": (0, 100),
    "after_ms": (0, _MAX_MS),
    "retry_after_ms": (0, _MAX_MS),
    "extend_ms": (1, _MAX_MS),
}
_SIZES = {"result": 1024 * 1024, "payload": 1024 * 1024, "metadata": 64 * 1024, "steps": MAX_STEPS_BYTES}
_MAX_MESSAGE_BYTES = 4096
_MAX_STEPS = 1000
_MAX_TAGS = 20
_TAG = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,200}")
_MAX_DELAY_S = 315_360_000


def size(value: object) -> int:
    """How many bytes of JSON."""
    return len(dumps(value).encode())


def of_callback(body: Mapping[str, Any]) -> Iterator[FieldError]:
    """Find what is out of bounds in the body of a callback."""
    for name, value in body.items():
        least, most = _RANGES.get(name, (0, 0))
        if name in _RANGES and not least <= value <= most:
            yield FieldError(name, "out_of_range", f"must be from {least} to {most}")
        if name in _SIZES and size(value) > _SIZES[name]:
            yield FieldError(name, "too_large", f"must have at most {_SIZES[name]} bytes")
        if name == "message" and len(value.encode()) > _MAX_MESSAGE_BYTES:
            yield FieldError(name, "too_long", f"must have at most {_MAX_MESSAGE_BYTES} bytes")
    yield from _of_steps(body.get("steps", {}))


def _of_steps(steps: Mapping[str, Any]) -> Iterator[FieldError]:
    for name in steps:
        if not 1 <= len(name.encode()) <= 200:
            yield FieldError(f"steps.{name[:100]}", "invalid_name", "must have a name of 1 to 200 bytes")
    if len(steps) > _MAX_STEPS:
        yield FieldError("steps", "too_many", f"must have at most {_MAX_STEPS} steps")


def of_job(job: NewJob) -> Iterator[FieldError]:
    """Find what is out of bounds in a job, in the order of the server."""
    for field, name in (("kind", job.kind), ("queue", job.queue)):
        if name is not None and not is_name(name):
            yield _of_name(field, name)
    if size(job.args) > 1024 * 1024:
        yield FieldError("args", "too_large", "args must have at most 1048576 bytes")
    if job.max_attempts is not None and not 1 <= job.max_attempts <= 1000:
        yield FieldError("max_attempts", "out_of_range", "max_attempts must be from 1 to 1000")
    yield from _of_tags(job.tags or ())
    if job.delay is not None and seconds(job.delay) > _MAX_DELAY_S:
        yield FieldError("delay_ms", "out_of_range", "delay_ms must be from 0 to 315360000000 (10 years)")
    if not isinstance(job.metadata or {}, Mapping):
        yield FieldError("metadata", "wrong_type", "metadata must be an object")
    if size(job.metadata or {}) > 64 * 1024:
        yield FieldError("metadata", "too_large", "metadata must have at most 65536 bytes")


def _of_tags(tags: Sequence[str]) -> Iterator[FieldError]:
    if len(tags) > _MAX_TAGS:
        yield FieldError("tags", "too_many", "at most 20 tags")
    elif wrong := [n for n, tag in enumerate(tags) if not _TAG.fullmatch(tag)]:
        message = "a tag must have 1 to 200 characters and no control characters"
        yield FieldError(f"tags[{wrong[0]}]", "invalid_tag", message)


def _of_name(field: str, name: str) -> FieldError:
    if not name:
        return FieldError(field, "required", f"{field} must be a non-empty name")
    if len(name) > 200:
        return FieldError(field, "too_long", f"{field} must have at most 200 characters")
    message = f"{field} may hold only letters, digits and . _ : / -, the first a letter or digit"
    return FieldError(field, "invalid_name", message)
