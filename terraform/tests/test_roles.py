"""The step of the migration that makes login roles, on a real Postgres that takes TLS alone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import BINARY, TERRAFORM, run

PASSWORDS = {"GATEWAY_PASSWORD": "of the gateway", "DISPATCHER_PASSWORD": "of 'a' $dispatcher", "API_PASSWORD": "of-the-api"}
BINS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path(shutil.which("initdb") or "/none/initdb").parent]
BIN = next((path for path in BINS if (path / "initdb").exists()), None)
pytestmark = pytest.mark.skipif(
    not (BIN and shutil.which("psql") and shutil.which("openssl") and BINARY.exists()),
    reason=f"NOT CHECKED: roles.sh needs a PostgreSQL server with initdb, psql, openssl and {BINARY}",
)


@dataclass(frozen=True)
class Server:
    """A Postgres with a certificate, and the CA that made it."""

    home: Path
    port: int
    ca: str

    def environment(self, user: str, password: str, **more: str) -> dict[str, str]:
        """As a task gets it: the password apart, the CA as text."""
        url = f"postgres://{user}@localhost:{self.port}/posthaste?sslmode=verify-full"
        return {**os.environ, "POSTHASTE_DATABASE_URL": url, "PGPASSWORD": password, "PGSSLROOTCERT": self.ca, **more}

    def roles(self, **passwords: str) -> subprocess.CompletedProcess[str]:
        """Run the script as the container does: no terminal, no file of certificates."""
        where = {"PGHOST": "localhost", "PGPORT": str(self.port), "PGUSER": "posthaste_owner", "PGPASSWORD": "owner", "PGDATABASE": "posthaste", "PGSSLMODE": "verify-full", "DATABASE_CA": self.ca}
        environment = {"PATH": os.environ["PATH"], **where, **PASSWORDS, **passwords}
        script = (TERRAFORM / "modules" / "roles.sh").read_text()
        return run("sh", "-c", script, env=environment, stdin=subprocess.DEVNULL, start_new_session=True, expect=None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("pg")
    key = ("openssl", "req", "-newkey", "rsa:2048", "-nodes")
    run(*key, "-x509", "-keyout", home / "ca.key", "-out", home / "ca.pem", "-subj", "/CN=test", "-days", "2")
    run(*key, "-keyout", home / "server.key", "-out", home / "server.csr", "-subj", "/CN=localhost")
    (home / "names").write_text("subjectAltName=DNS:localhost\n")
    run("openssl", "x509", "-req", "-in", home / "server.csr", "-CA", home / "ca.pem", "-CAkey", home / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", home / "names", "-out", home / "server.crt")
    (home / "password").write_text("owner")
    port, started = 55432 + os.getpid() % 2000, None
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        for folder in (home, *home.parents[:3]):
            folder.chmod(0o755)
        for path in (home, *home.iterdir()):
            shutil.chown(path, user)
    try:
        run(BIN / "initdb", "-D", home / "data", "-U", "posthaste_owner", "--auth=scram-sha-256", f"--pwfile={home}/password", "--no-sync", user=user, cwd=home)
        hba = home / "data" / "pg_hba.conf"
        hba.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n")
        settings = {"ssl": "on", "ssl_cert_file": f"{home}/server.crt", "ssl_key_file": f"{home}/server.key", "port": port, "listen_addresses": "localhost", "unix_socket_directories": "", "log_statement": "all"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        (home / "server.key").chmod(0o600)
        log = (home / "log").open("w")
        started = subprocess.Popen([str(BIN / "postgres"), "-D", str(home / "data"), *map(str, options)], stderr=log, user=user, cwd=home)
        ready = {**os.environ, "PGPASSWORD": "owner", "PGSSLROOTCERT": str(home / "ca.pem"), "PGCONNECT_TIMEOUT": "5"}
        where = f"host=localhost port={port} user=posthaste_owner dbname=postgres sslmode=verify-full"
        for _ in range(300):
            if run("psql", where, "-c", "select 1", env=ready, expect=None).returncode == 0:
                break
            assert started.poll() is None, (home / "log").read_text()
        run("psql", where, "-c", "create database posthaste", env=ready)
        made = Server(home, port, (home / "ca.pem").read_text().strip())
        run(BINARY, "migrate", env=made.environment("posthaste_owner", "owner"))
        yield made
    finally:
        if started:
            started.send_signal(2)
            started.wait(30)


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
