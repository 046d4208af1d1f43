"""Libraries of Standard Webhooks that did not come from us verify what Posthaste really sends."""

import http.server
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import Dev
from serving import HERE, SECRET, Producer
from standardwebhooks import Webhook, WebhookVerificationError

NODE_LIBRARY = "standardwebhooks@1.1.1"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture(scope="module")
def dispatch(dev: Dev) -> tuple[dict[str, str], str]:
    """The headers and the body of one real dispatch, of an endpoint whose secret is being rotated."""
    received: list[tuple[dict[str, str], str]] = []

    class Function(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            received.append(({name.lower(): text for name, text in self.headers.items()}, body))
            self.send_response(204)
            self.send_header("posthaste-protocol", "1")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    producer = Producer(dev)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Function) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        producer.endpoint("independent", f"http://127.0.0.1:{server.server_port}/")
        producer.call("POST", "/v1/endpoints/independent/rotate-secret")
        producer.ended(producer.enqueue("anything", {"name": "Zoë ☕"}, endpoint="independent"))
        server.shutdown()
    return received[0]


def test_the_library_for_python_verifies_a_dispatch(dispatch: tuple[dict[str, str], str]) -> None:
    headers, body = dispatch
    assert len(headers["webhook-signature"].split()) == 2
    assert Webhook(SECRET).verify(body, headers)["args"] == {"name": "Zoë ☕"}
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + " ", headers)


def test_the_library_for_node_verifies_a_dispatch(dispatch: tuple[dict[str, str], str]) -> None:
    headers, body = dispatch
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node, "node is missing: install Node 18 or newer"
    assert npm, "npm is missing: install Node 18 or newer"
    folder = Path(sys.prefix) / "node"  # beside what pip installed
    if not (folder / "node_modules" / "standardwebhooks").exists():
        folder.mkdir(exist_ok=True)
        install = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, NODE_LIBRARY]
        subprocess.run(install, check=True, timeout=300)

    def verify(secret: str) -> "subprocess.CompletedProcess[str]":
        said = json.dumps({"secret": secret, "body": body, "headers": headers})
        command = [node, HERE / "standardwebhooks.mjs", folder]
        return subprocess.run(command, input=said, capture_output=True, text=True, timeout=60)

    assert json.loads(verify(SECRET).stdout)["args"] == {"name": "Zoë ☕"}
    refused = verify(OTHER)
    assert refused.returncode != 0
    assert "No matching signature" in refused.stderr
