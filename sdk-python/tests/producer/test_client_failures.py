"""The client of the HTTP API when things go wrong on the way."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from urllib.parse import urlsplit

import pytest
from conftest import Dev

from posthaste import Client, JobRecord, NewJob, Problem, TransportError
from posthaste._http import Request, Response
from producer.ledger import Ledger


def whole_request(incoming: socket.socket) -> bytes:
    """A request with its body, which may come later than its head; empty at the end."""
    text = b""
    while chunk := incoming.recv(65536):
        text += chunk
        head, ended, body = text.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if ended and len(body) >= (int(length[1]) if length else 0):
            break
    return text


@contextmanager
def cutting(dev: Dev, cuts: int) -> Iterator[tuple[str, list[int]]]:
    """A proxy that hangs up before so many answers; its URL, and whence each request came."""
    upstream = urlsplit(dev.api_url)
    requests: list[int] = []

    def serve(incoming: socket.socket) -> None:
        came_from = incoming.getpeername()[1]
        outgoing = socket.create_connection((upstream.hostname, upstream.port or 80))
        with closing(incoming), closing(outgoing):
            while request := whole_request(incoming):
                requests.append(came_from)
                outgoing.sendall(request)
                answer = outgoing.recv(65536)  # the answers here fit
                if len(requests) <= cuts:
                    return
                incoming.sendall(answer)

    def listen() -> None:
        while True:
            try:
                incoming, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(incoming,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        listener.shutdown(socket.SHUT_RDWR)


def test_a_job_whose_answer_is_lost_is_sent_again_and_is_one_job(dev: Dev, ledger: Ledger) -> None:
    with cutting(dev, 2) as (url, requests), Client(url) as client:
        job_id = client.enqueue("failures.cut", {"n": 1})
    assert len(requests) == 3
    assert ledger.count("failures.cut") == 1
    assert ledger.job(job_id) is not None


def test_a_batch_whose_answer_is_lost_is_not_sent_again(dev: Dev, ledger: Ledger) -> None:
    with cutting(dev, 1) as (url, _), Client(url) as client, pytest.raises(TransportError):
        client.enqueue_many([NewJob("failures.batch")])
    assert ledger.count("failures.batch") == 1


def test_it_gives_up_in_the_end(dev: Dev, ledger: Ledger) -> None:
    with cutting(dev, 99) as (url, requests), Client(url) as client, pytest.raises(TransportError):
        client.enqueue("failures.given_up")
    assert len(requests) == 5
    assert ledger.count("failures.given_up") == 1


def test_one_connection_serves_one_request_after_the_other(dev: Dev) -> None:
    with cutting(dev, 0) as (url, requests), Client(url) as client:
        ids = [client.enqueue("failures.kept") for _ in range(3)]
        assert [client.cancel(job_id) for job_id in ids] == ["cancelled"] * 3
    assert len(requests) == 6
    assert len(set(requests)) == 1


def answering(*answers: Response) -> tuple[Callable[[Request, float], Response], list[Request]]:
    left, requests = list(answers), []

    def send(request: Request, _timeout: float) -> Response:
        requests.append(request)
        return left.pop(0)

    return send, requests


def test_a_429_and_a_503_are_repeated_with_the_same_key() -> None:
    later = {"retry-after": "0"}
    made = Response(201, {}, b'{"id": "42", "state": "available"}')
    send, requests = answering(Response(429, later, b""), Response(503, later, b""), made)
    assert Client("http://nowhere", send=send).enqueue("failures.later") == 42
    assert len({request.headers["idempotency-key"] for request in requests}) == 1
    assert len(requests) == 3


def test_what_is_no_id_of_a_job_is_told_before_anything_is_sent() -> None:
    send, requests = answering()
    it = Client("http://nowhere", send=send)
    calls: list[Callable[..., object]] = [it.job, it.wait, it.cancel, it.retry, it.explain]
    for call in calls:
        with pytest.raises(TypeError, match=r"^job_id must be an int, not str$"):
            call("abc")
    assert requests == []


@pytest.mark.parametrize(("status", "body"), [(503, b""), (403, b""), (200, b"<html>"), (200, b"{}")])
def test_a_wait_that_runs_out_is_a_time_out_whatever_else_goes_wrong(status: int, body: bytes) -> None:
    job = dict.fromkeys((field.name for field in fields(JobRecord)), None) | {"id": "7", "state": "available"}
    times = dict.fromkeys(("run_at", "created_at"), "2026-11-21T08:00:00Z")
    read = Response(200, {}, json.dumps({**job, **times, "tags": [], "attempts": []}).encode())
    send, requests = answering(read, Response(status, {}, body))
    with pytest.raises(TimeoutError, match=r"^job 7 is still available$"):
        Client("http://nowhere", send=send).wait(7, timeout=0)
    assert len(requests) == 2, "why is asked for once"


def test_a_500_is_not_repeated() -> None:
    send, requests = answering(Response(500, {}, b'{"code": "internal", "title": "A fault of ours"}'))
    with pytest.raises(Problem, match="A fault of ours"):
        Client("http://nowhere", send=send).enqueue("failures.internal")
    assert len(requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": "x"}', b"null"])
def test_an_answer_of_somebody_else_is_told_as_such(body: bytes) -> None:
    send, _ = answering(Response(200, {}, body))
    with pytest.raises(TransportError):
        Client("http://nowhere", send=send).enqueue("failures.other")
