"""Functions that call back, with Python's standard library alone. docs/how-to/callbacks.md goes through them.

    python3 examples/functions/python_callbacks.py 9005

It prints a line for each job that waits: paste it into a shell, and the commands of that page have their `$url`, `$token`
and `$hook_url`. Whoever has the token can end the job: a real function gives it to its worker and prints it nowhere, and
checks who asks, as python_stdlib.py does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], object]


def encode(run: dict) -> Answer:
    """Accepts the job and keeps the request open no longer; somebody else ends it with the token."""
    return hand_out(run, {})


def order(run: dict) -> Answer:
    """Waits for two things, one after the other, and is not there in between."""
    woken, steps = run["resume"], run["steps"]
    if woken is None:
        return suspend(run, {"name": "approved", "for": "callback"}, {"cents": run["args"]["cents"]})
    if woken["timed_out"]:
        return 200, {}, {"given_up_at": woken["name"]}
    if woken["name"] == "approved":
        return suspend(run, {"name": "paid", "for": "callback", **PAID}, {"by": woken["payload"]["by"]})
    return 200, {}, {"paid": woken["payload"]["cents"], **steps}


def walk(run: dict) -> Answer:
    """Accepts, and shows signs of life from a thread until it is there."""
    args = run["args"]
    threading.Thread(target=go, args=(run["callback"], args["seconds"]), daemon=True).start()
    return hand_out(run, {"posthaste-heartbeat-timeout-ms": str(args["heartbeat_timeout_ms"])})


def lose(run: dict) -> Answer:
    """Accepts, and is never heard of again."""
    return hand_out(run, {"posthaste-callback-timeout-ms": str(run["args"]["timeout_ms"])})


KINDS = {"encode": encode, "order": order, "walk": walk, "lose": lose}

# What a webhook to the hook URL must be before it counts as the payment. Its secret is where the gateway runs.
PAID = {"cel": {"on_complete": "payload.type == 'charge.paid'", "transform": "payload.data"}}
if "BILLING_SECRET_FILE" in os.environ:
    secret = {"file": os.path.abspath(os.environ["BILLING_SECRET_FILE"])}
    PAID["signature"] = {"scheme": "standard_webhooks", "secrets": [secret]}


def suspend(run: dict, wait: dict, steps: dict) -> Answer:
    """Asks to be POSTed again when this has happened, with these steps beside those that it gave before."""
    return hand_out(run, {"posthaste-outcome": "suspend"}, {"wait": wait, "steps": steps})


def hand_out(run: dict, headers: dict[str, str], body: object = None) -> Answer:
    """Answers 202, and shows what to call back with."""
    job, callback = run["job"], run["callback"]
    shown = {"job": job["id"], "kind": job["kind"], **{name: callback[name] for name in ("url", "token", "hook_url")}}
    print(*(f"{name}={value}" for name, value in shown.items()), flush=True)
    return 202, headers, body


def go(callback: dict, seconds: float) -> None:
    """Works, and says so four times a second."""
    begin = time.monotonic()
    while (gone := time.monotonic() - begin) < seconds:
        if call(callback, "heartbeat", {})["cancel_requested"]:
            call(callback, "cancel", {"reason": "told to turn back"})
            return
        call(callback, "progress", {"percent": int(100 * gone / seconds)})
        time.sleep(0.25)
    call(callback, "complete", {"result": {"walked_s": seconds}})


def call(callback: dict, action: str, body: dict) -> dict:
    """Calls back. A 409 raises: the job went on without us, and the work is to stop."""
    headers = {"authorization": f"Bearer {callback['token']}", "content-type": "application/json"}
    request = urllib.request.Request(f"{callback['url']}/{action}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


class Function(BaseHTTPRequestHandler):
    """One POST, one run."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:  # noqa: N802, the name is http.server's
        run = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            status, headers, value = KINDS[run["job"]["kind"]](run)
        except Exception as error:  # a 500: Posthaste tries again
            status, headers, value = 500, {}, {"error": repr(error)}
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", **headers, "content-length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Prints no line for each request: there are others to read."""


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9005
    print(f"listening on http://127.0.0.1:{port}/", file=sys.stderr)
    ThreadingHTTPServer(("127.0.0.1", port), Function).serve_forever()


if __name__ == "__main__":
    main()
