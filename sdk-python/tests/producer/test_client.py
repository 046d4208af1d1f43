"""The client of the HTTP API, against the real one."""

import itertools
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import Dev
from opentelemetry.sdk.trace import TracerProvider

from posthaste import (
    AlreadyFinished,
    Client,
    Conflict,
    IdempotencyMismatch,
    InvalidJob,
    NewJob,
    NotFound,
    Problem,
)
from producer.ledger import Ledger


@pytest.fixture
def client(dev: Dev) -> Iterator[Client]:
    with Client(dev.api_url) as client:
        yield client


class Echo(BaseHTTPRequestHandler):
    """A function that completes with its args, and says what headers it got."""

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = json.dumps({"args": job["args"], "traceparent": self.headers["traceparent"]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def echo(dev: Dev) -> Iterator[str]:
    """A kind that an endpoint takes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    spec = {"url": f"http://127.0.0.1:{server.server_address[1]}/", "kinds": ["client.echo"]}
    with Client(dev.api_url) as client:
        assert client.put_endpoint("echo", spec).secret is not None
    yield "client.echo"
    server.shutdown()
    server.server_close()


def test_a_job_is_enqueued_waited_for_and_read(client: Client, echo: str) -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("order") as span:
        job_id = client.enqueue(echo, {"name": "Ada"}, tags=["x"], metadata={"a": 1}, timeout=5)
    job = client.wait(job_id, timeout=30)
    assert (job.id, job.state, job.ended, job.attempt) == (job_id, "completed", True, 1)
    assert (job.result["args"], job.tags, job.metadata) == ({"name": "Ada"}, ("x",), {"a": 1})
    assert f"{span.get_span_context().trace_id:032x}" in job.result["traceparent"]
    assert job.created_at.tzinfo is not None
    assert job.attempts[0].outcome == "completed"
    assert job.attempts[0].class_ == "responded"
    assert job.attempts[0].finished_at >= job.created_at
    assert client.job(job_id).result == job.result
    assert client.explain(job_id).reason == "ended"


def test_a_wait_that_runs_out_says_how_the_job_stands(client: Client) -> None:
    job_id = client.enqueue("client.nobody", run_at=datetime.now(timezone.utc) + timedelta(days=1))
    with pytest.raises(TimeoutError, match=f"^job {job_id} is still scheduled: ") as late:
        client.wait(job_id, timeout=0.2)
    why = client.explain(job_id)
    assert why.reason == "scheduled"
    assert str(late.value).endswith(why.detail)


def test_the_same_key_is_the_same_job_and_no_other(client: Client, ledger: Ledger) -> None:
    first = client.enqueue("client.key", {"n": 1}, idempotency_key="client-key")
    assert client.enqueue("client.key", {"n": 1}, idempotency_key="client-key") == first
    with pytest.raises(IdempotencyMismatch):
        client.enqueue("client.key", {"n": 2}, idempotency_key="client-key")
    assert ledger.count("client.key") == 1


def test_a_refusal_is_the_same_as_by_sql(client: Client) -> None:
    with pytest.raises(InvalidJob) as caught:
        client.enqueue("client.refused", priority=9, max_attempts=0)
    assert {(error.field, error.code) for error in caught.value.errors} == {
        ("priority", "out_of_range"),
        ("max_attempts", "out_of_range"),
    }
    assert isinstance(caught.value.__cause__, Problem)
    with pytest.raises(InvalidJob, match="u0000"):
        client.enqueue("client.refused", {"a": "\0"})


def test_a_batch_tells_ids_and_faults_in_the_order_given(client: Client, ledger: Ledger) -> None:
    jobs = [
        NewJob("client.batch", {"n": 1}),
        NewJob("client.batch", priority=9),
        NewJob("client.batch", "\0"),
        NewJob("client.batch", None, delay=timedelta(hours=1)),
    ]
    first, faulty, unstorable, last = client.enqueue_many(jobs)
    assert isinstance(faulty, InvalidJob)
    assert isinstance(unstorable, InvalidJob)
    assert (faulty.errors[0].field, unstorable.errors[0].code) == ("priority", "nul_character")
    assert isinstance(first, int)
    assert isinstance(last, int)
    stored = [ledger.job(job_id) for job_id in (first, last)]
    assert [job and (job["args"], job["state"]) for job in stored] == [
        ({"n": 1}, "available"),
        (None, "scheduled"),
    ]
    assert client.enqueue_many([]) == []


def test_ten_thousand_go_at_once(client: Client, ledger: Ledger) -> None:
    ids = client.enqueue_many(NewJob("client.crowd", n) for n in range(10_000))
    assert len(set(ids)) == ledger.count("client.crowd") == 10_000


def test_pages_are_gone_through_and_only_as_far_as_is_asked(client: Client) -> None:
    ids = client.enqueue_many([NewJob("client.pages", n, tags=[f"n{n % 2}"]) for n in range(7)])
    found = [job.id for job in client.jobs(kind="client.pages", page_size=3)]
    assert found == sorted((job_id for job_id in ids if isinstance(job_id, int)), reverse=True)
    assert [job.args for job in client.jobs(kind="client.pages", tag="n1", state="available")] == [5, 3, 1]
    assert [job.args for job in itertools.islice(client.jobs(kind="client.pages", page_size=1), 2)] == [6, 5]
    with pytest.raises(Problem) as caught:
        next(client.jobs(page_size=501))
    assert (caught.value.status, caught.value.errors[0].field) == (422, "limit")


def test_jobs_are_cancelled_and_retried(client: Client, echo: str) -> None:
    waiting = client.enqueue("client.nobody")
    assert client.cancel(waiting, reason="changed my mind") == "cancelled"
    assert client.cancel(waiting) == "cancelled"
    error = client.job(waiting).error
    assert error is not None
    assert error.message == "changed my mind"
    assert client.retry(waiting) == "available"
    with pytest.raises(Conflict):
        client.retry(waiting)
    done = client.wait(client.enqueue(echo), timeout=30)
    with pytest.raises(AlreadyFinished) as caught:
        client.cancel(done.id)
    assert caught.value.state == "completed"


def test_what_is_not_there_is_not_found(client: Client) -> None:
    calls: list[Any] = [client.job, client.wait, client.cancel, client.retry, client.explain]
    for call in calls:
        with pytest.raises(NotFound) as caught:
            call(2**60)
        assert caught.value.code == "job_not_found"
    with pytest.raises(NotFound):
        client.endpoint("nobody.here")
    with pytest.raises(Problem, match="name: must be"):
        client.endpoint("../jobs?x=1#")


def test_endpoints_are_written_read_paused_and_resumed(client: Client) -> None:
    spec = {"url": "http://127.0.0.1:9/", "kinds": ["client.endpoint"], "concurrency": 3}
    made = client.put_endpoint("client.endpoint", spec)
    assert made.secret is not None
    assert made.secret not in repr(made)
    read = client.endpoint("client.endpoint")
    assert (read.secret, read.version, read.spec["concurrency"], read.paused_at) == (None, 1, 3, None)
    assert client.put_endpoint("client.endpoint", {**read.spec, "concurrency": 4}).spec["concurrency"] == 4
    paused = client.pause_endpoint("client.endpoint", reason="maintenance")
    assert paused.paused_reason == "maintenance"
    assert paused.paused_at is not None
    job_id = client.enqueue("client.endpoint")
    assert client.explain(job_id).reason == "endpoint_paused"
    assert client.resume_endpoint("client.endpoint").paused_at is None
    assert "client.endpoint" in [endpoint.name for endpoint in client.endpoints()]
    with pytest.raises(Conflict):
        client.put_endpoint("client.other", spec)
    with pytest.raises(Problem) as caught:
        client.put_endpoint("client.other", {**spec, "concurrency": "many"})
    assert caught.value.errors[0].field == "concurrency"
