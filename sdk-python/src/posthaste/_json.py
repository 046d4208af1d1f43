"""JSON as Posthaste takes it: what Python values become, and how times are read.

Both ways a value leaves the SDK, args of a producer and results of a handler, go through `dumps`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_FRACTION = re.compile(r"\.(\d+)")


class NotStorable(ValueError):  # noqa: N818
    """A value that JSON or Postgres has no place for; `code` is that of the server's field errors."""

    def __init__(self, code: str, message: str) -> None:
        """`message` is a sentence's end: it follows the name of a field."""
        super().__init__(message)
        self.code = code


def dumps(value: object) -> str:
    """Write a value as JSON text, without spaces, not escaped to ASCII.

    Beside what JSON has: dataclasses, pydantic models and mappings become objects, enums their values;
    `datetime`, `date` and `time` ISO 8601 text, `UUID` and `Decimal` text.

    Raises `TypeError` for any other type, and `NotStorable` for NaN, infinities, loops, the character NUL and
    half a surrogate pair.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except ValueError as error:
        raise NotStorable("invalid_value", f"cannot be written as JSON: {error}") from error
    if "\\u0000" in text and _NUL.search(text):
        raise NotStorable("nul_character", "holds the character \\u0000, which Postgres cannot store")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotStorable("lone_surrogate", "holds half a surrogate pair, which is no text") from error
    return text


def parse_time(text: str) -> datetime:
    """Read a time in RFC 3339, as Posthaste writes it."""
    # Python 3.10 reads neither `Z` nor fractions of other than 3 or 6 digits.
    text = _FRACTION.sub(lambda digits: "." + digits[1][:6].ljust(6, "0"), text)
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _plain(value: Any) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if callable(model_dump := getattr(type(value), "model_dump", None)):
        return model_dump(value, mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(
        f"{type(value).__qualname__} has no form in JSON: make it a dataclass, a model, a dict or text"
    )
