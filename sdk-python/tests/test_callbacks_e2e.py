"""A worker that was handed a token, and the real gateway."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import Dev
from serving import Producer, serving

from posthaste import (
    Accepted,
    AlreadyFinalized,
    AsyncCallbackClient,
    CallbackClient,
    CheckpointConflict,
    InvalidToken,
    Posthaste,
    Problem,
)
from posthaste.testing import run

Work = Callable[..., tuple[int, CallbackClient]]


@pytest.fixture(scope="module")
def producer(dev: Dev) -> Iterator[Producer]:
    producer = Producer(dev)
    with serving("wsgiref") as url:
        producer.endpoint("hands_out", url)
        yield producer


@pytest.fixture
def work(producer: Producer, tmp_path: Path) -> Work:
    """Enqueue a job whose function hands its token to us; the job and its client."""

    def begin(**fields: Any) -> tuple[int, CallbackClient]:
        file = tmp_path / "grant.json"
        job = producer.enqueue("hand_out", {"file": str(file)}, endpoint="hands_out", **fields)
        producer.until(job, ("waiting",))
        return job, CallbackClient(**json.loads(file.read_text()))

    return begin


def test_complete_is_applied_once_and_a_repetition_is_told_so(producer: Producer, work: Work) -> None:
    job, callback = work()
    first, again = callback.complete({"a": 1}), callback.complete({"a": 1})
    assert (first.outcome, first.job_id, first.state) == ("applied", job, "completed")
    assert again.outcome == "duplicate"
    with pytest.raises(AlreadyFinalized) as late:
        callback.complete({"a": 2})
    assert late.value.body["job"] == {"id": str(job), "state": "completed"}
    assert producer.ended(job)["result"] == {"a": 1}


def test_fail_is_dead_or_tried_again(producer: Producer, work: Work) -> None:
    job, callback = work()
    callback.fail("no such film", retryable=False)
    ended = producer.ended(job)
    assert (ended["state"], ended["error"]["message"]) == ("dead", "no such film")
    job, callback = work()
    callback.fail("the disk is full", retry_after=1)
    assert producer.ended(job)["result"] == {"attempt": 2}


def test_retry_uses_an_attempt_and_snooze_does_not(producer: Producer, work: Work) -> None:
    job, callback = work()
    callback.retry(after=1)
    assert producer.ended(job)["result"] == {"attempt": 2}
    job, callback = work()
    callback.snooze(after=1)
    assert producer.ended(job)["result"] == {"attempt": 1}


def test_cancel_is_cancelled(producer: Producer, work: Work) -> None:
    job, callback = work()
    callback.cancel("withdrawn")
    assert producer.ended(job)["state"] == "cancelled"


def test_steps_are_compared_before_they_are_set(work: Work) -> None:
    _, callback = work()
    assert callback.checkpoint(0, {"fetch": 1}).seq == 1
    with pytest.raises(CheckpointConflict) as conflict:
        callback.checkpoint(0, {"fetch": 2})
    assert conflict.value.seq == 1
    callback.cancel()


def test_an_expression_that_says_no_is_ignored(producer: Producer, work: Work) -> None:
    job, callback = work(callback={"cel": {"filter": "payload.ok"}})
    assert callback.complete({"ok": False}).outcome == "ignored"
    assert callback.complete({}).outcome == "quarantined"
    assert callback.complete({"ok": True}).outcome == "applied"
    assert producer.ended(job)["result"] == {"ok": True}


def test_what_is_wrong_is_named(work: Work) -> None:
    _, callback = work()
    with pytest.raises(Problem, match="percent") as error:
        callback.progress(101)
    assert (error.value.status, error.value.errors[0].field) == (422, "percent")
    with pytest.raises(InvalidToken):
        CallbackClient(callback.url, "ph1.forged").complete()
    callback.cancel()


KIB = 1024


@pytest.mark.parametrize(
    "say",
    [
        lambda it: it.progress(200),
        lambda it: it.progress(-1, "x" * 4097, {"a": "x" * 64 * KIB}),
        lambda it: [it.progress(metadata={str(n): "x" * 60 * KIB}) for n in range(3)],
        lambda it: it.checkpoint(0, {"a": "x" * 2048 * KIB}),
        lambda it: it.checkpoint(0, {"a": "x" * 1024 * KIB}),
        lambda it: [it.checkpoint(n, {str(n): "x" * 600 * KIB}) for n in range(2)],
        lambda it: it.checkpoint(0, {"": 1, "n" * 201: 2}),
        lambda it: it.checkpoint(0, {str(n): n for n in range(1001)}),
        lambda it: it.complete("x" * 1024 * KIB),
        lambda it: it.resume("x" * 1024 * KIB),
        lambda it: it.retry(31 * 86_400),
        lambda it: it.snooze(31 * 86_400),
        lambda it: it.fail("no", retry_after=31 * 86_400),
        lambda it: it.heartbeat(0),
    ],
)
def test_the_testing_kit_refuses_what_the_gateway_refuses(work: Work, say: Callable[[Any], object]) -> None:
    real, kit = work()[1], _of_the_kit()
    refused = []
    for callback in (real, kit):
        with pytest.raises(Problem) as error:
            say(callback)
        refused.append((error.value.status, error.value.code, error.value.errors))
    assert refused[0] == refused[1]
    real.cancel()


def test_the_testing_kit_takes_what_the_gateway_takes(work: Work) -> None:
    for callback in (work()[1], _of_the_kit()):
        callback.progress(100, "x" * 4096, {"a": "x" * (64 * KIB - 8)})
        callback.checkpoint(0, {"n" * 200: 1})
        callback.heartbeat(30 * 86_400)
        assert callback.complete("x" * (1024 * KIB - 2)).outcome == "applied"


def _of_the_kit() -> CallbackClient:
    app = Posthaste()
    app.job("k")(lambda: Accepted())
    return run(app, "k").callback


def test_the_async_client_says_the_same(producer: Producer, work: Work) -> None:
    job, callback = work()

    async def main() -> None:
        client = AsyncCallbackClient(callback.url, callback.token)
        assert (await client.heartbeat(extend=60)).deadline is not None
        answers = await asyncio.gather(*[client.progress(percent) for percent in range(10)])
        assert {answer.outcome for answer in answers} == {"applied"}
        await client.complete("done")

    asyncio.run(main())
    assert producer.ended(job)["result"] == "done"


def test_a_lambda_that_is_invoked_as_an_event_ends_its_run_by_a_callback(producer: Producer) -> None:
    """What it returns is lost: Lambda tells nobody."""
    with serving("lambda_invoke") as url:
        producer.endpoint("event", url, format="lambda", invocation_type="event")
        ended = producer.ended(producer.enqueue("callback_first", endpoint="event"))
        calls = json.loads(urlopen(f"{url.partition('/2015')[0]}/_calls", timeout=10).read())
    assert (ended["state"], ended["result"], len(ended["attempts"])) == ("completed", "before the 202", 1)
    assert {call["headers"]["x-amz-invocation-type"] for call in calls} == {"Event"}
