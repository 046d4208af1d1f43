"""The how-to of producers: its code runs as printed, from top to bottom."""

import ast
import asyncio
import inspect
import re

import psycopg
import pytest
from conftest import ROOT, Dev

from producer.ledger import Ledger

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
