"""The health check of the image and of the tasks, which is bash alone, against the real binary."""

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BINARY, MODULES, ROOT, run
from postgres import PASSWORDS, Server, needed, server

__all__ = ["server"]
CHECK = re.search(r"^    CMD (\[.*\])$", (ROOT / "Containerfile").read_text(), re.M)
SETTINGS = {"POSTHASTE_TOKEN_KEYS": "1:" + "ab" * 32, "POSTHASTE_SECRET_KEYS": "1:" + "cd" * 32, "POSTHASTE_API_KEY": "ef" * 32, "POSTHASTE_GATEWAY_URL": "https://callbacks.example.com"}
USERS = {"gateway": "ph_gateway", "dispatcher": "ph_dispatcher", "serve": "ph_api"}


def alive(port: int) -> bool:
    """What the container's runtime does every ten seconds, at another port."""
    assert CHECK
    command = [part.replace("8710", str(port)) for part in json.loads(CHECK[1])]
    assert str(port) in command[-1]
    return run(*command, expect=None, timeout=5).returncode == 0


def becomes(state: bool, port: int) -> bool:
    deadline = time.monotonic() + 30
    while alive(port) != state:
        if time.monotonic() > deadline:
            return False
    return True


def free_port() -> int:
    # Another process may take it in between: the only risk is a test that fails and says so.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_ecs_asks_as_the_image_does() -> None:
    assert CHECK and CHECK[1].replace("8710", "${local.api_port}").removeprefix("[") in (MODULES["aws"] / "tasks.tf").read_text()


@needed
@pytest.mark.parametrize("role", USERS)
def test_a_process_is_alive_until_it_hangs_or_ends(role: str, server: Server, tmp_path: Path) -> None:
    assert server.roles().returncode == 0
    password = PASSWORDS[{"serve": "API"}.get(role, role.upper()) + "_PASSWORD"]
    port = free_port()
    listen = {"POSTHASTE_API_LISTEN": f"0.0.0.0:{port}", "POSTHASTE_GATEWAY_LISTEN": f"127.0.0.1:{free_port()}"}
    with (tmp_path / "log").open("w") as log:
        assert not alive(port)
        process = subprocess.Popen([BINARY, role], env=server.environment(USERS[role], password, **SETTINGS, **listen), stdout=log, stderr=log, cwd=tmp_path)
        try:
            assert becomes(True, port), (tmp_path / "log").read_text()
            process.send_signal(signal.SIGSTOP)  # hangs: the port still takes connections
            assert becomes(False, port)
            process.send_signal(signal.SIGCONT)
            assert becomes(True, port)
        finally:
            process.kill()
            process.wait()
    assert not alive(port)
