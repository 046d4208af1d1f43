"""AWS Lambda on this machine: a function URL and the Invoke API, by the standard library alone.

    python lambda_emulator.py --name pages --timeout-s 3 -- python -m awslambdaric handlers.handler

It prints `listening on http://127.0.0.1:PORT`, and starts the command as often as calls come at once, up to
`--instances`, with AWS_LAMBDA_RUNTIME_API set: any runtime client will do. What it does as AWS does:

- `POST /` is a function URL: an event of payload version 2.0; an error of the function is 502.
- `POST /2015-03-31/functions/{name}/invocations` is Invoke, with `x-amz-invocation-type` RequestResponse,
Event
  or DryRun; an error of the function is 200 with `x-amz-function-error`. `name` may be an ARN or have a
  qualifier.
- More calls at once than instances are 429, TooManyRequestsException. A payload of more than 6 MiB, for Event
  1 MiB, is 413. An instance that ends, or takes longer than `--timeout-s`, is an error, and a new one is
  started.

`GET /_calls` lists what was called, headers included, for tests that look at signatures.
"""

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import Any
from urllib.parse import unquote

RUNTIME = "/2018-06-01/runtime/"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:"
INVOKE = "/2015-03-31/functions/"
MAX_SYNC_BYTES, MAX_EVENT_BYTES = 6 * 1024 * 1024, 1024 * 1024


@dataclass
class Invocation:
    """One event on its way through an instance."""

    event: bytes
    deadline: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: threading.Event = field(default_factory=threading.Event)
    payload: bytes = b""
    failed: bool = False

    def end(self, payload: bytes, *, failed: bool = False) -> None:
        if not self.done.is_set():
            self.payload, self.failed = payload, failed
            self.done.set()

    def fail(self, kind: str, message: str) -> None:
        self.end(json.dumps({"errorType": kind, "errorMessage": message}).encode(), failed=True)


class Instance:
    """A process that takes one event after another, by a Runtime API of its own."""

    def __init__(self, function: "Function") -> None:
        self.function = function
        self.events: Queue[Invocation] = Queue()
        self.current: Invocation | None = None
        self.gone = False
        self.api = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
        self.api.daemon_threads = True
        self.api.instance = self  # type: ignore[attr-defined]
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_REGION": "eu-central-1",
            "LAMBDA_TASK_ROOT": os.getcwd(),
        }
        self.process = subprocess.Popen(function.command, env=environment, stdout=sys.stderr)
        threading.Thread(target=self._watch, daemon=True).start()

    def run(self, invocation: Invocation) -> None:
        """Hand over an event, and wait for its end."""
        self.current = invocation
        self.events.put(invocation)
        while not invocation.done.wait(0.01):
            if self.gone:
                invocation.fail("Runtime.ExitError", f"RequestId: {invocation.id} Error: Runtime exited")
            if time.time() > invocation.deadline:
                limit = self.function.timeout_s
                invocation.fail(
                    "Sandbox.Timedout",
                    f"RequestId: {invocation.id} Error: Task timed out after {limit:.2f} seconds",
                )
                self.stop()
        self.current = None

    def stop(self) -> None:
        self.gone = True
        self.process.kill()

    def _watch(self) -> None:
        self.process.wait()
        self.gone = True
        self.api.shutdown()
        self.api.server_close()


class Function:
    """Instances of one command, as many as are needed at once."""

    def __init__(self, name: str, command: list[str], timeout_s: float, instances: int) -> None:
        self.name, self.command, self.timeout_s, self.most = name, command, timeout_s, instances
        self.calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._idle: list[Instance] = []
        self._busy: list[Instance] = []

    def call(self, event: bytes) -> Invocation | None:
        """Run an event; None where all instances are busy."""
        with self._lock:
            if len(self._busy) >= self.most:
                return None
            self._idle = [one for one in self._idle if not one.gone]
            instance = self._idle.pop() if self._idle else Instance(self)
            self._busy.append(instance)
        invocation = Invocation(event, time.time() + self.timeout_s)
        instance.run(invocation)
        with self._lock:
            self._busy.remove(instance)
            self._idle.append(instance)
        return invocation

    def stop(self) -> None:
        with self._lock:
            for instance in self._idle + self._busy:
                instance.stop()


