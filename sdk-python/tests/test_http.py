"""The transport, against real sockets."""

import http.server
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from posthaste import ConfigurationError, TransportError
from posthaste._http import MAX_ANSWER_BYTES, Request, Response, Transport, _has_ended, retrying, shared


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path; counts connections."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    connections: list[Any]
    released: threading.Event

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.client_address)

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        match self.path.rpartition("/")[2]:
            case "echo":
                self._answer(200, self.path.encode() + b" " + body)
            case "redirect":
                self.send_response(307)
                self.send_header("location", "/echo")
                self.send_header("content-length", "0")
                self.end_headers()
            case "close":
                self.close_connection = True
                self._answer(200, b"bye")
            case "chunked":
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"3\r\nabc\r\n0\r\n\r\n")
            case "short":
                self.send_response(200)
                self.send_header("content-length", "10")
                self.end_headers()
                self.wfile.write(b"abc")
                self.close_connection = True
            case "large":
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                for _ in range(MAX_ANSWER_BYTES // 65536 + 2):
                    self.wfile.write(b"x" * 65536)
            case "drip":
                self.send_response(200)
                self.send_header("content-length", "1000")
                self.end_headers()
                while not self.released.wait(0.02):
                    self.wfile.write(b"x")
                    self.wfile.flush()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    connections: list[Any] = []
    released = threading.Event()
    handler = type("H", (Handler,), {"connections": connections, "released": released})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", connections
        released.set()
        server.shutdown()


def post(send: Transport, path: str, body: bytes = b"", timeout: float = 10) -> Any:
    return send(Request("POST", path, {}, body), timeout)


def test_a_connection_is_used_again_until_the_other_side_ends_it(server: tuple[str, list[Any]]) -> None:
    url, connections = server
    send = Transport(url + "/base/")
    for _ in range(3):
        answer = post(send, "/echo", b"hi")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"/base/echo hi", "13")
    assert post(send, "/chunked").body == b"abc"
    assert len(connections) == 1
    post(send, "/close")
    deadline = time.monotonic() + 10
    while not _has_ended(send._idle[-1].sock):
        assert time.monotonic() < deadline, "the server never ended the connection"
    assert post(send, "/echo").status == 200
    assert len(connections) == 2
    send.close()


def test_a_process_that_forked_does_not_share_connections(server: tuple[str, list[Any]]) -> None:
    url, connections = server
    assert shared(url) is shared(url)
    for _ in range(2):
        post(shared(url), "/echo")
    assert len(connections) == 1
    status, child = 0, os.fork()
    if child == 0:
        try:
            status = post(shared(url), "/echo").status
        finally:  # never back into the tests
            os._exit(7 if status == 200 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert len(connections) == 2


def test_a_redirect_is_an_answer_and_not_followed(server: tuple[str, list[Any]]) -> None:
    answer = post(Transport(server[0]), "/redirect")
    assert (answer.status, answer.headers["location"]) == (307, "/echo")


@pytest.mark.parametrize(("path", "says"), [("/short", "IncompleteRead"), ("/large", "larger than 16777216")])
def test_what_is_no_whole_answer_is_an_error(server: tuple[str, list[Any]], path: str, says: str) -> None:
    with pytest.raises(TransportError, match=says):
        post(Transport(server[0]), path)


def test_an_answer_that_drips_is_given_up_at_the_time_out(server: tuple[str, list[Any]]) -> None:
    with pytest.raises(TransportError, match="time"):
        post(Transport(server[0]), "/drip", timeout=0.3)


def test_nobody_there_is_an_error_that_names_host_and_port_and_no_secret() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransportError, match=rf"^POST 127\.0\.0\.1:{port}: ConnectionRefusedError") as error:
        post(Transport(f"http://user:s3cret@127.0.0.1:{port}/s3cret"), "/s3cret?key=s3cret")
    assert "s3cret" not in str(error.value)
    with pytest.raises(TransportError, match=rf"^POST \[::1\]:{port}: "):
        post(Transport(f"http://[::1]:{port}"), "/")


@pytest.mark.parametrize("url", ["", "ftp://example.com", "example.com", "https://"])
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        Transport(url)


def test_a_certificate_that_nobody_knows_is_refused() -> None:
    """No certificate at all is refused too: the context asks for one, and for the right name."""
    context = Transport("https://example.com")._tls
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 200_000])
def test_an_answer_that_cannot_be_read_is_an_error_of_ours(body: bytes) -> None:
    with pytest.raises(TransportError, match="no JSON"):
        Response(200, {}, body).json()
    assert str(Response(502, {}, body).problem()) == str(Response(502, {}, b"{}").problem())


@pytest.mark.parametrize("text", ["Bearer s3cret\n", "s3cret\u20ac"])
def test_a_header_that_cannot_be_sent_is_not_shown_and_not_tried_again(
    server: tuple[str, list[Any]], text: str
) -> None:
    tries: list[Request] = []
    transport = Transport(server[0])

    def send(request: Request, timeout: float) -> Any:
        tries.append(request)
        return transport(request, timeout)

    with pytest.raises(ConfigurationError) as error:
        retrying(send, Request("POST", "/echo", {"authorization": text}), 10)
    assert "s3cret" not in "".join(traceback.format_exception(error.value))
    assert len(tries) == 1
