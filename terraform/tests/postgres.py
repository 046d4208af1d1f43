"""A real Postgres that takes TLS alone, with the schema in it."""

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
needed = pytest.mark.skipif(
    not (BIN and shutil.which("psql") and shutil.which("openssl") and BINARY.exists()),
    reason=f"NOT CHECKED: this needs a PostgreSQL server with initdb, psql, openssl and {BINARY}",
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
