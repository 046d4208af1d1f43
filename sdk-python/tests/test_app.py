"""The app: what is refused, what a handler is given, and what becomes of what it does."""

import asyncio
import contextvars
import json
import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

from posthaste import Answer, AsyncJob, Cancel, ConfigurationError, Job, Posthaste, Retry, Snooze
from posthaste.testing import sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@dataclass
class Page:
    number: int


def ask(app: Posthaste, kind: str = "k", args: object = None, secret: str = SECRET, **fields: Any) -> Answer:
    request = sign(kind, args, secret=secret, **fields)
    return app.handle("POST", request.headers, request.body)


def beside(function: Any, *args: Any) -> "Future[Answer]":
    """Call it in a thread that may hang without keeping the tests."""
    future: Future[Answer] = Future()

    def call() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


def said(answer: Answer) -> Any:
    return json.loads(answer.body)


@pytest.fixture
def app() -> Posthaste:
    return Posthaste(signing_secret=SECRET)


def test_a_handler_is_given_its_args_and_its_job(app: Posthaste) -> None:
    @app.job("k")
    def handler(args: Page, job: Job) -> dict[str, object]:
        assert 29 < job.remaining <= 30
        assert job.deadline > time.monotonic()
        assert job.traceparent == "00-1-2-01"
        assert not job.cancelled
        return {
            "page": args.number,
            "job": job.id,
            "kind": job.kind,
            "attempt": job.attempt,
            "tags": job.tags,
        }

    answer = ask(app, args={"number": 3}, id=42, attempt=2, tags=["a"], headers={"traceparent": "00-1-2-01"})
    assert (answer.status, answer.headers["posthaste-protocol"]) == (200, "1")
    assert said(answer) == {"page": 3, "job": 42, "kind": "k", "attempt": 2, "tags": ["a"]}


def test_a_handler_may_take_args_alone_a_job_alone_or_nothing(app: Posthaste) -> None:
    app.job("args")(lambda args: args)
    app.job("both")(lambda args, job: [args, job.kind])
    app.job("nothing")(lambda: "done")

    @app.job("job")
    def only_job(job: Job) -> str:
        return job.kind

    answers = [said(ask(app, kind, {"a": 1})) for kind in ("args", "both", "nothing", "job")]
    assert answers == [{"a": 1}, [{"a": 1}, "both"], "done", "job"]


def test_an_async_handler_runs_on_one_loop_for_the_whole_process(app: Posthaste) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")

    @app.job("k")
    async def handler(args: dict[str, Any], job: AsyncJob) -> list[object]:
        await asyncio.sleep(0)
        return [id(asyncio.get_running_loop()), variable.get()]

    answers = []
    for each in ("mine", "yours"):  # context variables are those of each caller
        variable.set(each)
        answers.append(said(ask(app)))
    assert [answer[1] for answer in answers] == ["mine", "yours"]
    assert answers[0][0] == answers[1][0]


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_an_async_handler_that_exits_takes_no_other_with_it(app: Posthaste, end: type[BaseException]) -> None:
    entered, leave = threading.Event(), threading.Event()

    @app.job("wait")
    async def wait() -> str:
        entered.set()
        while not leave.is_set():
            await asyncio.sleep(0.001)
        return "done"

    @app.job("exit")
    async def leaves() -> None:
        raise end

    other = beside(ask, app, "wait")
    assert entered.wait(10)
    try:
        with pytest.raises(end):  # the caller is told, as by a handler that is no `async def`
            beside(ask, app, "exit").result(10)
    finally:
        leave.set()
    assert said(other.result(10)) == "done"


def test_a_wrong_shape_of_args_is_a_422_that_names_the_field(app: Posthaste) -> None:
    @app.job("k")
    def handler(args: Page) -> None:
        raise AssertionError("it must not run")

    answer = ask(app, args={"number": "three"})
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said(answer)["code"] == "invalid_args"
    assert said(answer)["errors"] == [
        {"field": "args.number", "code": "wrong_type", "message": "must be a whole number, not text"}
    ]


def test_an_unknown_kind_is_a_404_that_names_those_there_are(app: Posthaste) -> None:
    app.job("b")(lambda: None)
    app.job("a")(lambda: None)
    answer = ask(app, "c")
    assert answer.status == 404
    assert said(answer)["detail"] == "no handler for c; kinds here: a, b"


