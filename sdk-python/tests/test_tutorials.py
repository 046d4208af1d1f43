"""The tutorials and the page on rotation, typed as printed: every `sh` block, in order, in one shell.

Blocks of Python that name a file are written to it. Those marked `sh cloud` need an account, `sh dev` is
what the fixture is, and `sh api` is held elsewhere.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import pytest
from conftest import BINARY, ROOT, Dev, running

BIN = Path(sys.executable).parent
TUTORIALS = ROOT / "docs" / "tutorials"
ROTATION = ROOT / "docs" / "how-to" / "rotate-secrets.md"
BLOCK = re.compile(r"^```(?P<info>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RESULTS = {
    "first-lambda.md": ['"hello":"Ada"', "it is dead: trying again would not help"],
    "first-cloud-run.md": ['"made":"cat.png@200"'],
}


def steps(page: Path) -> str:
    """The page as one script."""
    lines = ["set -eu"]
    for block in BLOCK.finditer(page.read_text()):
        language, _, name = block["info"].partition(" ")
        if (language, name) == ("sh", ""):
            lines.append(block["text"])
        elif language == "python" and name:
            lines.append(f"cat > {name} <<'END'\n{block['text']}END\n")
        else:
            assert block["info"] in ("sh cloud", "sh dev", "sh api", "json"), (
                f"{page}: what is {block['info']}?"
            )
    return "\n".join(lines)


def typed(script: str, dev: Dev, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run it; a function that does not come up would be waited for without end."""
    return subprocess.run(
        ["timeout", "60", "bash", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{BIN}:{BINARY.parent}:{os.environ['PATH']}",
            "POSTHASTE_DATA_DIR": str(dev.home),
        },
        capture_output=True,
        text=True,
        timeout=90,
    )


@pytest.mark.parametrize("name", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_a_tutorial_works_as_printed(name: str, dev: Dev, tmp_path: Path) -> None:
    """But for the port, and without the environment: the one that runs the tests has the same in it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    script, ports = re.subn(r"\b902[12]\b", str(port), steps(TUTORIALS / name))
    assert ports == 2, "the function listens, and its endpoint says where"
    script, environments = re.subn(r"^(python3 -m venv|pip install) .*$", "true", script, flags=re.MULTILINE)
    assert environments == 2, "the page makes an environment and installs into it"
    (tmp_path / "sdk-python").symlink_to(ROOT / "sdk-python")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "debug").symlink_to(BINARY.parent)
    done = typed(script, dev, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for result in RESULTS[name]:
        assert result in done.stdout, f"{result} is not in\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_a_tutorials_handler_has_at_most_fifteen_lines(name: str) -> None:
    files = [
        block["text"]
        for block in BLOCK.finditer((TUTORIALS / name).read_text())
        if block["info"].startswith("python ")
    ]
    assert files
    assert all(len(text.splitlines()) <= 15 for text in files)


def test_what_the_page_on_rotation_prints_rotates(tmp_path: Path) -> None:
    """On a `dev` of its own, and copies of its rings."""
    before = """
        cp "$POSTHASTE_DATA_DIR/secret.keys" "$POSTHASTE_DATA_DIR/token.keys" .
        export POSTHASTE_SECRET_KEYS="$PWD/secret.keys" POSTHASTE_TOKEN_KEYS="$PWD/token.keys"
        export POSTHASTE_GATEWAY_URL=https://callbacks.example.com
        export POSTHASTE_SIGNING_SECRET="$(posthaste endpoint put greeter --spec '{"url": "http://127.0.0.1:1/"}')"
        posthaste token inspect < token > good
    """
    with running() as dev:
        (tmp_path / "token").write_text(callback_token(dev))
        done = typed(f"set -eu\n{before}\n{steps(ROTATION)}", dev, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "ok    secret keys" in done.stdout
    assert "no token of the old key is accepted" in done.stdout
    assert "revoked_key" in done.stderr
    assert '"job_id"' in (tmp_path / "good").read_text()
    secret_ring, token_ring = ((tmp_path / name).read_text() for name in ("secret.keys", "token.keys"))
    assert re.fullmatch(r"2:[0-9a-f]{64}\n?", secret_ring)
    for name in ("secret.keys", "token.keys"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, f"others may read {name}"
    assert re.fullmatch(r"2:[0-9a-f]{64},1:revoked\n?", token_ring)


def callback_token(dev: Dev) -> str:
    """Take a token as a function gets it, and answer that it will call back."""
    tokens: Queue[str] = Queue()

    class Function(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            tokens.put(body["callback"]["token"])
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Function) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        spec = {"url": f"http://127.0.0.1:{server.server_port}/", "kinds": ["rotation"]}
        dev.posthaste("endpoint", "put", "waiter", "--spec", json.dumps(spec))
        dev.posthaste("enqueue", "rotation")
        token = tokens.get(timeout=30)
        server.shutdown()
    return token
