"""The testing kit: handlers run through retries, snoozes and suspensions, without a server."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from posthaste import (
    Accepted,
    AlreadyFinalized,
    AsyncJob,
    CallbackWait,
    Cancel,
    ConfigurationError,
    Fail,
    InvalidToken,
    Job,
    JobsWait,
    LeaseSuperseded,
    Posthaste,
    Resume,
    Retry,
    Snooze,
    Suspend,
    Throttle,
    TimerWait,
)
from posthaste.testing import Completed, Queue, run

app = Posthaste()


@dataclass
class Order:
    cents: int


@app.job("charge")
def charge(order: Order, job: Job) -> dict[str, object]:
    if order.cents < 0:
        raise Fail("cents must not be negative", code="negative")
    job.progress(50, "asking the bank")
    return {"paid": order.cents, "attempt": job.attempt}


@app.job("flaky")
async def flaky(args: dict[str, int], job: AsyncJob) -> Any:
    if job.attempt <= args["failures"]:
        raise Retry("busy")
    return job.attempt


@app.job("order")
def order(order: Order, job: Job) -> Any:
    if job.resume is None:
        return Suspend(CallbackWait("approved", timeout=60), steps={"cents": order.cents})
    if job.resume.timed_out:
        return Cancel("nobody approved")
    return {"by": job.resume.payload, "cents": job.steps["cents"]}


def test_a_handler_is_run_once_and_shows_its_outcome() -> None:
    job = run(app, "charge", Order(1250))
    assert job.outcome == Completed({"paid": 1250, "attempt": 1})
    assert job.result == {"paid": 1250, "attempt": 1}
    assert job.said == [("progress", {"percent": 50, "message": "asking the bank"})]
    assert run(app, "charge", {"cents": -1}).outcome == Fail("cents must not be negative", code="negative")


def test_a_run_may_begin_in_the_middle() -> None:
    assert run(app, "charge", Order(1), attempt=3).result == {"paid": 1, "attempt": 3}
    resumed = run(
        app, "order", Order(1), steps={"cents": 9}, resume=Resume("approved", "Ada", timed_out=False)
    )
    assert resumed.result == {"by": "Ada", "cents": 9}


def test_a_wrong_shape_and_an_unknown_kind_are_seen_as_what_they_are() -> None:
    job = run(app, "charge", {"cents": "many"})
    assert job.outcome == Fail("args.cents must be a whole number, not text", code="invalid_args")
    assert job.state == "dead"
    with pytest.raises(ConfigurationError, match="no handler for chrage; kinds here: charge, flaky, order"):
        run(app, "chrage")


def test_a_crash_is_an_attempt_that_failed() -> None:
    broken = Posthaste()
    broken.job("k")(lambda: 1 / 0)
    assert run(broken, "k").outcome == Retry(
        "ZeroDivisionError: division by zero", code="unhandled_exception"
    )


def test_a_job_is_drained_through_its_retries_on_a_clock_of_its_own() -> None:
    queue = Queue(app)
    job, began = queue.enqueue("flaky", {"failures": 2}), queue.now
    assert queue.drain() == 3
    assert (job.state, job.result, len(job.outcomes)) == ("completed", 3, 3)
    assert queue.now - began == timedelta(seconds=2 + 4)


def test_a_job_whose_attempts_are_used_up_is_dead() -> None:
    queue = Queue(app)
    job = queue.enqueue("flaky", {"failures": 9}, max_attempts=2)
    queue.drain()
    assert (job.state, job.error, job.attempt) == ("dead", "busy", 2)


def test_snoozes_and_throttles_use_no_attempt() -> None:
    later = Posthaste()
    said = [Snooze(60), Throttle(30), None]
    later.job("k")(lambda: said.pop(0))
    queue = Queue(later)
    job, began = queue.enqueue("k"), queue.now
    queue.drain()
    assert (job.state, job.attempt, queue.now - began) == ("completed", 1, timedelta(seconds=90))


def test_a_delayed_job_runs_when_its_time_has_come() -> None:
    queue = Queue(app)
    job = queue.enqueue("charge", Order(1), delay=3600)
    assert (queue.advance(3599), job.state) == (0, "scheduled")
    assert (queue.advance(1), job.state) == (1, "completed")


def test_a_suspended_job_waits_until_somebody_resumes_it() -> None:
    queue = Queue(app)
    job = queue.enqueue("order", Order(1250))
    queue.drain()
    assert job.state == "waiting"
    assert job.callback.resume("Ada").outcome == "applied"
    queue.drain()
    assert (job.state, job.result) == ("completed", {"by": "Ada", "cents": 1250})
    assert (job.attempt, job.run_lease) == (1, 2)


def test_a_suspended_job_that_nobody_resumes_is_told_that_its_time_is_over() -> None:
    queue = Queue(app)
    job = queue.enqueue("order", Order(1))
    queue.drain()
    queue.advance(60)
    assert (job.state, job.error) == ("cancelled", "nobody approved")


def test_a_resume_that_comes_early_is_kept() -> None:
    early = Posthaste()

    @early.job("k")
    def handler(job: Job) -> Any:
        if job.resume:
            return job.resume.payload
        assert job.callback.resume({"paid": 1}).outcome == "buffered"
        return Suspend(CallbackWait("paid"))

    queue = Queue(early)
    job = queue.enqueue("k")
    queue.drain()
    assert job.result == {"paid": 1}


def test_the_first_of_several_waits_wakes_it() -> None:
    either = Posthaste()

    @either.job("k")
    def handler(job: Job) -> Any:
        if job.resume:
            return [job.resume.name, job.resume.payload, job.resume.timed_out]
        return Suspend(CallbackWait("paid"), TimerWait("late", 600), need=1)

    queue = Queue(either)
    paid, late = queue.enqueue("k"), queue.enqueue("k")
    queue.drain()
    assert paid.state == "waiting", "the clock does not pass a wait that a callback can meet"
    paid.callback.resume(7)
    queue.advance(600)
    assert (paid.result, late.result) == (["paid", {"paid": 7}, False], ["late", {"late": None}, False])


def test_a_timer_and_other_jobs_wake_it_without_anybody() -> None:
    parent = Posthaste()

    @parent.job("parent")
    def handler(job: Job) -> Any:
        match job.resume:
            case None:
                return Suspend(TimerWait("nap", 60))
            case Resume(name="nap"):
                return Suspend(JobsWait("pages", [2, 99]))
            case resume:
                return resume.payload

    parent.job("child")(lambda: "done")
    queue = Queue(parent)
    job = queue.enqueue("parent")
    queue.enqueue("child", delay=100)
    queue.drain()
    assert job.result == {
        "2": {"state": "completed", "result": "done"},
        "99": {"state": None, "result": None},
    }


def test_an_accepted_job_ends_by_its_callback_once() -> None:
    slow = Posthaste()
    slow.job("k")(lambda: Accepted(callback_timeout=60))
    queue = Queue(slow)
    job = queue.enqueue("k")
    queue.drain()
    assert job.state == "waiting"
    callback = job.callback
    assert callback.progress(40).cancel_requested is False
    job.cancel()
    assert callback.heartbeat().cancel_requested is True
    assert callback.complete({"frames": 3}).outcome == "applied"
    assert callback.complete({"frames": 3}).outcome == "duplicate"
    with pytest.raises(AlreadyFinalized):
        callback.fail("too late")
    assert (job.state, job.result) == ("completed", {"frames": 3})


def test_an_accepted_job_that_nobody_ends_is_tried_again_and_its_old_token_is_worth_nothing() -> None:
    slow = Posthaste()
    slow.job("k")(lambda: Accepted(callback_timeout=60))
    queue = Queue(slow)
    job = queue.enqueue("k")
    queue.drain()
    old = job.callback
    queue.advance(59)
    old.heartbeat()
    queue.advance(59)
    assert job.run_lease == 1, "a sign of life moved the deadline"
    queue.advance(10)
    assert (job.run_lease, job.attempt, job.state) == (2, 2, "waiting")
    with pytest.raises(LeaseSuperseded):
        old.complete()
    old.token = "ph1.forged"
    with pytest.raises(InvalidToken):
        old.complete()


def test_a_callback_that_comes_before_the_answer_wins() -> None:
    hasty = Posthaste()

    @hasty.job("k")
    def handler(job: Job) -> Accepted:
        job.callback.complete("early")
        return Accepted()

    assert run(hasty, "k").result == "early"


def test_steps_are_kept_over_a_crash() -> None:
    steps = Posthaste()
    done: list[str] = []

    @steps.job("k")
    async def handler(job: AsyncJob) -> list[str]:
        for name in ("fetch", "charge", "mail"):
            if name not in job.steps:
                done.append(name)
                await job.checkpoint({name: True})
            if name == "charge" and job.attempt == 1:
                raise OSError("the machine is gone")
        return sorted(job.steps)

    queue = Queue(steps)
    job = queue.enqueue("k")
    queue.drain()
    assert done == ["fetch", "charge", "mail"]
    assert (job.result, job.seq) == (["charge", "fetch", "mail"], 3)


def test_steps_of_a_suspension_that_are_too_large_use_an_attempt() -> None:
    heavy = Posthaste()
    heavy.job("k")(lambda: Suspend(CallbackWait("paid"), steps={"b": "x" * 600_000}))
    job = run(heavy, "k", steps={"a": "x" * 600_000})
    assert (job.state, job.attempt) == ("scheduled", 2)
    assert job.outcome == Retry("with these steps, those of the job are too large", code="steps_too_large")
    assert list(job.steps) == ["a"], "nothing of it was kept"


def test_what_an_earlier_attempt_said_is_told_to_the_next() -> None:
    pages = Posthaste()

    @pages.job("k")
    def handler(job: Job) -> Any:
        if job.last_progress is None:
            job.progress(40, "page 4", {"page": 4})
            job.progress(metadata={"ink": "low"})
            raise Retry("jam")
        return [job.last_progress.percent, job.last_progress.message, dict(job.last_progress.metadata)]

    queue = Queue(pages)
    job = queue.enqueue("k")
    queue.drain()
    assert job.result == [40, "page 4", {"page": 4, "ink": "low"}]


def test_a_handler_hears_that_its_job_is_called_off() -> None:
    obedient = Posthaste()

    @obedient.job("k")
    def handler(job: Job) -> Any:
        before = job.cancelled
        job.progress(10)
        return [before, job.cancelled]

    assert run(obedient, "k", cancel_requested=True).result == [False, True]
    assert run(obedient, "k").result == [False, False]


def test_a_job_that_does_not_end_is_found_out() -> None:
    endless = Posthaste()
    endless.job("k")(lambda: Snooze(1))
    queue = Queue(endless)
    queue.enqueue("k")
    with pytest.raises(RuntimeError, match="does not come to an end"):
        queue.drain()