def test_an_exception_is_a_500_without_its_traceback_which_is_logged(
    app: Posthaste, caplog: pytest.LogCaptureFixture
) -> None:
    @app.job("k")
    def handler() -> None:
        raise KeyError("colour")

    answer = ask(app)
    assert (answer.status, said(answer)["detail"]) == (500, "KeyError: 'colour'")
    [record] = caplog.records
    assert (record.name, record.getMessage()) == ("posthaste", "job 1 of kind k failed")
    assert record.exc_info


def test_a_traceback_leaves_the_process_where_it_is_wanted() -> None:
    app = Posthaste(signing_secret=SECRET, tracebacks=True)
    app.job("k")(lambda: 1 / 0)
    assert "Traceback" in said(ask(app))["detail"]


def test_an_outcome_may_be_raised_from_deep_inside_or_returned(
    app: Posthaste, caplog: pytest.LogCaptureFixture
) -> None:
    @app.job("raised")
    def raised() -> None:
        raise Retry("busy", after=3)

    @app.job("returned")
    async def returned() -> Snooze:
        return Snooze(30)

    retry, snooze = ask(app, "raised"), ask(app, "returned")
    assert (retry.headers["posthaste-outcome"], retry.headers["retry-after"]) == ("retry", "3")
    assert (snooze.headers["posthaste-outcome"], snooze.headers["retry-after"]) == ("snooze", "30")
    assert not caplog.records


def test_an_exit_is_no_answer(app: Posthaste) -> None:
    @app.job("k")
    def handler() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        ask(app)


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_only_posts_are_jobs(app: Posthaste, method: str) -> None:
    answer = app.handle(method, {}, b"")
    assert (answer.status, answer.headers["allow"], answer.headers["posthaste-protocol"]) == (
        405,
        "POST",
        "1",
    )


def test_what_posthaste_did_not_sign_is_a_401_and_runs_nothing(
    app: Posthaste, caplog: pytest.LogCaptureFixture
) -> None:
    app.job("k")(lambda: pytest.fail("it must not run"))
    request = sign("k", secret=SECRET)
    without = {name: text for name, text in request.headers.items() if name != "webhook-signature"}
    late = sign("k", secret=SECRET, sent_at=time.time() - 301)
    for headers, body in [
        (request.headers, request.body + b" "),
        (without, request.body),
        ({}, request.body),
        (sign("k", secret=OTHER).headers, request.body),
        (late.headers, late.body),
    ]:
        answer = app.handle("POST", headers, body)
        assert (answer.status, said(answer)["code"]) == (401, "invalid_signature")
        record = caplog.records[-1]
        assert record.getMessage() == f"refused a request: {said(answer)['detail']}"
        assert (record.name, record.levelname) == ("posthaste", "WARNING")
    assert len(caplog.records) == 5
    assert "whsec_" not in caplog.text


def test_two_secrets_are_good_while_one_is_rotated() -> None:
    app = Posthaste(signing_secret=[OTHER, SECRET])
    app.job("k")(lambda: None)
    assert [ask(app, secret=one).status for one in (SECRET, OTHER, f"{OTHER} {SECRET}")] == [204] * 3


def test_the_secrets_of_the_environment_are_read_at_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Posthaste()
    app.job("k")(lambda: None)
    monkeypatch.setenv("POSTHASTE_SIGNING_SECRET", f"{OTHER},{SECRET}")
    assert ask(app).status == 204


def test_the_constructors_secret_goes_before_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHASTE_SIGNING_SECRET", OTHER)
    app = Posthaste(signing_secret=SECRET)
    app.job("k")(lambda: None)
    assert (ask(app).status, ask(app, secret=OTHER).status) == (204, 401)


@pytest.mark.parametrize("value", [None, "", "no secret"])
def test_without_a_secret_nothing_is_served_and_it_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str | None
) -> None:
    monkeypatch.delenv("POSTHASTE_SIGNING_SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("POSTHASTE_SIGNING_SECRET", value)
    app = Posthaste()
    app.job("k")(lambda: pytest.fail("it must not run"))
    answer = ask(app)
    assert (answer.status, said(answer)["code"]) == (401, "no_signing_secret")
    assert "signing" in said(answer)["detail"].lower()
    assert caplog.records[0].levelno == logging.ERROR


def test_a_constructors_secret_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="whsec_"):
        Posthaste(signing_secret="hunter2")


