"""A function for Posthaste with Python's standard library alone.

    python3 examples/functions/python_stdlib.py 9003
    posthaste endpoint put python --spec '{"url": "http://127.0.0.1:9003/", "kinds": ["render_pdf"]}'
    posthaste enqueue render_pdf --args '{"pages": 3}' --wait

With ``POSTHASTE_SIGNING_SECRET`` (the ``whsec_…`` that ``endpoint put`` printed) it refuses what Posthaste did not
sign. A server that is not on loopback should always have it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 8 * 1024 * 1024
TOLERANCE_S = 300


def handle(job: dict, args: dict) -> tuple[int, dict[str, str], object]:
    """Does the work. Gives status, headers and body: what they mean is in docs/reference/answers.md."""
    if job["kind"] != "render_pdf":
        return 422, {}, {"error": f"unknown kind {job['kind']}"}
    pages = args.get("pages", 1)
    if not isinstance(pages, int) or pages < 1:
        return 400, {}, {"error": "pages must be a positive whole number"}
    if pages > 100:
        return 503, {"retry-after": "30"}, {"error": "busy with small documents"}
    return 200, {}, {"url": f"https://files.example.com/{job['id']}.pdf", "pages": pages}


def is_signed(secret: str, headers, body: bytes) -> bool:
    """Verifies the Standard Webhooks signature: any library of that standard does the same."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(mac).decode()
    return any(hmac.compare_digest(expected, one) for one in headers.get("webhook-signature", "").split())


class Function(BaseHTTPRequestHandler):
    """One POST, one job."""

    protocol_version = "HTTP/1.1"  # keeps connections: Posthaste pools them
    wbufsize = -1  # head and body in one packet: two would wait for an acknowledgement in between

    def do_POST(self) -> None:  # noqa: N802, the name is http.server's
        length = int(self.headers.get("content-length", "0"))
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self.answer(413, {}, {"error": "too large"})
            return
        body = self.rfile.read(length)
        secret = os.environ.get("POSTHASTE_SIGNING_SECRET")
        if secret and not is_signed(secret, self.headers, body):
            self.answer(401, {}, {"error": "not signed by Posthaste"})
            return
        envelope = json.loads(body)
        try:
            answer = handle(envelope["job"], envelope["args"])
        except Exception as error:  # a 500 tells more than a broken connection: Posthaste tries again
            answer = 500, {}, {"error": repr(error)}
        self.answer(*answer)

    def answer(self, status: int, headers: dict[str, str], value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", **headers}.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9003
    print(f"listening on http://127.0.0.1:{port}/", file=sys.stderr)
    ThreadingHTTPServer(("127.0.0.1", port), Function).serve_forever()


if __name__ == "__main__":
    main()
