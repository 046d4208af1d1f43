"""A look into the database from outside the tests' transactions: what has been committed."""

from dataclasses import dataclass
from typing import Any

import psycopg
from conftest import Dev
from psycopg.rows import dict_row


@dataclass(frozen=True)
class Ledger:
    """Reads over a connection of its own for each question."""

    dev: Dev

    def job(self, job_id: int) -> dict[str, Any] | None:
        """A job, or `None`; `args_text` is its args as stored."""
        rows = self._rows("select *, args::text as args_text from posthaste.jobs where id = %s", job_id)
        return rows[0] if rows else None

    def count(self, kind: str) -> int:
        """How many jobs of a kind there are."""
        return len(self._rows("select id from posthaste.jobs where kind = %s", kind))

    def _rows(self, query: Any, value: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.dev.database_url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(query, [value]).fetchall()

    def trace(self, job_id: int) -> str:
        """The traceparent of a job; empty without one."""
        rows = self._rows("select coalesce(trace, '') as trace from posthaste.job where job_id = %s", job_id)
        trace: str = rows[0]["trace"]
        return trace