def test_without_verification_it_must_be_said() -> None:
    app = Posthaste(verify=False)
    app.job("k")(lambda: None)
    assert ask(app, secret=OTHER).status == 204


@pytest.mark.parametrize("format", ["envelope", "raw", "cloudevents"])
def test_every_body_format_is_read(format: Any) -> None:  # noqa: A002
    app = Posthaste(signing_secret=SECRET, format=format)

    @app.job("k")
    def handler(args: Page, job: Job) -> list[object]:
        return [args.number, job.id, job.queue, job.run_lease]

    assert said(ask(app, args={"number": 3}, id=42, run_lease=5, format=format)) == [3, 42, "default", 5]


def test_a_body_that_is_no_dispatch_ends_no_job() -> None:
    app = Posthaste(verify=False)
    assert app.handle("POST", {}, b"{").status == 404


def test_an_exception_that_cannot_be_shown_is_a_500_too(app: Posthaste) -> None:
    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise ValueError

    @app.job("k")
    def handler() -> None:
        raise UnprintableError

    assert (ask(app).status, "Unprintable" in said(ask(app))["detail"]) == (500, True)


def test_handlers_that_cannot_be_called_are_refused_when_they_are_registered(app: Posthaste) -> None:
    async def with_sync_job(args: Page, job: Job) -> None: ...
    def with_async_job(args: Page, job: AsyncJob) -> None: ...
    def with_three(args: Page, job: Job, more: int) -> None: ...
    def with_keywords(args: Page, *, job: Job) -> None: ...

    for handler, says in [
        (with_sync_job, "annotate its job as AsyncJob"),
        (with_async_job, "annotate its job as Job"),
        (with_three, "must take"),
        (with_keywords, "must take"),
    ]:
        with pytest.raises(TypeError, match=says):
            app.job("k")(handler)
    app.job("k")(lambda: None)
    with pytest.raises(ValueError, match="k has a handler already"):
        app.job("k")(lambda: None)


def test_a_decorator_without_its_kind_says_what_to_write(app: Posthaste) -> None:
    with pytest.raises(TypeError, match=r'write @app\.job\("send_receipt"\)'):

        @app.job  # type: ignore[arg-type]
        def send_receipt() -> None: ...

    assert app.kinds == []


@pytest.mark.parametrize("kind", ["", "a b", "_a", "é", "k\n", "k" * 201])
def test_a_kind_that_no_job_can_have_is_refused_when_it_is_registered(app: Posthaste, kind: str) -> None:
    with pytest.raises(ValueError, match="1 to 200 letters, digits"):
        app.job(kind)
    app.job("k" * 200)
    app.job("com.example.order:v2/a_b-c")


def test_what_a_decorator_gives_back_is_the_function_itself(app: Posthaste) -> None:
    def handler(args: Page) -> int:
        return args.number

    assert app.job("k")(handler) is handler
    assert app.kinds == ["k"]


def test_without_a_gateway_a_sign_of_life_says_what_to_set(app: Posthaste) -> None:
    @app.job("k")
    def handler(job: Job) -> None:
        job.progress(40)

    detail = said(ask(app))["detail"]
    assert "POSTHASTE_GATEWAY_URL" in detail
    assert "in a test, use run or Queue of posthaste.testing, or sign(..., grant=...)" in detail


def test_a_handler_that_cancels_its_own_task_has_failed(app: Posthaste) -> None:
    @app.job("k")
    async def handler() -> None:
        raise asyncio.CancelledError

    assert ask(app).status == 500


def test_handlers_of_many_threads_do_not_meet(app: Posthaste) -> None:
    barrier = threading.Barrier(8, timeout=10)

    @app.job("k")
    def handler(args: Page) -> int:
        barrier.wait()
        return args.number

    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(said(ask(app, args={"number": n}))))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == list(range(8))


def test_cancel_says_its_reason(app: Posthaste) -> None:
    @app.job("k")
    def handler() -> Cancel:
        return Cancel("withdrawn")

    assert said(ask(app)) == {"reason": "withdrawn"}


@pytest.mark.parametrize("given", ["", " ", []])
def test_a_signing_secret_that_is_empty_is_told_from_a_variable_that_is_not_set(given: Any) -> None:
    app = Posthaste(signing_secret=given)
    app.job("k")(lambda: None)
    answer = ask(app)
    assert (answer.status, said(answer)["code"]) == (401, "no_signing_secret")
    assert said(answer)["detail"].startswith("signing_secret is empty: ")