class Quiet(BaseHTTPRequestHandler):
    """What both servers have in common."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests look at answers."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class RuntimeApi(Quiet):
    """What an instance asks: the next event, and where its result goes."""

    def do_GET(self) -> None:
        instance: Instance = self.server.instance  # type: ignore[attr-defined]
        if self.path != RUNTIME + "invocation/next":
            return self.answer(404)
        while True:
            try:
                invocation = instance.events.get(timeout=0.5)
                break
            except Empty:
                if instance.gone:
                    return self.answer(410)
        name = instance.function.name
        self.answer(
            200,
            invocation.event,
            {
                "content-type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": ARN + name,
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        instance: Instance = self.server.instance  # type: ignore[attr-defined]
        body, parts = self.body(), self.path.removeprefix(RUNTIME).split("/")
        current = instance.current
        if parts == ["init", "error"] and current:
            current.end(body, failed=True)
        elif len(parts) == 3 and current and parts[1] == current.id:
            current.end(body, failed=parts[2] == "error")
        self.answer(202, b"{}", {"content-type": "application/json"})


class Front(Quiet):
    """What the caller sees: the function URL and the Invoke API."""

    def do_GET(self) -> None:
        function: Function = self.server.function  # type: ignore[attr-defined]
        if self.path == "/_calls":
            return self.answer(200, json.dumps(function.calls).encode(), {"content-type": "application/json"})
        self._by_url(function, b"")

    def do_POST(self) -> None:
        function: Function = self.server.function  # type: ignore[attr-defined]
        body = self.body()
        headers = {name.lower(): text for name, text in self.headers.items()}
        function.calls = [
            *function.calls[-99:],
            {"path": self.path, "headers": headers, "body": body.decode("latin-1")},
        ]
        if self.path.startswith(INVOKE):
            self._by_invoke(function, body)
        else:
            self._by_url(function, body)

    def _by_invoke(self, function: Function, body: bytes) -> None:
        name = unquote(self.path.removeprefix(INVOKE).partition("?")[0]).removesuffix("/invocations")
        if function.name not in name.split(":"):
            return self._refuse(404, "ResourceNotFoundException", f"Function not found: {name}")
        how = self.headers.get("x-amz-invocation-type", "RequestResponse")
        if len(body) > (MAX_EVENT_BYTES if how == "Event" else MAX_SYNC_BYTES):
            return self._refuse(413, "RequestTooLargeException", "Request must be smaller")
        if how == "DryRun":
            return self.answer(204)
        if how == "Event":
            threading.Thread(target=function.call, args=(body,), daemon=True).start()
            return self.answer(202)
        invocation = function.call(body)
        if invocation is None:
            return self._refuse(429, "TooManyRequestsException", "Rate Exceeded.")
        headers = {
            "content-type": "application/json",
            "x-amzn-requestid": invocation.id,
            "x-amz-executed-version": "$LATEST",
        }
        self.answer(
            200,
            invocation.payload,
            headers | ({"x-amz-function-error": "Unhandled"} if invocation.failed else {}),
        )

    def _by_url(self, function: Function, body: bytes) -> None:
        invocation = function.call(json.dumps(self._event(body)).encode())
        if invocation is None:
            return self._refuse(429, "TooManyRequestsException", "Rate Exceeded.")
        if invocation.failed:
            return self.answer(
                502, b'{"Message":"Internal Server Error"}', {"content-type": "application/json"}
            )
        said = json.loads(invocation.payload)
        if not isinstance(said, dict) or "statusCode" not in said:
            return self.answer(200, invocation.payload, {"content-type": "application/json"})
        text = said.get("body") or ""
        self.answer(
            said["statusCode"],
            base64.b64decode(text) if said.get("isBase64Encoded") else text.encode(),
            {"x-amzn-requestid": invocation.id, **said.get("headers", {})},
        )

    def _event(self, body: bytes) -> dict[str, Any]:
        headers = {name.lower(): ",".join(self.headers.get_all(name) or []) for name in self.headers}
        path, _, query = self.path.partition("?")
        # AWS leaves JSON and text as they are, and makes base64 of everything else.
        plain = headers.get("content-type", "").startswith(("application/json", "text/"))
        http = {
            "method": self.command,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": headers.get("user-agent", ""),
        }
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "emulator",
                "domainName": "emulator.lambda-url.eu-central-1.on.aws",
                "domainPrefix": "emulator",
                "http": http,
                "requestId": str(uuid.uuid4()),
                "routeKey": "$default",
                "stage": "$default",
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
                "timeEpoch": int(time.time() * 1000),
            },
            "body": body.decode() if plain else base64.b64encode(body).decode(),
            "isBase64Encoded": not plain,
        }

    def _refuse(self, status: int, kind: str, message: str) -> None:
        body = json.dumps({"Type": "User", "message": message}).encode()
        self.answer(status, body, {"content-type": "application/json", "x-amzn-errortype": kind})


def main() -> None:
    parser = argparse.ArgumentParser(description="AWS Lambda on this machine")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--name", default="function")
    parser.add_argument("--timeout-s", type=float, default=30)
    parser.add_argument("--instances", type=int, default=4)
    parser.add_argument("command", nargs="+", help="after --, what runs one instance")
    options = parser.parse_args()
    function = Function(options.name, options.command, options.timeout_s, options.instances)
    front = ThreadingHTTPServer(("127.0.0.1", options.port), Front)
    front.daemon_threads = True
    front.function = function  # type: ignore[attr-defined]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on http://127.0.0.1:{front.server_port}", flush=True)
    try:
        front.serve_forever()
    finally:
        function.stop()


if __name__ == "__main__":
    main()
