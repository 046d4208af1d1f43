"""What Python values become in JSON."""

import enum
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pydantic
import pytest

from posthaste._json import NotStorable, dumps, parse_time


@dataclass(frozen=True)
class Line:
    sku: str
    price: Decimal


class Order(pydantic.BaseModel):
    number: uuid.UUID
    lines: list[Line]


class Colour(enum.Enum):
    RED = "red"


def test_dataclasses_models_and_the_standard_library_s_values_become_json() -> None:
    number = uuid.UUID(int=7)
    order = Order(number=number, lines=[Line("tea", Decimal("1.10"))])
    at = datetime(2026, 11, 21, 8, tzinfo=timezone.utc)
    number_and_lines = (
        '"number":"00000000-0000-0000-0000-000000000007","lines":[{"sku":"tea","price":"1.10"}]'
    )
    assert dumps(order) == f"{{{number_and_lines}}}"
    rest = '"at":"2026-11-21T08:00:00+00:00","day":"2026-11-21","colour":"red"'
    assert dumps({"at": at, "day": at.date(), "colour": Colour.RED}) == f"{{{rest}}}"
    assert dumps(MappingProxyType({"line": Line("é", Decimal(1))})) == '{"line":{"sku":"é","price":"1"}}'


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("nan"), "invalid_value"),
        ({"a": "\0"}, "nul_character"),
        ({"a\\\0": 1}, "nul_character"),
        (["\ud800"], "lone_surrogate"),
    ],
)
def test_what_postgres_cannot_store_is_told_before_it_is_sent(value: object, code: str) -> None:
    with pytest.raises(NotStorable) as caught:
        dumps(value)
    assert caught.value.code == code


def test_a_backslash_before_u0000_is_text() -> None:
    assert dumps("\\u0000") == '"\\\\u0000"'


def test_a_type_without_a_form_is_named() -> None:
    with pytest.raises(TypeError, match="set has no form in JSON"):
        dumps({1, 2})


@pytest.mark.parametrize("fraction", ["", ".5", ".012", ".012345", ".0123456"])
def test_every_time_the_server_writes_is_read(fraction: str) -> None:
    read = parse_time(f"2026-11-21T08:00:00{fraction}Z")
    assert read.utcoffset() == timedelta(0)
    assert read.date() == date(2026, 11, 21)
    assert read.microsecond == int(fraction[1:7].ljust(6, "0") or 0)
