"""What becomes of the jobs of a test: runs, their ends, and the clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from ..answer import Answer
from ..core import Core
from ..duration import seconds
from ..envelope import Grant
from ..outcome import (
    Accepted,
    Cancel,
    Completed,
    Fail,
    Outcome,
    Retire,
    Retry,
    Snooze,
    Suspend,
    Throttle,
)
from . import bounds, reading
from .dispatch import Draft, written
from .gateway import URL, Gateway
from .waiting import DEFAULT_TIMEOUT, Suspended

if TYPE_CHECKING:
    from .queue import QueuedJob

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Engine:
    """Jobs by id, and a clock that only the test moves."""

    def __init__(self, core: Core) -> None:
        """Begin with no jobs."""
        self.now = START
        self.jobs: dict[int, QueuedJob] = {}
        self.gateway = Gateway(self)
        self._core = core

    def find(self, number: int) -> QueuedJob | None:
        """Look for a job."""
        return self.jobs.get(number)

    def grant(self, job: QueuedJob) -> Grant:
        """Mint a token for the run that a job has now."""
        token = f"ph1.test-{job.id}-{job.run_lease}"
        return Grant(URL, token, f"http://gateway.test/v1/hooks/{token}")

    def run(self, job: QueuedJob) -> None:
        """POST a job to its handler, and take its answer."""
        job.run_lease += 1
        job.state, job.run_is_over, job.suspended = "running", False, None
        body, headers = written(self._draft(job), self._core.format)
        call = self._core.read(headers, body, send=self.gateway)
        answer = call if isinstance(call, Answer) else self._core.perform(call)
        if job.run_is_over:  # ended by a callback that came before the answer
            return
        outcome = reading.outcome(answer)
        match outcome:
            case Accepted():
                job.outcomes.append(outcome)
                longest = outcome.heartbeat_timeout or outcome.callback_timeout
                job.silence = DEFAULT_TIMEOUT if longest is None else timedelta(seconds=seconds(longest))
                job.state, job.deadline = "waiting", self.now + job.silence
            case Suspend():
                self._suspend(job, outcome)
            case _:
                self.end(job, outcome)

    def end(self, job: QueuedJob, outcome: Outcome) -> None:
        """End a run as an outcome says."""
        job.outcomes.append(outcome)
        job.run_is_over, job.suspended, job.deadline = True, None, None
        match outcome:
            case Completed():
                job.state, job.result = "completed", outcome.result
            case Cancel():
                job.state, job.error = "cancelled", outcome.reason or None
            case Snooze() | Throttle():
                self._later(job, seconds(1 if outcome.after is None else outcome.after))
            case Retry():
                self._failed(job, outcome)
            case Fail() | Retire():
                job.state, job.error = "dead", outcome.message or None

    def hear(self, job: QueuedJob, extend_ms: int | None) -> None:
        """Move the deadline of a job that waits."""
        job.deadline = self.now + (job.silence if extend_ms is None else timedelta(milliseconds=extend_ms))

    def resume(self, job: QueuedJob, payload: Any) -> bool:
        """Meet a wait of a suspended job; what comes too early is kept."""
        if job.suspended is None or not job.suspended.take(payload):
            job.early.append(payload)
            return False
        self._wake(job)
        return True

    def look(self) -> None:
        """Give every job what the clock says is due to it."""
        for job in self.jobs.values():
            if job.suspended is not None:
                self._wake(job)
            elif job.deadline is not None and job.deadline <= self.now:
                self.end(job, Retry("no callback came in time", code="callback_timeout"))
            if job.state == "scheduled" and job.run_at <= self.now:
                job.state = "available"

    def _draft(self, job: QueuedJob) -> Draft:
        return Draft(
            kind=job.kind,
            args=job.args,
            id=job.id,
            queue=job.queue,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            run_lease=job.run_lease,
            enqueued_at=START,
            tags=job.tags,
            metadata=job.metadata,
            idempotency_key=f"test-{job.id}-{job.resumes}",
            grant=self.grant(job),
            progress=job.progress,
            steps=job.steps,
            resume=job.resume,
        )

    def _failed(self, job: QueuedJob, outcome: Retry) -> None:
        job.error = outcome.message or outcome.code
        if job.attempt >= job.max_attempts:
            job.state = "dead"
            return
        backoff = 2.0 ** min(job.attempt, 16)
        job.attempt += 1
        self._later(job, max(backoff, seconds(outcome.after or 0)))

    def _later(self, job: QueuedJob, after: float) -> None:
        job.state, job.run_at = "scheduled", self.now + timedelta(seconds=min(max(after, 1.0), 86_400.0))

    def _suspend(self, job: QueuedJob, outcome: Suspend) -> None:
        steps = {**job.steps, **(outcome.steps or {})}
        if bounds.size(steps) > bounds.MAX_STEPS_BYTES:
            self.end(job, Retry("with these steps, those of the job are too large", code="steps_too_large"))
            return
        job.outcomes.append(outcome)
        job.steps = steps
        job.state, job.suspended = "waiting", Suspended(outcome, self.now)
        while job.early and job.suspended.take(job.early[0]):
            job.early.pop(0)
        self._wake(job)

    def _wake(self, job: QueuedJob) -> None:
        resume = job.suspended.wake(self.now, self.find) if job.suspended else None
        if resume is not None:
            job.resume, job.suspended, job.run_is_over = resume, None, True
            job.resumes += 1
            job.state, job.run_at = "available", self.now
