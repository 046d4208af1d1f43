"""Dispatches: what Posthaste POSTs for one run, in each of its formats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from . import _json
from ._http import is_header_text
from .outcome import Resume

Format = Literal["envelope", "raw", "cloudevents"]
"""The `format` of an endpoint: an envelope around the args, or the args alone and headers for the rest."""


class MalformedDispatch(ValueError):  # noqa: N818
    """A request that is no dispatch; the message says what is missing or wrong."""


@dataclass(frozen=True)
class Progress:
    """What an earlier attempt said of how far the work is."""

    percent: float | None = None
    message: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True)
class Grant:
    """Where and with what this run calls back."""

    url: str
    token: str = field(repr=False)
    hook_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what can be no token, without showing it."""
        if not is_header_text(self.token):
            raise ValueError("the callback token holds characters that no token has")


@dataclass(frozen=True)
class Dispatch:
    """One run of a job, as it came."""

    id: int
    kind: str
    queue: str
    attempt: int
    max_attempts: int
    run_lease: int
    args: Any
    headers: Mapping[str, str] = field(repr=False)
    idempotency_key: str
    timeout_s: float
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    enqueued_at: datetime | None = None
    grant: Grant | None = None
    progress: Progress | None = None
    steps: Mapping[str, Any] = field(default_factory=dict)
    resume: Resume | None = None


def read(headers: Mapping[str, str], body: bytes, format: Format = "envelope") -> Dispatch:  # noqa: A002
    """Read a dispatch. Header names are in lower case. Raises `MalformedDispatch`.

    The format is not guessed: args may be made to look like an envelope, and headers are not signed. What is
    in an envelope and in a header too is read from the envelope; id and kind must be the same in both.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedDispatch("the body is no JSON") from None
    try:
        if format == "envelope":
            return _from_envelope(document, headers)
        if _is_envelope(document, headers):
            raise MalformedDispatch("this is an envelope: leave `format` of Posthaste() out")
        return _from_headers(document, headers)
    except MalformedDispatch:
        raise
    except KeyError as error:
        raise MalformedDispatch(f"{error.args[0]} is missing: is this Posthaste?") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise MalformedDispatch(f"not a dispatch of protocol 1: {error}") from None


def _is_envelope(document: object, headers: Mapping[str, str]) -> bool:
    if not isinstance(document, dict) or not {"protocol", "job", "args", "callback"} <= document.keys():
        return False
    job = document["job"]
    return isinstance(job, dict) and job.get("id") == headers.get("posthaste-job-id")


def _from_envelope(document: Any, headers: Mapping[str, str]) -> Dispatch:
    if not isinstance(document, dict) or "protocol" not in document:
        raise MalformedDispatch("this is no envelope: give Posthaste() the `format` of the endpoint")
    if document["protocol"] != 1:
        raise MalformedDispatch(
            f"protocol {document['protocol']} is not known here: install a newer posthaste"
        )
    job, callback, resume = document["job"], document["callback"], document.get("resume")
    # Args of an endpoint that is `raw` by mistake may be an envelope too: what the dispatcher says beside it,
    # they do not choose.
    for name, said in (("posthaste-job-id", job["id"]), ("posthaste-kind", job["kind"])):
        if headers.get(name, said) != said:
            raise MalformedDispatch(f"the envelope and {name} are of different jobs: check `format`")
    return Dispatch(
        id=int(job["id"]),
        kind=job["kind"],
        queue=job["queue"],
        attempt=job["attempt"],
        max_attempts=job["max_attempts"],
        run_lease=job["run_lease"],
        args=document["args"],
        headers=headers,
        idempotency_key=_key(headers),
        timeout_s=_timeout(headers),
        tags=tuple(job.get("tags") or ()),
        metadata=job.get("metadata") or {},
        enqueued_at=_json.parse_time(job["enqueued_at"]),
        grant=callback and Grant(callback["url"], callback["token"], callback.get("hook_url")),
        progress=_progress(document.get("progress")),
        steps=document.get("steps") or {},
        resume=resume and Resume(resume["name"], resume["payload"], resume["timed_out"]),
    )


def _from_headers(args: object, headers: Mapping[str, str]) -> Dispatch:
    """Read the formats `raw` and `cloudevents`: the body is the args, and headers say the rest."""
    url, token = headers.get("posthaste-callback-url"), headers.get("posthaste-callback-token")
    time = headers.get("ce-time")
    return Dispatch(
        id=int(headers["posthaste-job-id"]),
        kind=headers["posthaste-kind"],
        queue=headers["posthaste-queue"],
        attempt=int(headers["posthaste-attempt"]),
        max_attempts=int(headers["posthaste-max-attempts"]),
        run_lease=int(headers["posthaste-run-lease"]),
        args=args,
        headers=headers,
        idempotency_key=_key(headers),
        timeout_s=_timeout(headers),
        enqueued_at=_json.parse_time(time) if time else None,
        grant=Grant(url, token) if url and token else None,
    )


def _key(headers: Mapping[str, str]) -> str:
    """`webhook-id` is the same key, and signed."""
    return headers.get("webhook-id") or headers["idempotency-key"]


def _timeout(headers: Mapping[str, str]) -> float:
    return int(headers["posthaste-timeout-ms"]) / 1000


def _progress(said: dict[str, Any] | None) -> Progress | None:
    if not said:
        return None
    at = said.get("at")
    return Progress(
        said.get("percent"),
        said.get("message"),
        said.get("metadata") or {},
        _json.parse_time(at) if at else None,
    )
