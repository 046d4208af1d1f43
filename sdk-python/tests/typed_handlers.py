"""Handlers as a type checker sees them; `producer/test_types.py` has mypy read this, and nobody runs it."""

from dataclasses import dataclass
from typing import Any

from typing_extensions import assert_type

from posthaste import (
    AsyncCallbackClient,
    AsyncJob,
    CallbackAnswer,
    CallbackClient,
    Job,
    Posthaste,
    Retry,
    Suspend,
)
from posthaste.testing import QueuedJob, run

app = Posthaste(signing_secret=["whsec_a", "whsec_b"], format="raw")
Posthaste(format="xml")  # type: ignore[arg-type]


@dataclass
class Page:
    number: int


@app.job("plain")
def plain(page: Page, job: Job) -> int:
    assert_type(job.callback, CallbackClient)
    assert_type(job.callback.complete({"a": 1}), CallbackAnswer)
    assert_type(job.steps, dict[str, Any])
    assert_type(job.resume.timed_out if job.resume else None, bool | None)
    job.progress("half")  # type: ignore[arg-type]
    raise Retry("busy", after=30, wait=1)  # type: ignore[call-arg]


@app.job("async")
async def awaited(page: Page, job: AsyncJob) -> Suspend:
    assert_type(job.callback, AsyncCallbackClient)
    assert_type(await job.callback.complete({"a": 1}), CallbackAnswer)
    await job.callback.heartbeat(extend="long")  # type: ignore[arg-type]
    await job.checkpoint({"a": 1})
    return Suspend("paid")  # type: ignore[arg-type]


def a_decorated_handler_is_the_function_itself(job: Job) -> None:
    assert_type(plain(Page(1), job), int)
    plain("one", job)  # type: ignore[arg-type]
    assert_type(run(app, "plain", Page(1)), QueuedJob)
    assert_type(app.aws_lambda({}, None), dict[str, Any])
