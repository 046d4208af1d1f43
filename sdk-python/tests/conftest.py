"""A whole Posthaste for the tests: `posthaste dev` with a Postgres of its own, on ports of its own."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINARY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "posthaste"


@dataclass(frozen=True)
class Dev:
    """A running `posthaste dev`."""

    home: Path
    api_url: str
    gateway_url: str
    database_url: str

    def posthaste(self, *arguments: str) -> str:
        """Run a command against it; its standard output."""
        command = [BINARY, *arguments, "--data-dir", str(self.home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def dev() -> Iterator[Dev]:
    """One Posthaste for all tests; kinds and endpoints of tests have names of their own."""
    with running() as dev:
        yield dev


@contextmanager
def running(**environment: str) -> Iterator[Dev]:
    """A Posthaste with more in its environment, for as long as the block."""
    assert BINARY.exists(), f"{BINARY} is missing: cargo build --bin posthaste"
    folder = tempfile.TemporaryDirectory(prefix="posthaste-", ignore_cleanup_errors=True)
    home = Path(folder.name)
    home.chmod(0o755)  # the private Postgres does not run as root
    listen = {"POSTHASTE_API_LISTEN": "127.0.0.1:0", "POSTHASTE_GATEWAY_LISTEN": "127.0.0.1:0"}
    command = [BINARY, "dev", "--no-samples", "--plain", "--data-dir", home]
    log = home / "stderr"  # a file: a pipe that nobody reads fills up, and the server would wait for us
    with log.open("w") as stderr:
        process = subprocess.Popen(command, env=os.environ | listen | environment, stderr=stderr)
    try:
        yield _running(home, process, log)
    finally:
        process.terminate()
        process.wait(timeout=30)
        folder.cleanup()


def _running(home: Path, process: "subprocess.Popen[bytes]", log: Path) -> Dev:
    deadline = time.monotonic() + 60
    while not (home / "dev.json").exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"posthaste dev did not start\n{log.read_text()}"
        time.sleep(0.05)
    note = json.loads((home / "dev.json").read_text())
    return Dev(home, note["api_url"], note["gateway_url"], note["database_url"])
