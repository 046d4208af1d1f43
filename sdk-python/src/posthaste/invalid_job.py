"""A job that Posthaste refused."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .errors import FieldError, PosthasteError


class InvalidJob(PosthasteError, ValueError):  # noqa: N818
    """A job with faults was not enqueued; `errors` are all of them.

    Raised inside a transaction, it leaves that as any error of Postgres does: failed, until you roll back, to
    a savepoint or altogether.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """`errors` are at least one."""
        super().__init__("; ".join(map(_line, errors)))
        self.errors = tuple(errors)


def parse_faults(text: str) -> InvalidJob:
    """Read the faults that SQL lists as JSON."""
    faults = json.loads(text)
    return InvalidJob([FieldError(fault["field"], fault["code"], fault["message"]) for fault in faults])


def _line(error: FieldError) -> str:
    # SQL begins its messages with the field, REST does not.
    return error.message if error.message.startswith(error.field) else f"{error.field}: {error.message}"
