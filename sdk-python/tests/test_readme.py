"""The README, typed as printed: every `sh` block, in order, in one shell; every block of Python runs.

`sh dev` is what the fixture is; those marked `callbacks` run in cli/tests/it/callbacks.rs.
"""

import contextlib
import re
from pathlib import Path

import psycopg
import pytest
from conftest import BINARY, ROOT, Dev
from serving import free_port, listens
from test_tutorials import typed

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(?P<info>[a-z]+[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(block["info"], block["text"]) for block in BLOCK.finditer(README)]


def steps(dev: Dev) -> str:
    """The shell's part as one script."""
    lines = ["set -eu"]
    for info, text in BLOCKS:
        language, _, name = info.partition(" ")
        if info == "sh":
            lines.append(text)
        elif language == "python" and name.endswith(".py"):
            lines.append(f"cat > {name} <<'END'\n{text}END\n")
        else:
            assert info in ("text", "rust", "python", "python callbacks", "sh dev", "sh callbacks"), info
    script = "\n".join(lines).replace("<the URL that make run printed>", dev.database_url)
    return script.replace("http://127.0.0.1:8710", dev.api_url).replace("9010", str(free_port()))


def test_the_readme_works_as_printed(dev: Dev, tmp_path: Path) -> None:
    """Without its environment: the one that runs the tests has the same in it.

    The port in Rust cannot be another one, as the program is that of the page.
    """
    assert not listens(9000), "port 9000 is taken: end what listens there, or the README's jobs go to it"
    script, environments = re.subn(
        r"^(python3 -m venv|pip install) .*$", "true", steps(dev), flags=re.MULTILINE
    )
    assert environments == 2, "the page makes an environment and installs into it"
    script, programs = re.subn(
        r"^cargo run .* --example axum &$", f"{BINARY.parent}/examples/axum &", script, flags=re.M
    )
    assert programs == 1, "the page runs the example in Rust"
    done = typed(script, dev, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for result in ("Hello, cli!", '"welcome":"Ada"', "Hello Ada, attempt 1"):
        assert result in done.stdout, f"{result} is not in\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("info", ["python welcomer.py", "rust"])
def test_a_handler_of_the_readme_has_at_most_fifteen_lines(info: str) -> None:
    (handler,) = [text for other, text in BLOCKS if other == info]
    assert len(handler.splitlines()) <= 15


def test_the_order_of_the_readme_and_its_job_commit_or_roll_back_together(dev: Dev) -> None:
    (page,) = [text for info, text in BLOCKS if info == "python"]
    names: dict[str, object] = {}
    exec(page, names)
    place_order = names["place_order"]
    assert callable(place_order)
    with psycopg.connect(dev.database_url, autocommit=True) as connection:
        connection.execute(
            "create temporary table orders (id bigserial, email text, cents bigint check (cents > 0))"
        )

        place_order(connection, "ada@example.com", 300)
        for cents in (300, 0):
            with contextlib.suppress(psycopg.errors.CheckViolation, RuntimeError), connection.transaction():
                place_order(connection, "bob@example.com", cents)
                raise RuntimeError("somebody changes his mind")

        kept = connection.execute("select email from orders").fetchall()
        jobs = connection.execute(
            "select args ->> 'name' from posthaste.jobs where args ->> 'name' like '%@example.com'"
            " and kind = 'welcome'"
        ).fetchall()
        assert (kept, jobs) == ([("ada@example.com",)], [("ada@example.com",)])
