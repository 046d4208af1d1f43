"""Handlers that say everything that a function can say, for every way to serve them."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import Any

from posthaste import (
    Accepted,
    AsyncJob,
    CallbackClient,
    CallbackWait,
    Cancel,
    Fail,
    Job,
    JobsWait,
    Posthaste,
    Resume,
    Retire,
    Retry,
    Snooze,
    Suspend,
    Throttle,
    TimerWait,
)

app = Posthaste(format=os.environ.get("FORMAT", "envelope"))
asgi, wsgi, handler, target = app.asgi, app.wsgi, app.aws_lambda, app.cloud_function
seen: dict[int, str] = {}


@dataclass
class Pages:
    pages: int


@app.job("result")
def result(args: Pages, job: Job) -> dict[str, Any]:
    return {"pages": args.pages, "job": job.id, "name": "Zoë"}


@app.job("async_result")
async def async_result(args: Pages, job: AsyncJob) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"pages": args.pages, "job": job.id}


@app.job("nothing")
def nothing() -> None: ...


@app.job("retry")
def retry(job: Job) -> list[Any]:
    if job.attempt == 1:
        raise Retry("the printer is busy", after=1, code="printer_busy")
    return [job.attempt, job.run_lease]


@app.job("snooze")
def snooze(job: Job) -> Any:
    return Snooze(1) if job.run_lease == 1 else [job.attempt, job.run_lease]


@app.job("throttle")
def throttle(job: Job) -> Any:
    return Throttle(1, message="at my limit") if job.run_lease == 1 else [job.attempt, job.run_lease]


@app.job("fail")
def fail() -> None:
    raise Fail("no such order", code="no_such_order")


@app.job("cancel")
def cancel() -> None:
    raise Cancel("the order was withdrawn")


@app.job("retire")
def retire() -> Retire:
    return Retire("use the new one")


@app.job("crash")
def crash(job: Job) -> int:
    if job.attempt == 1:
        raise ValueError("the printer is on fire")
    return job.attempt


@app.job("too_large")
def too_large() -> str:
    return "x" * 1024 * 1024


@app.job("accept")
def accept(job: Job) -> Accepted:
    callback = job.callback
    threading.Thread(target=_work, args=(callback.url, callback.token)).start()
    return Accepted(callback_timeout=30, heartbeat_timeout=30)


def _work(url: str, token: str) -> None:
    worker = CallbackClient(url, token)
    assert worker.progress(40, "page 4").outcome == "applied"
    assert worker.heartbeat(extend=20).deadline is not None
    worker.complete({"frames": 1440})


@app.job("obeys")
def obeys(job: Job) -> Accepted:
    def walk() -> None:
        while not job.cancelled:
            job.heartbeat(extend=20)
            time.sleep(0.05)
        job.callback.cancel("as you wish")

    threading.Thread(target=walk, daemon=True).start()
    return Accepted(callback_timeout=20)


@app.job("late")
def late(args: dict[str, str], job: Job) -> Any:
    if job.attempt > 1:
        return "the second run"
    with open(args["file"], "w") as file:
        json.dump({"url": job.callback.url, "token": job.callback.token}, file)
    return Accepted()


@app.job("hand_out")
def hand_out(args: dict[str, str], job: Job) -> Any:
    """Gives its callback to a worker, in a file of the run's own; a later run is done."""
    if job.run_lease > 1:
        return {"attempt": job.attempt}
    grant = {"url": job.callback.url, "token": job.callback.token}
    with open(args["file"] + ".part", "w") as file:
        json.dump(grant, file)
    os.rename(args["file"] + ".part", args["file"])
    return Accepted()


@app.job("callback_first")
async def callback_first(job: AsyncJob) -> Accepted:
    await job.callback.complete("before the 202")
    return Accepted()


@app.job("order")
async def order(args: dict[str, int], job: AsyncJob) -> Any:
    match job.resume:
        case None:
            # Early: kept until the wait is known.
            await job.callback.resume({"by": "Ada"})
            return Suspend(CallbackWait("approved", timeout=60), steps={"cents": args["cents"]})
        case Resume(name="approved"):
            return Suspend(
                TimerWait("nap", 0.2), CallbackWait("never"), need=1, steps={"by": job.resume.payload["by"]}
            )
        case Resume(name="nap"):
            return Suspend(JobsWait("others", [2**62]))
        case last:
            return {"steps": job.steps, "last": last.payload[str(2**62)], "lease": job.run_lease}


@app.job("progress")
async def progress(job: AsyncJob) -> Any:
    if job.attempt == 1:
        await job.progress(40, "page 4", {"page": 4})
        await job.checkpoint({"fetch": {"rows": 9}})
        await job.checkpoint({"parse": True})
        raise Retry("jam")
    assert job.last_progress
    await job.checkpoint({"print": True})  # its number is not known here, and found out
    return [job.last_progress.percent, job.last_progress.message, job.steps, job.idempotency_key]


@app.job("once")
def once(args: dict[str, str], job: Job) -> Any:
    """Has its effect, and then takes too long to say so."""
    with sqlite3.connect(args["file"]) as database:
        database.execute("create table if not exists charges (key text primary key, lease integer)")
        values = (job.idempotency_key, job.run_lease)
        database.execute("insert into charges values (?, ?) on conflict do nothing", values)
        [[lease]] = database.execute("select lease from charges where key = ?", values[:1])
    if lease == job.run_lease:
        time.sleep(job.remaining + 0.2)
    return {"charged_by": lease, "now": job.run_lease}


@app.job("slow")
async def slow(job: AsyncJob) -> Any:
    if job.id in seen:
        return seen[job.id]
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        seen[job.id] = f"cancelled: {job.cancelled}"
        raise


@app.job("stuck")
def stuck(job: Job) -> int:
    if job.attempt == 1:
        time.sleep(60)
    return job.attempt


@app.job("exit")
def leave(job: Job) -> int:
    if job.attempt == 1:
        os._exit(3)
    return job.attempt
