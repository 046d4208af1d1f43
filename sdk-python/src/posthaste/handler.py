"""Handlers: what `@app.job` registers, and what its signature says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .arguments import compiled, hints
from .job import AsyncJob, Job


@dataclass(frozen=True)
class Handler:
    """A function, and how it wants to be called."""

    function: Callable[..., Any]
    is_async: bool
    read_args: Callable[[Any], Any] | None
    """None: it takes no args."""
    takes_job: bool

    def arguments(self, args: Any, job: Job | AsyncJob) -> list[Any]:
        """Give what the function is called with. Raises `InvalidArgs`."""
        read = [self.read_args(args)] if self.read_args else []
        return [*read, job] if self.takes_job else read


def inspected(function: Callable[..., Any]) -> Handler:
    """Look at a function: first its args, then `job`; either may be left out.

    Raises `TypeError` where it cannot be called so.
    """
    is_async = inspect.iscoroutinefunction(function)
    name = getattr(function, "__qualname__", repr(function))
    parameters = list(inspect.signature(function).parameters.values())
    known = hints(function)
    takes_job = bool(parameters) and _is_job(parameters[-1].name, known, first=len(parameters) == 1)
    wanted = parameters[:-1] if takes_job else parameters
    if len(wanted) > 1 or any(one.kind in (one.KEYWORD_ONLY, one.VAR_KEYWORD) for one in parameters):
        raise TypeError(f"{name} must take (args), (args, job), (job) or nothing")
    if takes_job:
        _check_job(known.get(parameters[-1].name), is_async, name)
    annotation = known.get(wanted[0].name, Any) if wanted else None
    return Handler(function, is_async, compiled(annotation) if wanted else None, takes_job)


def _is_job(parameter: str, known: dict[str, Any], *, first: bool) -> bool:
    return (
        known.get(parameter) in (Job, AsyncJob)
        or not first
        or (parameter == "job" and parameter not in known)
    )


def _check_job(annotation: Any, is_async: bool, name: str) -> None:
    right, wrong = (AsyncJob, Job) if is_async else (Job, AsyncJob)
    if annotation is wrong:
        kind = "async def" if is_async else "no async def"
        raise TypeError(f"{name} is {kind}: annotate its job as {right.__name__}")
