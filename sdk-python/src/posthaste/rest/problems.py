"""Refusals of the HTTP API, by what a program does about them. Their `code` says more."""

from __future__ import annotations

from collections.abc import Mapping

from .._http import Response
from ..errors import Problem
from ..invalid_job import InvalidJob


class Unauthorized(Problem):
    """401: there is no API key, or it is not accepted any more."""


class Forbidden(Problem):
    """403: the key lacks the scope that `detail` names."""


class NotFound(Problem):
    """404: there is no such job or endpoint, or the job is past its retention."""


class Conflict(Problem):
    """409: the present state does not allow this."""


class AlreadyFinished(Conflict):
    """409: the job had ended before it could be cancelled."""

    @property
    def state(self) -> str:
        """How it ended."""
        return str(self.body["job"]["state"])


class IdempotencyMismatch(Conflict):
    """409: the idempotency key came within 24 hours with another job."""


_KINDS: Mapping[int | str, type[Problem]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    "already_finished": AlreadyFinished,
    "idempotency_mismatch": IdempotencyMismatch,
}


def problem_of(response: Response) -> Problem:
    """Read an answer that is an error."""
    problem = response.problem()
    kind = _KINDS.get(problem.code) or _KINDS.get(problem.status)
    return response.problem(kind) if kind else problem


def refusal_of(problem: Problem) -> InvalidJob | None:
    """Find the faults of a job, as SQL would have raised them."""
    return InvalidJob(problem.errors) if problem.code == "invalid" and problem.errors else None
