"""Outcomes: what a handler may say besides returning its result. Each may be returned or raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .duration import Duration, seconds
from .name import NAME_RULE, is_name

MAX_WAITS = 32
MAX_WAIT_JOBS = 1000
_MAX_WAIT_S = 30 * 86_400


class Outcome(Exception):  # noqa: N818, an outcome is no error
    """The base of all outcomes. Two are equal where they say the same."""

    def __eq__(self, other: object) -> bool:
        """Compare what is said."""
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = Exception.__hash__

    def __repr__(self) -> str:
        """Show what is said."""
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"{type(self).__name__}({said})"


class Retry(Outcome):
    """The attempt failed: try again by the endpoint's policy, not before `after`. An attempt is used."""

    def __init__(self, message: str = "", *, after: Duration | None = None, code: str | None = None) -> None:
        """`code` is 1 to 64 of letters, digits and `_ . -`; without one it is `retry`."""
        super().__init__(message)
        # The status alone would read as a crash.
        self.message, self.after, self.code = message, after, "retry" if code is None else code


class Snooze(Outcome):
    """Not yet: ask again later. No attempt is used; 30 days of snoozes end the job."""

    def __init__(self, after: Duration = 60) -> None:
        """`after` is taken between a second and 24 hours."""
        super().__init__(after)
        self.after = after


class Throttle(Outcome):
    """At the limit: ask again later, and ask less. No attempt is used; 24 hours of them end the job."""

    def __init__(self, after: Duration | None = None, *, message: str = "") -> None:
        """Without `after`, from a second on and ever longer."""
        super().__init__(after, message)
        self.after, self.message = after, message


class Fail(Outcome):
    """Give up: the job is dead, and in the dead letters."""

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        """`code` is 1 to 64 of letters, digits and `_ . -`; without one it is `http_422`."""
        super().__init__(message)
        self.message, self.code = message, code


class Cancel(Outcome):
    """The job is cancelled."""

    def __init__(self, reason: str = "") -> None:
        """`reason` is shown with the job."""
        super().__init__(reason)
        self.reason = reason


class Retire(Outcome):
    """The function is no more: the job is dead, and after five such jobs the endpoint is paused."""

    def __init__(self, message: str = "") -> None:
        """`message` is shown with the job."""
        super().__init__(message)
        self.message = message


class Accepted(Outcome):
    """Somebody will call back: the job waits, and holds nothing meanwhile."""

    def __init__(
        self, *, callback_timeout: Duration | None = None, heartbeat_timeout: Duration | None = None
    ) -> None:
        """`callback_timeout`: the longest wait; `heartbeat_timeout`: the longest silence. Up to 30 days."""
        super().__init__()
        self.callback_timeout, self.heartbeat_timeout = callback_timeout, heartbeat_timeout


def _check_wait(name: str, lasts: Duration | None) -> None:
    if not is_name(name):
        raise ValueError(f"the name of a wait {NAME_RULE}")
    if lasts is not None and not 0.001 <= seconds(lasts) <= _MAX_WAIT_S:
        raise ValueError("a wait must last from a millisecond to 30 days")


@dataclass(frozen=True)
class CallbackWait:
    """Waits for a `resume`, or for what a third party sends to `hook_url` or to a source."""

    name: str
    timeout: Duration | None = None
    """The endpoint's `callback_timeout_ms` unless given; at most 30 days."""
    cel: Mapping[str, Any] | None = None
    """Expressions that decide what a webhook or a `resume` means for it."""
    signature: Mapping[str, Any] | None = None
    """The signature that a webhook must have; its secrets are references."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a name or a time that no server takes."""
        _check_wait(self.name, self.timeout)


@dataclass(frozen=True)
class TimerWait:
    """Waits until a time: after so long, or at a moment that has a time zone."""

    name: str
    until: Duration | datetime

    def __post_init__(self) -> None:
        """Raise `ValueError` for a name or a time that no server takes."""
        _check_wait(self.name, None if isinstance(self.until, datetime) else self.until)
        if isinstance(self.until, datetime) and self.until.tzinfo is None:
            raise ValueError("a wait until a time needs its time zone, as datetime.now(timezone.utc) has one")


@dataclass(frozen=True)
class JobsWait:
    """Waits until jobs have ended."""

    name: str
    jobs: Sequence[int]
    """1 to 1,000 ids."""
    need: int | None = None
    """How many of them; all unless given."""
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for what no server takes."""
        _check_wait(self.name, self.timeout)
        if isinstance(self.jobs, str) or not all(isinstance(job, int) and job >= 1 for job in self.jobs):
            raise ValueError("JobsWait waits for ids of jobs: whole numbers from 1 on")
        if not 1 <= len(self.jobs) <= MAX_WAIT_JOBS or len(set(self.jobs)) < len(self.jobs):
            raise ValueError("JobsWait needs 1 to 1,000 jobs to wait for, each once")
        if self.need is not None and not 1 <= self.need <= len(self.jobs):
            raise ValueError("need of JobsWait must be between 1 and the number of jobs to wait for")


Wait = CallbackWait | TimerWait | JobsWait


class Suspend(Outcome):
    """Wake me when something has happened: the function is called again, with `job.resume` and its steps."""

    def __init__(
        self, *waits: Wait, need: int | None = None, steps: Mapping[str, object] | None = None
    ) -> None:
        """1 to 32 waits; `need` of them wake the function, all unless given. `steps` are merged by name."""
        super().__init__(*waits)
        names = {wait.name for wait in waits}
        if not 1 <= len(waits) <= MAX_WAITS or len(names) < len(waits):
            raise ValueError("Suspend needs 1 to 32 waits, each with a name of its own")
        if need is not None and not 1 <= need <= len(waits):
            raise ValueError("need must be between 1 and the number of waits")
        self.waits, self.need, self.steps = waits, need, steps


class Completed(Outcome):
    """Done. A handler returns its result instead; `posthaste.testing` shows it so."""

    def __init__(self, result: Any = None) -> None:
        """Hold a JSON value."""
        super().__init__(result)
        self.result = result


@dataclass(frozen=True)
class Resume:
    """What woke a suspended function."""

    name: str
    """The wait that was met last, or ran out of time."""
    payload: Any = field(repr=False)
    """What came; of several waits, an object with what came for each by name."""
    timed_out: bool
    """The time was over before enough had come."""
