"""Args become what the handler's annotation says, or each fault is named."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, Optional, TypedDict
from uuid import UUID

import pydantic
import pytest
from typing_extensions import NotRequired, Required

from posthaste.arguments import InvalidArgs, compiled

OrderId = NewType("OrderId", int)


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class Order:
    id: OrderId
    lines: list[Line]
    at: datetime
    size: Size = Size.SMALL
    note: str | None = None
    total: Decimal = Decimal(0)
    labels: dict[str, str] = field(default_factory=dict)
    mode: Literal["fast", "slow"] = "slow"
    place: tuple[float, float] | None = None
    parent: Optional[Order] = None  # noqa: UP045, as users write it

    def __post_init__(self) -> None:
        if len(self.lines) > 2:
            raise ValueError("must have at most 2 lines")


class Patch(TypedDict, total=False):
    name: str
    lines: list[Line]


class Address(TypedDict):
    street: str
    floor: NotRequired[int]
    note: Annotated[NotRequired[str], "for the driver"]


class Delivery(Address, total=False):
    sku: Required[str]
    parts: list[NotRequiredInside]


class NotRequiredInside(TypedDict, total=False):
    id: Required[int]
    count: int


class Model(pydantic.BaseModel):
    name: str
    count: int = 1


FULL = {
    "id": 7,
    "lines": [{"sku": "a"}, {"sku": "b", "count": 2}],
    "at": "2026-11-21T08:00:00.5Z",
    "size": "l",
    "note": None,
    "total": "1.50",
    "labels": {"a": "b"},
    "mode": "fast",
    "place": [1, 2.5],
    "parent": {"id": 1, "lines": [], "at": "2026-11-21T08:00:00+01:00"},
    "unknown": "of a newer producer",
}


def test_a_dataclass_is_made_of_all_that_its_annotations_say() -> None:
    order = compiled(Order)(FULL)
    assert order.lines == [Line("a"), Line("b", 2)]
    assert order.at == datetime(2026, 11, 21, 8, 0, 0, 500_000, timezone.utc)
    assert (order.size, order.total, order.labels, order.mode) == (
        Size.LARGE,
        Decimal("1.50"),
        {"a": "b"},
        "fast",
    )
    assert order.place == (1.0, 2.5)
    assert order.parent.id == 1


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"id": "7"}, "args.id", "must be a whole number, not text"),
        ({"id": 7.5}, "args.id", "must be a whole number, not a number"),
        ({"id": True}, "args.id", "must be a whole number, not a boolean"),
        ({"lines": {}}, "args.lines", "must be a list, not an object"),
        ({"lines": [{"sku": "a"}, {}]}, "args.lines[1].sku", "is required"),
        ({"lines": [{"sku": None}]}, "args.lines[0].sku", "must be text, not null"),
        ({"lines": [{"sku": "a"}] * 3}, "args", "must have at most 2 lines"),
        ({"at": "noon"}, "args.at", "must be a time, such as 2026-11-21T08:00:00Z"),
        ({"size": "xl"}, "args.size", "must be one of s, l"),
        ({"note": 1}, "args.note", "must be text, not a number"),
        ({"total": "much"}, "args.total", "must be a decimal number, as text"),
        ({"labels": {"a": 1}}, "args.labels.a", "must be text, not a number"),
        ({"mode": "quick"}, "args.mode", "must be one of fast, slow"),
        ({"place": [1]}, "args.place", "must be a list of 2"),
        ({"parent": {"id": 1}}, "args.parent.at", "is required"),
    ],
)
def test_a_wrong_shape_is_named_by_its_field(change: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidArgs) as error:
        compiled(Order)({**FULL, **change})
    assert (error.value.errors[0].field, error.value.errors[0].message) == (field, message)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InvalidArgs) as error:
        compiled(Order)({"id": "x", "size": "xl"})
    assert [one.field for one in error.value.errors] == ["args.at", "args.lines", "args.id", "args.size"]


def test_a_typed_dict_stays_a_dict_and_keeps_what_it_does_not_know() -> None:
    patch = compiled(Patch)({"lines": [{"sku": "a"}], "more": 1})
    assert patch == {"lines": [Line("a")], "more": 1}
    with pytest.raises(InvalidArgs, match=r"args\.name must be text"):
        compiled(Patch)({"name": 1})


@pytest.mark.parametrize(
    ("kind", "given", "missing"),
    [
        (Address, {}, ["args.street"]),
        (Delivery, {"parts": [{}]}, ["args.sku", "args.street", "args.parts[0].id"]),
    ],
)
def test_members_of_a_typed_dict_are_required_as_they_are_marked(
    kind: Any, given: dict[str, Any], missing: list[str]
) -> None:
    """In a module whose annotations are text: Python's own `__required_keys__` is then wrong."""
    assert compiled(Address)({"street": "Main"}) == {"street": "Main"}
    with pytest.raises(InvalidArgs) as error:
        compiled(kind)(given)
    assert [one.field for one in error.value.errors] == missing


def test_a_pydantic_model_says_itself_what_is_wrong() -> None:
    assert compiled(Model)({"name": "a"}) == Model(name="a")
    with pytest.raises(InvalidArgs) as error:
        compiled(Model)({"count": "many"})
    assert [one.field for one in error.value.errors] == ["args.name", "args.count"]


def test_a_pydantic_model_may_be_inside_a_dataclass() -> None:
    reader = compiled(list[Model])
    assert reader([{"name": "a"}]) == [Model(name="a")]
    with pytest.raises(InvalidArgs, match=r"args\[0\]\.name"):
        reader([{}])


@pytest.mark.parametrize(
    ("annotation", "given", "made"),
    [
        (Any, {"a": 1}, {"a": 1}),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, Any], {"a": 1}, {"a": 1}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (Sequence[int], [1], [1]),
        (set[str], ["a", "a"], {"a"}),
        (tuple[int, ...], [1, 2], (1, 2)),
        (int | str, "a", "a"),
        (Annotated[int, "of pages"], 1, 1),
        (float, 1, 1.0),
        (date, "2026-11-21", date(2026, 11, 21)),
        (time, "08:00:00", time(8)),
        (UUID, "00000000-0000-0000-0000-000000000007", UUID(int=7)),
        (None, None, None),
    ],
    ids=str,
)
def test_what_else_args_may_be(annotation: Any, given: Any, made: Any) -> None:
    assert compiled(annotation)(given) == made


@pytest.mark.parametrize("annotation", [object(), bytes, dict[int, str], type, list[bytes]], ids=str)
def test_an_annotation_that_cannot_be_read_is_refused_when_it_is_registered(annotation: Any) -> None:
    with pytest.raises(TypeError, match="args cannot be read as"):
        compiled(annotation)
