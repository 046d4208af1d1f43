"""The job that a handler runs: what it is, how long it has, and what it says while it runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ._http import Send
from .callback import AsyncCallbackClient, CallbackAnswer, CallbackClient
from .duration import Duration
from .envelope import Dispatch, Progress
from .errors import CheckpointConflict, ConfigurationError
from .outcome import Resume

_CHECKPOINT_TRIES = 3


class _Run:
    """One run of a job: what `Job` and `AsyncJob` have in common."""

    def __init__(
        self, dispatch: Dispatch, started: float, limit: float | None = None, send: Send | None = None
    ) -> None:
        self._client: CallbackClient | None = None
        if grant := dispatch.grant:
            self._client = CallbackClient(grant.url, grant.token, hook_url=grant.hook_url, send=send)
        self._cancelled = threading.Event()
        self._seq = 0
        self.id: int = dispatch.id
        self.kind: str = dispatch.kind
        self.queue: str = dispatch.queue
        self.attempt: int = dispatch.attempt
        """From 1; counts failures, not snoozes, throttles or resumes."""
        self.max_attempts: int = dispatch.max_attempts
        self.run_lease: int = dispatch.run_lease
        """Only grows for a job: refuse to overwrite what a higher one wrote."""
        self.tags: tuple[str, ...] = dispatch.tags
        self.metadata: Mapping[str, Any] = dispatch.metadata
        self.enqueued_at: datetime | None = dispatch.enqueued_at
        """None in the format `raw`."""
        self.idempotency_key: str = dispatch.idempotency_key
        """The same for every attempt, new after each resume: write it with the effect, in one transaction."""
        self.headers: Mapping[str, str] = dispatch.headers
        """All of the request; names are in lower case."""
        self.steps: dict[str, Any] = dict(dispatch.steps)
        """What earlier runs and `checkpoint` stored, by name."""
        self.resume: Resume | None = dispatch.resume
        """What woke the function, after a `Suspend`."""
        self.last_progress: Progress | None = dispatch.progress
        """What an earlier attempt said last."""
        self.deadline: float = started + (
            dispatch.timeout_s if limit is None else min(limit, dispatch.timeout_s)
        )
        """When the caller hangs up, by `time.monotonic()`."""

    def __repr__(self) -> str:
        """Show which one, without what it holds."""
        return f"{type(self).__name__}(id={self.id}, kind={self.kind!r}, attempt={self.attempt})"

    @property
    def remaining(self) -> float:
        """How many seconds are left before the caller hangs up; 0 when none are."""
        return max(self.deadline - time.monotonic(), 0.0)

    @property
    def traceparent(self) -> str | None:
        """The span of this attempt, W3C."""
        return self.headers.get("traceparent")

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants the job cancelled, or the caller hung up: stop, and answer with `Cancel`.

        Known from what `progress`, `heartbeat` and `checkpoint` were answered, and from a connection that
        ended.
        """
        return self._cancelled.is_set()

    def _hang_up(self) -> None:
        """Take note that the caller is gone: whoever asks is told that the job is cancelled."""
        self._cancelled.set()

    def _callbacks(self) -> CallbackClient:
        if self._client is None:
            raise ConfigurationError(
                "this job has nowhere to call back to: set POSTHASTE_GATEWAY_URL and POSTHASTE_TOKEN_KEYS "
                "where Posthaste runs; in a test, use run or Queue of posthaste.testing, or "
                "sign(..., grant=...)"
            )
        return self._client

    def _heard(self, answer: CallbackAnswer) -> CallbackAnswer:
        if answer.cancel_requested:
            self._cancelled.set()
        return answer

    def _checkpoint(self, steps: Mapping[str, object]) -> None:
        for attempt in range(1, _CHECKPOINT_TRIES + 1):
            try:
                answer = self._heard(self._callbacks().checkpoint(self._seq, steps))
            except CheckpointConflict as conflict:  # noqa: PERF203
                # Earlier runs stored some, or the answer to this one was lost. Steps are merged by name, and
                # the token proves that this run is the current one: go on from there.
                if attempt == _CHECKPOINT_TRIES:
                    raise
                self._seq = conflict.seq
            else:
                self._seq = self._seq + 1 if answer.seq is None else answer.seq
                self.steps.update(steps)
                return


class Job(_Run):
    """The job of a handler that is a plain function. Its calls block, and are repeated when they must be."""

    @property
    def callback(self) -> CallbackClient:
        """The client with this run's URL and token, to end the job later or to hand them out."""
        return self._callbacks()

    def progress(
        self,
        percent: float | None = None,
        message: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Say how far the work is: 0 to 100 percent, a text, any data. The next attempt is told."""
        self._heard(self._callbacks().progress(percent, message, metadata))

    def heartbeat(self, extend: Duration | None = None) -> None:
        """Show a sign of life after an `Accepted`: the deadline becomes now and `extend`."""
        self._heard(self._callbacks().heartbeat(extend))

    def checkpoint(self, steps: Mapping[str, object]) -> None:
        """Store what was done, merged by name into `steps`: the next run need not do it again."""
        self._checkpoint(steps)


class AsyncJob(_Run):
    """The job of a handler that is `async def`: as `Job`, and its calls are awaited."""

    @property
    def callback(self) -> AsyncCallbackClient:
        """The client with this run's URL and token, to end the job later or to hand them out."""
        return AsyncCallbackClient.of(self._callbacks())

    async def progress(
        self,
        percent: float | None = None,
        message: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Say how far the work is: 0 to 100 percent, a text, any data. The next attempt is told."""
        self._heard(await self.callback.progress(percent, message, metadata))

    async def heartbeat(self, extend: Duration | None = None) -> None:
        """Show a sign of life after an `Accepted`: the deadline becomes now and `extend`."""
        self._heard(await self.callback.heartbeat(extend))

    async def checkpoint(self, steps: Mapping[str, object]) -> None:
        """Store what was done, merged by name into `steps`: the next run need not do it again."""
        await asyncio.to_thread(self._checkpoint, steps)
