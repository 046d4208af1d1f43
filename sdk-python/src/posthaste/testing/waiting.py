"""What a suspended job of a test waits for, and when it wakes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..duration import seconds
from ..outcome import CallbackWait, JobsWait, Resume, Suspend, TimerWait, Wait

if TYPE_CHECKING:
    from .queue import QueuedJob

DEFAULT_TIMEOUT = timedelta(hours=1)
"""The endpoint's `callback_timeout_ms`, unless set."""
Find = Callable[[int], "QueuedJob | None"]


class Suspended:
    """The waits of one suspension, and which of them were met."""

    def __init__(self, outcome: Suspend, now: datetime) -> None:
        """Begin to wait."""
        self._open = [(wait, _deadline(wait, now)) for wait in outcome.waits]
        self._single = len(outcome.waits) == 1
        self._need = outcome.need or len(outcome.waits)
        self._met: dict[str, Any] = {}

    @property
    def next_time(self) -> datetime:
        """When the next wait is over, one way or the other."""
        return min(deadline for _, deadline in self._open)

    @property
    def by_time_alone(self) -> bool:
        """Whether nobody needs to call back: what is left are timers."""
        return all(isinstance(wait, TimerWait) for wait, _ in self._open)

    def take(self, payload: Any) -> bool:
        """Meet the first callback wait that is open."""
        for entry in self._open:
            if isinstance(entry[0], CallbackWait):
                self._open.remove(entry)
                self._met[entry[0].name] = payload
                self._last = entry[0].name
                return True
        return False

    def wake(self, now: datetime, find: Find) -> Resume | None:
        """Look at the clock and at the other jobs: what the function is woken with, if it is."""
        for entry in [None, *self._open]:
            if entry is not None:
                self._look(entry, now, find)
            if len(self._met) >= self._need:
                return Resume(self._last, self._payload(), timed_out=False)
            if len(self._met) + len(self._open) < self._need:
                return Resume(self._last, self._payload(), timed_out=True)
        return None

    def _look(self, entry: tuple[Wait, datetime], now: datetime, find: Find) -> None:
        wait, deadline = entry
        ended = _ended(wait, find) if isinstance(wait, JobsWait) else None
        if ended is None and deadline > now:
            return
        self._open.remove(entry)
        self._last = wait.name
        if ended is not None or isinstance(wait, TimerWait):
            self._met[wait.name] = ended

    def _payload(self) -> Any:
        return next(iter(self._met.values()), None) if self._single else self._met


def _deadline(wait: Wait, now: datetime) -> datetime:
    if isinstance(wait, TimerWait):
        return (
            wait.until if isinstance(wait.until, datetime) else now + timedelta(seconds=seconds(wait.until))
        )
    return now + (DEFAULT_TIMEOUT if wait.timeout is None else timedelta(seconds=seconds(wait.timeout)))


def _ended(wait: JobsWait, find: Find) -> dict[str, Any] | None:
    """Give each job as it stands, once enough have ended; one that nobody knows has."""
    jobs = {number: find(number) for number in wait.jobs}
    ended = sum(job is None or job.has_ended for job in jobs.values())
    if ended < (wait.need or len(jobs)):
        return None
    return {
        str(number): {"state": job and job.state, "result": job and job.result}
        for number, job in jobs.items()
    }
