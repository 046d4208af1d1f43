"""The how-to of producers: its code runs as printed, from top to bottom."""

import ast
import asyncio
import inspect
import re
import sys
from types import ModuleType

import psycopg
import pytest
from conftest import ROOT, Dev

from producer.ledger import Ledger

README = ROOT / "sdk-python" / "README.md"
PAGE = ROOT / "docs" / "how-to" / "enqueue-python.md"


def test_every_block_of_the_how_to_runs_as_printed(
    dev: Dev, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", dev.database_url)
    monkeypatch.setenv("POSTHASTE_URL", dev.api_url)
    with psycopg.connect(dev.database_url) as connection:
        connection.execute("create table if not exists orders (id bigserial, email text, cents bigint)")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    before, names = ledger.count("order.email"), {"__name__": "how_to"}
    for block in blocks:
        code = compile(block, PAGE, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if inspect.iscoroutine(running := eval(code, names)):
            asyncio.run(running)
    assert ledger.count("order.email") - before == 1 + 1 + 1000 + 1 + 1
    said = capsys.readouterr().out
    assert "[('priority', 'out_of_range')]" in said
    assert said.endswith("cancelled\n")


def test_the_readme_s_order_commits_with_its_job(dev: Dev, ledger: Ledger) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    place = next(block for block in blocks if "def place_order" in block)
    page = ModuleType("readme")
    sys.modules[page.__name__] = page
    exec(blocks[0] + place, page.__dict__)
    with psycopg.connect(dev.database_url) as connection:
        connection.execute("create table if not exists orders (id bigserial, email text, cents bigint)")
        connection.execute("alter table orders alter cents drop not null")
        job_id = page.place_order(connection, "ada@example.com")
        assert ledger.job(job_id) is None
    job = ledger.job(job_id)
    assert job is not None
    assert job["args"]["email"] == "ada@example.com"
