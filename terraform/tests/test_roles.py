"""The step of the migration that makes login roles, on a real Postgres that takes TLS alone."""

import os

from conftest import BINARY, run
from postgres import PASSWORDS, Server, needed, server

__all__ = ["server"]
pytestmark = needed


def test_each_role_logs_in_with_its_password_and_may_do_its_work(server: Server) -> None:
    done = server.roles()
    assert done.returncode == 0, done.stderr
    for user, password in (("ph_dispatcher", "of 'a' $dispatcher"), ("ph_api", "of-the-api")):
        run(BINARY, "job", "list", env=server.environment(user, password))
    refused = run(BINARY, "job", "list", env=server.environment("ph_gateway", "of the gateway"), expect=1)
    assert "permission denied" in refused.stderr
    refused = run(BINARY, "endpoint", "delete", "x", env=server.environment("ph_dispatcher", "of 'a' $dispatcher"), expect=1)
    assert "permission denied" in refused.stderr


def test_run_again_it_gives_the_passwords_that_the_secrets_hold_now(server: Server) -> None:
    assert server.roles().returncode == 0
    assert server.roles(API_PASSWORD="another").returncode == 0
    run(BINARY, "job", "list", env=server.environment("ph_api", "another"))
    assert "28P01" in run(BINARY, "job", "list", env=server.environment("ph_api", "of-the-api"), expect=1).stderr


def test_no_password_is_in_the_servers_log_nor_in_what_it_says(server: Server) -> None:
    done = server.roles()
    everything = (server.home / "log").read_text() + done.stdout + done.stderr
    assert "ALTER USER ph_gateway PASSWORD 'SCRAM-SHA-256$" in everything
    assert not [password for password in PASSWORDS.values() if password in everything]


def test_an_empty_secret_is_refused(server: Server) -> None:
    done = server.roles(GATEWAY_PASSWORD="")
    assert done.returncode == 1 and "the password of ph_gateway is empty" in done.stderr


def test_a_server_of_another_ca_is_not_spoken_to(server: Server) -> None:
    server.roles()
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-x509", "-keyout", os.devnull, "-out", server.home / "other.pem", "-subj", "/CN=other")
    other = (server.home / "other.pem").read_text().strip()
    refused = run(BINARY, "job", "list", env=server.environment("ph_api", "of-the-api", PGSSLROOTCERT=other), expect=1)
    assert "UnknownIssuer" in refused.stderr or "certificate" in refused.stderr, refused.stderr
