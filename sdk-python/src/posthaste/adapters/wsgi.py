"""WSGI, PEP 3333."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from ..answer import Answer, problem
from ..core import MAX_BODY_BYTES, Core

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Wsgi(Protocol):
    """A WSGI application."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse, /) -> Iterable[bytes]:
        """Answer a request."""


def wsgi(core: Core) -> Wsgi:
    """Make the application. It takes every path."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = _answer(core, environ)
        headers = [*answer.headers.items(), ("content-length", str(len(answer.body)))]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [answer.body]

    return application


def _answer(core: Core, environ: WSGIEnvironment) -> Answer:
    body = _body(environ)
    if body is None:
        return problem(413, "payload_too_large", f"at most {MAX_BODY_BYTES} bytes are read")
    call = core.open(environ["REQUEST_METHOD"], _headers(environ), body)
    return call if isinstance(call, Answer) else core.perform(call)


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    names = (name for name in environ if name.startswith("HTTP_"))
    headers = {name[5:].replace("_", "-").lower(): str(environ[name]) for name in names}
    return {**headers, "content-type": str(environ.get("CONTENT_TYPE", ""))}


def _body(environ: WSGIEnvironment) -> bytes | None:
    """Read the body; None if it is too large. Without a length there is one only where the server ends it."""
    stream: Any = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit():
        return bytes(stream.read(int(length))) if int(length) <= MAX_BODY_BYTES else None
    if not environ.get("wsgi.input_terminated"):
        return b""
    body = bytes(stream.read(MAX_BODY_BYTES + 1))
    return body if len(body) <= MAX_BODY_BYTES else None
