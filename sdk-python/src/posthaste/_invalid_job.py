"""A job that Posthaste refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One fault: the field's name on the wire, its code of docs/reference/problems.md, and words for us."""

    field: str
    code: str
    message: str

    def __str__(self) -> str:
        """Say it in one line that begins with the field."""
        return self.message if self.message.startswith(self.field) else f"{self.field}: {self.message}"


class InvalidJob(ValueError):  # noqa: N818
    """A job with faults was not enqueued; `errors` are all of them.

    Raised inside a transaction it leaves that as any error of Postgres does: failed, until you roll back to a
    savepoint or altogether.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """`errors` are at least one."""
        super().__init__("; ".join(map(str, errors)))
        self.errors = tuple(errors)


def parse_faults(text: str) -> InvalidJob:
    """Read the faults that SQL lists as JSON."""
    return InvalidJob(
        [FieldError(fault["field"], fault["code"], fault["message"]) for fault in json.loads(text)]
    )


def find_faults(error: BaseException | None) -> InvalidJob | None:
    """Find a refusal in a driver's error, or in the driver's error that SQLAlchemy or Django wraps."""
    while error is not None:
        # psycopg and asyncpg; psycopg2 under SQLAlchemy or Django
        if "PH422" in (getattr(error, "sqlstate", None), getattr(error, "pgcode", None)):
            text = getattr(error, "detail", None) or getattr(
                getattr(error, "diag", None), "message_detail", None
            )
            if text:
                return parse_faults(text)
        error = getattr(error, "orig", None) or error.__cause__
    return None
