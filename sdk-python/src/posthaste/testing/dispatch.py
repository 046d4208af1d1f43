"""Dispatches as Posthaste writes them."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .. import _json, signature
from ..envelope import Format, Grant
from ..outcome import Resume

_ACTIONS = ["complete", "fail", "retry", "snooze", "cancel", "heartbeat", "progress", "checkpoint", "resume"]


@dataclass(frozen=True)
class SignedRequest:
    """What is POSTed to a function."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Draft:
    """A dispatch before it is written."""

    kind: str
    args: object
    id: int = 1
    queue: str = "default"
    attempt: int = 1
    max_attempts: int = 25
    run_lease: int = 1
    enqueued_at: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)
    tags: Sequence[str] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    timeout_ms: int = 30_000
    idempotency_key: str = ""
    grant: Grant | None = None
    progress: Mapping[str, object] | None = None
    steps: Mapping[str, object] = field(default_factory=dict)
    resume: Resume | None = None

    def key(self) -> str:
        """Give the key, or one that is the same for every attempt of the job."""
        digest = hashlib.sha256(f"{self.id} {self.kind} {self.resume and self.run_lease}".encode()).digest()
        return self.idempotency_key or base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def sign(
    kind: str,
    args: object = None,
    *,
    secret: str,
    format: Format = "envelope",  # noqa: A002, the endpoint's word
    sent_at: float | None = None,
    headers: Mapping[str, str] | None = None,
    **job: Any,
) -> SignedRequest:
    """Write and sign a dispatch, to be sent with any HTTP client.

    `secret` is that of the function, `sent_at` a time in seconds since 1970 instead of now. `job` may have
    `id`, `queue`, `attempt`, `max_attempts`, `run_lease`, `enqueued_at`, `tags`, `metadata`, `timeout_ms`,
    `idempotency_key`, `progress`, `steps` and `resume`; and `grant`, a `Grant(url, token)`, without which the
    handler has nowhere to call back to.
    """
    draft = Draft(kind, {} if args is None else args, **job)
    body, own = written(draft, format)
    at = int(time.time() if sent_at is None else sent_at)
    signed = signature.sign(signature.parse_secrets(secret), draft.key(), at, body)
    proof = {"webhook-id": draft.key(), "webhook-timestamp": str(at), "webhook-signature": signed}
    return SignedRequest({**(headers or {}), **own, **proof}, body)


def written(draft: Draft, format: Format = "envelope") -> tuple[bytes, dict[str, str]]:  # noqa: A002
    """Write the body and the headers, without the signature."""
    headers = {
        "content-type": "application/json",
        "posthaste-protocol": "1",
        "posthaste-job-id": str(draft.id),
        "posthaste-kind": draft.kind,
        "posthaste-queue": draft.queue,
        "posthaste-attempt": str(draft.attempt),
        "posthaste-max-attempts": str(draft.max_attempts),
        "posthaste-run-lease": str(draft.run_lease),
        "posthaste-timeout-ms": str(draft.timeout_ms),
        "idempotency-key": draft.key(),
    }
    if grant := draft.grant:
        headers |= {"posthaste-callback-url": grant.url, "posthaste-callback-token": grant.token}
    if format == "cloudevents":
        headers |= {
            "ce-specversion": "1.0",
            "ce-id": f"{draft.id}.{draft.run_lease}",
            "ce-source": f"/posthaste/queues/{draft.queue}",
            "ce-type": draft.kind,
            "ce-time": _time(draft.enqueued_at),
        }
    document = _envelope(draft) if format == "envelope" else draft.args
    return _json.dumps(document).encode(), headers


def _envelope(draft: Draft) -> dict[str, object]:
    job = {
        "id": str(draft.id),
        "kind": draft.kind,
        "queue": draft.queue,
        "attempt": draft.attempt,
        "max_attempts": draft.max_attempts,
        "run_lease": draft.run_lease,
        "enqueued_at": _time(draft.enqueued_at),
        "tags": list(draft.tags),
        "metadata": draft.metadata,
    }
    grant = draft.grant and {
        "url": draft.grant.url,
        "token": draft.grant.token,
        "deadline_in_ms": 3_600_000,
        "token_expires_in_ms": 605_400_000,
        "hook_url": draft.grant.hook_url,
        "actions": _ACTIONS,
    }
    return {
        "protocol": 1,
        "job": job,
        "args": draft.args,
        "callback": grant,
        "progress": draft.progress,
        "steps": draft.steps,
        "resume": draft.resume,
        "parents": {},
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
