"""The callback gateway of a test: takes what a handler, or the test, says of a job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .._http import Request, Response
from ..errors import FieldError
from ..outcome import Cancel, Completed, Fail, Outcome, Retry, Snooze
from . import bounds

if TYPE_CHECKING:
    from .engine import Engine
    from .queue import QueuedJob

URL = "http://gateway.test/v1/callbacks"


class Gateway:
    """Answers callbacks as the real one does, as far as a handler can tell."""

    def __init__(self, engine: Engine) -> None:
        """Take callbacks about the jobs of an engine."""
        self._engine = engine

    def __call__(self, request: Request, _timeout: float) -> Response:
        """Answer one callback, as a transport does."""
        action = request.path.removeprefix("/")
        body = json.loads(request.body)
        job, lease = self._run(request.headers["authorization"])
        if job is None:
            return _refuse(401, "invalid_token")
        if len(request.body) > bounds.MAX_BODY_BYTES:
            detail = f"the body has more than {bounds.MAX_BODY_BYTES} bytes"
            return _refuse(413, "payload_too_large", detail=detail)
        if faults := list(bounds.of_callback(body)):
            return _unfit(faults)
        if lease != job.run_lease:
            return _refuse(409, "lease_superseded")
        if job.run_is_over:
            return (
                _say(job, "duplicate")
                if job.said[-1:] == [(action, body)]
                else _refuse(409, "already_finalized")
            )
        return self._take(job, action, body)

    def _run(self, authorization: str) -> tuple[QueuedJob | None, int]:
        scheme, _, numbers = authorization.partition("ph1.test-")
        parts = numbers.split("-")
        if scheme != "Bearer " or len(parts) != 2 or not all(part.isdigit() for part in parts):
            return None, 0
        return self._engine.find(int(parts[0])), int(parts[1])

    def _take(self, job: QueuedJob, action: str, body: dict[str, Any]) -> Response:
        if action == "checkpoint" and body["seq"] != job.seq:
            return _refuse(409, "conflict", seq=job.seq)
        before = job.progress or {}
        metadata = {**before.get("metadata", {}), **body.get("metadata", {})}
        if action == "progress" and bounds.size(metadata) > bounds.MAX_METADATA_BYTES:
            return _unfit([_too_large("metadata", "what was reported before")])
        steps = {**job.steps, **body.get("steps", {})}
        if action == "checkpoint" and bounds.size(steps) > bounds.MAX_STEPS_BYTES:
            return _unfit([_too_large("steps", "the steps that are stored")])
        job.said.append((action, body))
        match action:
            case "progress":
                job.progress = {**before, **body, "metadata": metadata}
            case "heartbeat":
                self._engine.hear(job, body.get("extend_ms"))
            case "checkpoint":
                job.seq, job.steps = job.seq + 1, steps
                return _say(job, "applied", seq=job.seq)
            case "resume":
                applied = self._engine.resume(job, body.get("payload"))
                return _say(job, "applied") if applied else _say(job, "buffered", status=202)
            case _:
                self._engine.end(job, _end(action, body))
        return _say(job, "applied")


def _end(action: str, body: dict[str, Any]) -> Outcome:
    after = body.get("after_ms", body.get("retry_after_ms"))
    wait = None if after is None else after / 1000
    match action:
        case "complete":
            return Completed(body.get("result"))
        case "fail" if body.get("retryable", True):
            return Retry(body.get("error", ""), after=wait, code="callback_failed")
        case "fail":
            return Fail(body.get("error", ""), code="callback_failed")
        case "retry":
            return Retry(after=wait, code="callback_retry")
        case "snooze":
            return Snooze(60 if wait is None else wait)
        case _:
            return Cancel(body.get("reason", ""))


def _say(job: QueuedJob, outcome: str, *, status: int = 200, **more: object) -> Response:
    state = {"id": str(job.id), "state": job.state}
    said = {"outcome": outcome, "job": state, "cancel_requested": job.cancel_requested, **more}
    return Response(status, {}, json.dumps(said).encode())


def _too_large(field: str, stored: str) -> FieldError:
    return FieldError(field, "too_large", f"is too large together with {stored}: nothing of it was kept")


def _unfit(faults: list[FieldError]) -> Response:
    errors = [vars(fault) for fault in faults]
    if any(fault.code == "too_large" for fault in faults):
        return _refuse(413, "payload_too_large", errors=errors)
    return _refuse(422, "invalid", errors=errors)


def _refuse(status: int, code: str, **more: object) -> Response:
    return Response(status, {}, json.dumps({"status": status, "code": code, **more}).encode())
