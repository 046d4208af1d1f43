"""A queue in memory: jobs run through retries, snoozes and suspensions, on a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from .. import _json
from ..app import Posthaste
from ..callback import CallbackClient
from ..duration import Duration, seconds
from ..invalid_job import InvalidJob
from ..new_job import NewJob, unstorable
from ..outcome import Outcome, Resume
from . import bounds
from .engine import Engine
from .waiting import Suspended

State = Literal["available", "scheduled", "running", "waiting", "completed", "cancelled", "dead"]
MAX_RUNS = 1000
_SENT = ("queue", "max_attempts", "tags", "metadata")


@dataclass(eq=False)
class QueuedJob:
    """A job of a test, as it stands."""

    id: int
    kind: str
    args: Any
    run_at: datetime
    queue: str = "default"
    max_attempts: int = 25
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    state: State = "available"
    attempt: int = 1
    """That of the run that goes on, or comes next."""
    run_lease: int = 0
    result: Any = None
    error: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    """What became of each run, in order."""
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Each callback that was taken: its action and its body."""
    steps: dict[str, Any] = field(default_factory=dict)
    seq: int = 0
    progress: dict[str, Any] | None = None
    resume: Resume | None = None
    resumes: int = 0
    cancel_requested: bool = False
    deadline: datetime | None = None
    """Of a job that waits for a callback: when its time is over."""
    silence: timedelta = field(default=timedelta(), repr=False)
    early: list[Any] = field(default_factory=list, repr=False)
    suspended: Suspended | None = field(default=None, repr=False)
    run_is_over: bool = field(default=True, repr=False)
    engine: Engine | None = field(default=None, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether it is completed, cancelled or dead."""
        return self.state in ("completed", "cancelled", "dead")

    @property
    def outcome(self) -> Outcome:
        """What became of its last run."""
        return self.outcomes[-1]

    @property
    def callback(self) -> CallbackClient:
        """What a worker or a third party would hold: the callback client of the run it has now."""
        assert self.engine is not None  # noqa: S101, a queue sets it
        grant = self.engine.grant(self)
        return CallbackClient(grant.url, grant.token, hook_url=grant.hook_url, send=self.engine.gateway)

    def cancel(self) -> None:
        """Ask for an end: at once, or, of one that waits, as its next sign of life is told."""
        self.cancel_requested = True
        if self.state in ("available", "scheduled"):
            self.state = "cancelled"


class Queue:
    """Jobs for the handlers of an app. Nothing runs before `drain`."""

    def __init__(self, app: Posthaste) -> None:
        """Make an empty queue; its clock stands at the first of January 2026."""
        self._engine = Engine(app._core)

    @property
    def now(self) -> datetime:
        """What its clock says."""
        return self._engine.now

    @property
    def jobs(self) -> list[QueuedJob]:
        """All of its jobs, in the order they were enqueued."""
        return list(self._engine.jobs.values())

    def enqueue(self, kind: str, args: object = None, *, delay: Duration = 0, **fields: Any) -> QueuedJob:
        """Enqueue a job. `args` become JSON and come back, as they would.

        `fields` may be `queue`, `max_attempts`, `tags`, `metadata`, and, to begin in the middle, `attempt`,
        `steps`, `progress` and `resume`. Raises `InvalidJob` for a job that the server would refuse.
        """
        number = len(self._engine.jobs) + 1
        told = {name: fields[name] for name in _SENT if name in fields}
        plain = _stored("args", {} if args is None else args)
        if "metadata" in told:
            told["metadata"] = _stored("metadata", told["metadata"])
        if faults := list(bounds.of_job(NewJob(kind, plain, delay=delay, **told))):
            raise InvalidJob(faults)
        run_at = self.now + timedelta(seconds=seconds(delay))
        job = QueuedJob(number, kind, plain, run_at, engine=self._engine, **fields)
        job.state = "available" if run_at <= self.now else "scheduled"
        self._engine.jobs[number] = job
        return job

    def drain(self) -> int:
        """Run all jobs until those that are left wait for a callback; how many runs that took.

        The clock goes on to the next retry, snooze or timer as needed, never to the time-out of a callback.
        Raises `RuntimeError` after a thousand runs.
        """
        runs = 0
        while True:
            runs += self._run_due(MAX_RUNS - runs)
            moments = [job.run_at for job in self.jobs if job.state == "scheduled"]
            moments += [
                job.suspended.next_time for job in self.jobs if job.suspended and job.suspended.by_time_alone
            ]
            if not moments:
                return runs
            self._engine.now = max(self.now, min(moments))

    def advance(self, duration: Duration) -> int:
        """Move the clock, and run what comes due meanwhile; time-outs come due too. How many runs it took."""
        until = self.now + timedelta(seconds=seconds(duration))
        runs = 0
        while True:
            runs += self._run_due(MAX_RUNS - runs)
            moments = [job.run_at for job in self.jobs if job.state == "scheduled"]
            moments += [job.deadline for job in self.jobs if job.deadline is not None]
            moments += [job.suspended.next_time for job in self.jobs if job.suspended]
            if not moments or min(moments) > until:
                break
            self._engine.now = max(self.now, min(moments))
        self._engine.now = until
        return runs

    def _run_due(self, most: int) -> int:
        runs = 0
        while True:
            self._engine.look()
            due = [job for job in self.jobs if job.state == "available"]
            if not due:
                return runs
            if runs >= most:
                raise RuntimeError(f"more than {MAX_RUNS} runs: {due[0]!r} does not come to an end")
            self._engine.run(min(due, key=lambda job: (job.run_at, job.id)))
            runs += 1


def run(app: Posthaste, kind: str, args: object = None, **fields: Any) -> QueuedJob:
    """Run one job once, and show what became of it: its `outcome`, and its `result` if it completed.

    `fields` are those of `Queue.enqueue`. Raises `ConfigurationError` for a kind without a handler.
    """
    queue = Queue(app)
    job = queue.enqueue(kind, args, **fields)
    queue._engine.run(job)
    return job


def _stored(name: str, value: object) -> Any:
    """Give what comes back of a field. Raises `InvalidJob` for what Postgres cannot hold."""
    try:
        return json.loads(_json.dumps(value))
    except _json.NotStorable as error:
        raise unstorable(name, error) from error
