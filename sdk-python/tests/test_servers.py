"""WSGI and ASGI, as their specifications have them."""

import asyncio
import io
import json
import threading
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from posthaste import AsyncJob, Job, Posthaste
from posthaste.testing import SignedRequest, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def app() -> Posthaste:
    app = Posthaste(signing_secret=SECRET)
    app.job("echo")(lambda args: args)
    app.job("nothing")(lambda: None)
    return app


def by_wsgi(app: Posthaste, request: SignedRequest, **changes: Any) -> tuple[str, dict[str, str], bytes]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "",
        "wsgi.input": io.BytesIO(request.body),
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in request.headers.items()}
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    environ["CONTENT_LENGTH"] = str(len(request.body))
    environ = {name: value for name, value in {**environ, **changes}.items() if value is not None}
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.extend([status, dict(headers)])

    # The validator knows no length-less body and no 204 without a type: those are asked without it.
    application = app.wsgi if changes else validator(app.wsgi)
    answer = application(environ, start_response)
    body = b"".join(answer)
    getattr(answer, "close", lambda: None)()
    return started[0], started[1], body


def test_wsgi_answers_as_its_validator_wants_it(app: Posthaste) -> None:
    status, headers, body = by_wsgi(app, sign("echo", {"a": "ö"}, secret=SECRET))
    assert (status, json.loads(body)) == ("200 OK", {"a": "ö"})
    assert headers["content-length"] == str(len(body))


def test_wsgi_without_a_length_reads_to_the_end_where_the_server_ends_it(app: Posthaste) -> None:
    request = sign("echo", [1], secret=SECRET)
    status, _, body = by_wsgi(app, request, CONTENT_LENGTH=None, **{"wsgi.input_terminated": True})
    assert (status, body) == ("200 OK", b"[1]")
    assert by_wsgi(app, request, CONTENT_LENGTH=None)[0] == "401 Unauthorized"


def test_wsgi_does_not_read_what_is_too_large(app: Posthaste) -> None:
    status, _, _ = by_wsgi(app, sign("echo", secret=SECRET), CONTENT_LENGTH=str(65 * 1024 * 1024))
    assert status.startswith("413")


class Asgi:
    """One request to an ASGI application, by hand."""

    def __init__(self, app: Posthaste, request: SignedRequest) -> None:
        self.app, self.sent = app, list[dict[str, Any]]()
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        headers = [(name.encode(), text.encode()) for name, text in request.headers.items()]
        self.scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        half = len(request.body) // 2
        self.inbox.put_nowait({"type": "http.request", "body": request.body[:half], "more_body": True})
        self.inbox.put_nowait({"type": "http.request", "body": request.body[half:], "more_body": False})

    async def run(self) -> None:
        await self.app.asgi(self.scope, self.inbox.get, self._send)

    def hang_up(self) -> None:
        self.inbox.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


def test_asgi_answers_a_body_in_pieces(app: Posthaste) -> None:
    async def main() -> list[dict[str, Any]]:
        request = Asgi(app, sign("echo", {"a": 1}, secret=SECRET))
        await request.run()
        return request.sent

    start, body = asyncio.run(main())
    assert (start["status"], body["body"]) == (200, b'{"a":1}')
    assert (b"posthaste-protocol", b"1") in start["headers"]


def test_a_plain_handler_does_not_block_the_loop(app: Posthaste) -> None:
    entered, leave = threading.Event(), threading.Event()

    @app.job("wait")
    def wait() -> None:
        entered.set()
        assert leave.wait(10)

    async def main() -> int:
        request = Asgi(app, sign("wait", secret=SECRET))
        running = asyncio.ensure_future(request.run())
        while not entered.is_set():  # the loop goes on: else this would never be seen
            await asyncio.sleep(0)
        leave.set()
        await running
        return int(request.sent[0]["status"])

    assert asyncio.run(main()) == 204


def test_a_caller_that_hangs_up_cancels_an_async_handler(app: Posthaste) -> None:
    seen: list[object] = []

    @app.job("wait")
    async def wait(job: AsyncJob) -> None:
        seen.append("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(job.cancelled)
            raise

    async def main() -> list[dict[str, Any]]:
        request = Asgi(app, sign("wait", secret=SECRET))
        running = asyncio.ensure_future(request.run())
        while not seen:
            await asyncio.sleep(0)
        request.hang_up()
        await asyncio.wait_for(running, 10)
        return request.sent

    assert asyncio.run(main()) == []
    assert seen == ["began", True]


def test_a_caller_that_hangs_up_is_known_to_a_plain_handler(app: Posthaste) -> None:
    entered = threading.Event()

    @app.job("wait")
    def wait(job: Job) -> None:
        entered.set()
        while not job.cancelled:
            pass

    async def main() -> None:
        request = Asgi(app, sign("wait", secret=SECRET))
        running = asyncio.ensure_future(request.run())
        while not entered.is_set():
            await asyncio.sleep(0)
        request.hang_up()
        await asyncio.wait_for(running, 10)

    asyncio.run(main())


def test_an_async_handler_that_cancels_itself_has_failed(app: Posthaste) -> None:
    @app.job("wait")
    async def wait() -> None:
        raise asyncio.CancelledError

    async def main() -> int:
        request = Asgi(app, sign("wait", secret=SECRET))
        await request.run()
        return int(request.sent[0]["status"])

    assert asyncio.run(main()) == 500


@pytest.mark.parametrize("secret", [SECRET, None])
def test_asgi_does_not_start_without_a_secret(monkeypatch: pytest.MonkeyPatch, secret: str | None) -> None:
    monkeypatch.delenv("POSTHASTE_SIGNING_SECRET", raising=False)
    app = Posthaste(signing_secret=secret)
    sent: list[Any] = []

    async def main() -> None:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        inbox.put_nowait({"type": "lifespan.startup"})
        inbox.put_nowait({"type": "lifespan.shutdown"})

        async def send(message: Any) -> None:
            sent.append(message)

        await app.asgi({"type": "lifespan"}, inbox.get, send)

    asyncio.run(main())
    if secret:
        assert [one["type"] for one in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    else:
        assert sent[0]["type"] == "lifespan.startup.failed"
        assert "POSTHASTE_SIGNING_SECRET" in sent[0]["message"]
