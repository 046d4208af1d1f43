"""HTTP by the standard library: TLS verified, time-outs, bounded answers, no redirects, no proxies."""

from __future__ import annotations

import http.client
import json
import os
import random
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigurationError, Problem, TransportError

MAX_ANSWER_BYTES = 16 * 1024 * 1024
ATTEMPTS = 5
_MAX_WAIT_S = 10.0
_AGAIN = frozenset({429, 502, 503, 504})
_IDLE = 8
_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Request:
    """What is sent. `path` begins with a slash and may hold a query; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """What was answered. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body. Raises `TransportError` where it is no JSON."""
        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError) as error:
            raise TransportError(f"the answer, {self.status}, is no JSON") from error

    @property
    def retry_after(self) -> float | None:
        """What `retry-after` says, in seconds."""
        text = self.headers.get("retry-after", "").strip()
        try:
            return max(float(text), 0.0)
        except ValueError:
            pass
        try:
            return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
        except (ValueError, TypeError):
            return None

    def problem(self, kind: type[Problem] = Problem) -> Problem:
        """Read an answer that is an error, whoever wrote it."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            body = {}
        return kind(self.status, body if isinstance(body, dict) else {}, self.retry_after)


Send = Callable[[Request, float], Response]
"""Sends a request within so many seconds; raises `TransportError` where no answer came."""


class Transport:
    """Sends requests to one origin, from any thread, and keeps some connections open in between."""

    def __init__(self, base_url: str) -> None:
        """`base_url` is `https://…` or `http://…`; what path it has is before every other."""
        parts = urlsplit(base_url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("a base URL must begin with https:// or http:// and name a host")
        self._host, self._port = parts.hostname, parts.port or _PORTS[parts.scheme]
        self._prefix = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._lock = threading.Lock()

    def __call__(self, request: Request, timeout: float) -> Response:
        """Send one request and read its answer, all within `timeout` seconds. A redirect is an answer.

        Raises `TransportError` where no answer came, `ConfigurationError` for what cannot be sent.
        """
        deadline = time.monotonic() + timeout
        connection = self._connection()
        try:
            response = _exchange(connection, self._prefix, request, deadline)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            where = f"[{self._host}]" if ":" in self._host else self._host
            told = f"{request.method} {where}:{self._port}: {type(error).__name__}: {error}"
            raise TransportError(told) from error
        except ValueError:  # its text shows the header, which may be a secret
            connection.close()
            raise ConfigurationError("a URL or a header holds characters that cannot be sent") from None
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return response

    def close(self) -> None:
        """Close the connections that are open and not used."""
        with self._lock:
            connections, self._idle = self._idle, deque()
        for connection in connections:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                break
            if connection.sock is not None and not _has_ended(connection.sock):
                return connection
            connection.close()
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port)
        return http.client.HTTPSConnection(self._host, self._port, context=self._tls)

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock is None:
            return
        with self._lock:
            if len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()


def is_header_text(text: str) -> bool:
    """Whether a header can hold it. Asked of secrets early, as the error of the HTTP library shows them."""
    return text.isascii() and text.isprintable()


def shared(base_url: str) -> Transport:
    """Give the transport that everybody in this process uses for a base: certificates are read only once."""
    return _of_process(base_url, os.getpid())


@lru_cache(maxsize=32)
def _of_process(base_url: str, _process: int) -> Transport:
    """After a fork both processes would read one connection: each has its own."""
    return Transport(base_url)


def _exchange(
    connection: http.client.HTTPConnection, prefix: str, request: Request, deadline: float
) -> Response:
    _set_timeout(connection, deadline)
    headers = {"user-agent": "posthaste-python", "accept-encoding": "identity", **request.headers}
    connection.request(request.method, prefix + request.path, request.body or None, headers)
    _set_timeout(connection, deadline)
    answer = connection.getresponse()
    body = bytearray()
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise http.client.HTTPException(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        _set_timeout(connection, deadline)
    if answer.length:
        raise http.client.IncompleteRead(bytes(body), answer.length)
    answer.close()  # only then may the connection be used again
    return Response(answer.status, {name.lower(): text for name, text in answer.getheaders()}, bytes(body))


def _set_timeout(connection: http.client.HTTPConnection, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no whole answer in time")
    connection.timeout = left
    if connection.sock is not None:
        connection.sock.settimeout(left)


def _has_ended(sock: socket.socket) -> bool:
    """Whether the other side hung up: nothing else can be read from a connection without a request."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def retrying(send: Send, request: Request, timeout: float) -> Response:
    """Send a request that may be repeated, up to five times: after a 429, 502, 503, 504 and no answer.

    Waits as `retry-after` says, else ever longer; at most 10 s each time. `timeout` is that of each try.
    """
    for attempt in range(1, ATTEMPTS + 1):
        wait = None
        try:
            response = send(request, timeout)
            if response.status not in _AGAIN or attempt == ATTEMPTS:
                return response
            wait = response.retry_after
        except TransportError:
            if attempt == ATTEMPTS:
                raise
        if wait is None:
            wait = 0.1 * 2**attempt * random.uniform(1, 1.25)  # noqa: S311, to spread, not to hide
        time.sleep(min(wait, _MAX_WAIT_S))
    raise AssertionError("the last attempt returns or raises")
