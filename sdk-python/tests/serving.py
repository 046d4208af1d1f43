"""Functions in processes of their own, and the endpoints and jobs of the real Posthaste that calls them."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import Dev

from posthaste._http import Request, Transport

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HERE = Path(__file__).parent
FUNCTIONS = HERE / "functions"
BIN = Path(sys.executable).parent
LAMBDA = [sys.executable, "-m", "awslambdaric", "handlers.handler"]
EMULATED = [sys.executable, HERE / "lambda_emulator.py", "--port", "{port}", "--", *LAMBDA]
SERVERS = {
    "wsgiref": ([sys.executable, "wsgiref_server.py", "{port}"], "/"),
    "uvicorn": ([BIN / "uvicorn", "handlers:asgi", "--port", "{port}"], "/"),
    "fastapi": ([BIN / "uvicorn", "fastapi_server:server", "--port", "{port}"], "/jobs/"),
    "flask": ([BIN / "flask", "--app", "flask_server:server", "run", "--port", "{port}"], "/jobs"),
    "functions_framework": (
        [BIN / "functions-framework", "--source", "handlers.py", "--target", "target", "--port", "{port}"],
        "/",
    ),
    "lambda_url": (EMULATED, "/"),
    "lambda_invoke": (EMULATED, "/2015-03-31/functions/function/invocations"),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def serving(name: str, port: int | None = None, **variables: str) -> Iterator[str]:
    """A server of `functions/`, until the block ends; its URL."""
    port = port or free_port()
    command, path = SERVERS[name]
    words = [str(word).format(port=port) for word in command]
    environment = {
        **os.environ,
        "POSTHASTE_SIGNING_SECRET": SECRET,
        "PYTHONPATH": str(FUNCTIONS),
        **variables,
    }
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            words, cwd=FUNCTIONS, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 60
            while not listens(port):
                assert process.poll() is None, log.seek(0) or log.read()
                assert time.monotonic() < deadline, f"{name} did not listen"
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}{path}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with its workers, which would wait for open connections
            process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Producer:
    """Puts endpoints and jobs, and reads jobs, by REST."""

    def __init__(self, dev: Dev) -> None:
        self._send = Transport(dev.api_url)

    def endpoint(self, name: str, url: str, **spec: Any) -> None:
        retry = {"policy": "constant", "base_ms": 100, "jitter": 0}
        given = {
            "url": url,
            "secret": SECRET,
            "sdk": True,
            "retry": retry,
            "breaker": {"min": 1000},
            "concurrency": 4,
            **spec,
        }
        self.call("PUT", f"/v1/endpoints/{name}", given)

    def enqueue(self, kind: str, args: object = None, **fields: Any) -> int:
        return int(self.call("POST", "/v1/jobs", {"kind": kind, "args": args or {}, **fields})["id"])

    def ended(self, job: int, *, within: float = 60) -> dict[str, Any]:
        """Wait until a job has ended, and read it."""
        return self.until(job, ("completed", "cancelled", "dead"), within=within)

    def until(self, job: int, states: tuple[str, ...], *, within: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while True:
            read = self.call("GET", f"/v1/jobs/{job}?wait_ms=1000")
            if read["state"] in states:
                return read
            assert time.monotonic() < deadline, json.dumps(read, indent=2)

    def call(self, method: str, path: str, body: object = None) -> Any:
        said = b"" if body is None else json.dumps(body).encode()
        answer = self._send(Request(method, path, {"content-type": "application/json"}, said), 30)
        assert answer.status < 300, answer.body
        return answer.json()
