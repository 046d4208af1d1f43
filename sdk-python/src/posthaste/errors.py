"""What can go wrong, as one tree.

    PosthasteError
    ├── ConfigurationError      nothing to verify with, nothing to call back to
    ├── SignatureError          a request that Posthaste did not sign
    ├── TransportError          no answer came: connection, TLS, time-out, or an answer that is none
    ├── InvalidJob              a job with faults, which was not enqueued
    └── Problem                 an answer that is an error, RFC 9457
        ├── Unauthorized        401, of the API
        ├── Forbidden           403, of the API
        ├── NotFound            404, of the API
        ├── Conflict            409, of the API: AlreadyFinished, IdempotencyMismatch, and others
        ├── InvalidToken        401
        ├── ActionNotAllowed    403
        ├── LeaseSuperseded     409, another run holds the job
        ├── AlreadyFinalized    409, another end came first
        ├── CheckpointConflict  409, other steps were stored
        └── PastRetention       410

Outcomes such as `Retry` are exceptions too, but no errors: see `posthaste.outcome`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


class PosthasteError(Exception):
    """The root of all of them."""


class ConfigurationError(PosthasteError):
    """Something is not set up; the message says what to do."""


class SignatureError(PosthasteError):
    """A request that Posthaste did not sign, or not within five minutes of now."""

    def __init__(self, reason: Literal["timestamp", "too_old", "too_new", "no_match"]) -> None:
        """`reason` is stable: branch on it."""
        super().__init__(_SIGNATURE[reason])
        self.reason = reason


_SIGNATURE = {
    "timestamp": "webhook-timestamp is not a number of unix seconds",
    "too_old": "the signature is too old: compare the clocks",
    "too_new": "the signature is from the future: compare the clocks",
    "no_match": "no signature matches: compare the signing secret with that of the endpoint",
}


class TransportError(PosthasteError):
    """No answer that could be read: whether the request had its effect is not known."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field."""

    field: str
    code: str
    message: str


class Problem(PosthasteError):  # noqa: N818, the name of RFC 9457
    """An answer that is an error, with what its `application/problem+json` says."""

    def __init__(self, status: int, body: Mapping[str, Any], retry_after: float | None = None) -> None:
        """`body` is the document, empty where there was none; `retry_after` is in seconds."""
        self.status = status
        self.code = _text(body.get("code")) or f"http_{status}"
        self.title = _text(body.get("title"))
        self.detail = _text(body.get("detail"))
        self.errors = tuple(_field_errors(body.get("errors")))
        self.retry_after = retry_after
        self.body = body
        super().__init__(self._message())

    def _message(self) -> str:
        said = self.detail or self.title
        fields = "; ".join(
            f"{error.field}: {error.message}" for error in self.errors if error.message not in said
        )
        return ": ".join(part for part in (f"{self.status} {self.code}", said, fields) if part)


class InvalidToken(Problem):
    """401: the callback token is malformed, forged, expired or revoked."""


class ActionNotAllowed(Problem):
    """403: the callback token does not allow this action."""


class LeaseSuperseded(Problem):
    """409: another run holds the job; this one is to stop."""


class AlreadyFinalized(Problem):
    """409: another end came first."""


class CheckpointConflict(Problem):
    """409: other steps were stored meanwhile; `seq` is the number that they have now."""

    @property
    def seq(self) -> int:
        """What the next checkpoint must name."""
        return int(self.body["seq"])


class PastRetention(Problem):
    """410: nothing is known of the job any more."""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _field_errors(value: object) -> list[FieldError]:
    if not isinstance(value, list):
        return []
    found = (one for one in value if isinstance(one, Mapping))
    return [FieldError(*(_text(one.get(name)) for name in ("field", "code", "message"))) for one in found]
