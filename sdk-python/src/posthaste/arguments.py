"""Arguments: how the args of a job become what a handler's annotation says.

Known are dataclasses, TypedDicts and pydantic models, and in them what JSON has, lists, tuples, sets, dicts,
unions, literals, enums, `datetime`, `date`, `time`, `UUID` and `Decimal`. Members that a dataclass does not
have are left out: a producer may be newer than its function.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

from . import _json
from .errors import FieldError

Faults = list[FieldError]
Reader = Callable[[Any, str, Faults], Any]
"""Reads a value that stands at a path; what is wrong goes to the faults, and the value is then of no use."""


class InvalidArgs(ValueError):  # noqa: N818
    """The args of a job are not what its handler takes; `errors` names each field."""

    def __init__(self, errors: Faults) -> None:
        """At least one."""
        super().__init__("; ".join(f"{error.field} {error.message}" for error in errors))
        self.errors = errors


def compiled(annotation: Any) -> Callable[[Any], Any]:
    """Make what reads args as `annotation`. Raises `TypeError` for an annotation that it cannot read.

    What it makes raises `InvalidArgs`.
    """
    reader = _Compiler().reader(annotation)

    def read(value: Any) -> Any:
        faults: Faults = []
        result = reader(value, "args", faults)
        if faults:
            raise InvalidArgs(faults)
        return result

    return read


def hints(annotated: Any, *, marks: bool = False) -> dict[str, Any]:
    """Read the annotations of a class or a function, without marks such as `NotRequired` unless wanted.

    Raises `TypeError` for unknown names.
    """
    try:
        return typing.get_type_hints(annotated, include_extras=marks)
    except NameError as error:
        name = annotated.__qualname__
        raise TypeError(f"the annotations of {name} cannot be read here: {error}") from error


class _Compiler:
    """Makes readers; types that hold themselves are made once."""

    def __init__(self) -> None:
        self._made: dict[Any, list[Reader]] = {}

    def reader(self, annotation: Any) -> Reader:
        if annotation in (Any, object):
            return lambda value, _path, _faults: value
        if annotation in _PLAIN:
            return _PLAIN[annotation]
        if supertype := getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None):
            return self.reader(supertype)
        if get_origin(annotation) is not None:
            return self._generic(annotation, get_origin(annotation), get_args(annotation))
        if isinstance(annotation, type):
            return self._class(annotation)
        raise TypeError(f"args cannot be read as {annotation!r}")

    def _generic(self, annotation: Any, origin: Any, inner: tuple[Any, ...]) -> Reader:
        if origin is typing.Annotated or getattr(origin, "_name", "") in _MARKS:
            return self.reader(inner[0])
        if origin is Literal:
            return _literal(inner)
        if origin in (Union, types.UnionType):
            some = [self.reader(one) for one in inner if one is not type(None)]
            return _union(some, annotation, type(None) in inner)
        if origin is tuple and Ellipsis not in inner:
            return _fixed([self.reader(one) for one in inner])
        if origin in _COLLECTIONS:
            return _many(_COLLECTIONS[origin], self.reader(inner[0]))
        if origin in (dict, Mapping, MutableMapping) and inner[0] is str:
            return _dict(self.reader(inner[1]))
        raise TypeError(f"args cannot be read as {annotation!r}")

    def _class(self, annotation: type) -> Reader:
        if hasattr(annotation, "model_validate"):
            return _model(annotation)
        if issubclass(annotation, Enum):
            return _enum(annotation)
        if annotation not in self._made:
            made = self._made.setdefault(annotation, [])
            if typing.is_typeddict(annotation):
                made.append(self._typed_dict(annotation))
            elif is_dataclass(annotation):
                made.append(self._dataclass(annotation))
            else:
                name = annotation.__qualname__
                raise TypeError(f"args cannot be read as {name}: make it a dataclass, a TypedDict or a model")
        made = self._made[annotation]
        return made[0] if made else lambda value, path, faults: made[0](value, path, faults)

    def _dataclass(self, kind: Any) -> Reader:
        known = hints(kind)
        taken = [one for one in fields(kind) if one.init]
        readers = {one.name: self.reader(known[one.name]) for one in taken}
        required = {one.name for one in taken if one.default is MISSING and one.default_factory is MISSING}

        def read(value: Any, path: str, faults: Faults) -> Any:
            before = len(faults)
            members = _members(value, path, readers, required, faults)
            if len(faults) > before:
                return None
            try:
                return kind(**{name: members[name] for name in readers if name in members})
            except ValueError as error:  # what __post_init__ checks
                return _fault(faults, path, "invalid_value", str(error))

        return read

    def _typed_dict(self, kind: Any) -> Reader:
        known = hints(kind, marks=True)
        readers = {name: self.reader(hint) for name, hint in known.items()}
        # Python itself does not see the marks in annotations that are text, as `from __future__` makes them.
        required = {
            name for name, hint in known.items() if _is_required(hint, name in kind.__required_keys__)
        }
        return lambda value, path, faults: _members(value, path, readers, required, faults)


def _is_required(hint: Any, unless_said: bool) -> bool:
    """Read the marks around a member's annotation."""
    while get_origin(hint) is not None:
        mark = getattr(get_origin(hint), "_name", "")
        if mark in ("Required", "NotRequired"):
            return bool(mark == "Required")
        if get_origin(hint) is not typing.Annotated and mark not in _MARKS:
            break
        hint = get_args(hint)[0]
    return unless_said


def _fault(faults: Faults, path: str, code: str, message: str) -> None:
    faults.append(FieldError(path, code, message))


def _wrong_type(faults: Faults, path: str, wanted: str, value: object) -> None:
    _fault(faults, path, "wrong_type", f"must be {wanted}, not {_word(value)}")


def _word(value: object) -> str:
    words = {type(None): "null", bool: "a boolean", str: "text", list: "a list", dict: "an object"}
    return words.get(type(value), "a number")


def _members(
    value: Any, path: str, readers: Mapping[str, Reader], required: set[str], faults: Faults
) -> dict[str, Any]:
    if not isinstance(value, dict):
        _wrong_type(faults, path, "an object", value)
        return {}
    for name in sorted(required - value.keys()):
        _fault(faults, f"{path}.{name}", "required", "is required")
    return {
        name: readers[name](one, f"{path}.{name}", faults) if name in readers else one
        for name, one in value.items()
    }


def _exactly(kinds: tuple[type, ...], wanted: str, make: Callable[[Any], Any] | None = None) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        if type(value) not in kinds:
            return _wrong_type(faults, path, wanted, value)
        return make(value) if make else value

    return read


def _parsed(make: Callable[[str], Any], wanted: str) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        if not isinstance(value, str):
            return _wrong_type(faults, path, wanted, value)
        try:
            return make(value)
        except (ValueError, InvalidOperation):
            return _fault(faults, path, "wrong_format", f"must be {wanted}")

    return read


def _decimal(value: Any, path: str, faults: Faults) -> Any:
    """Read a text, or a number as its digits stand."""
    if type(value) in (int, float):
        value = str(value)
    return _parsed(Decimal, "a decimal number, as text")(value, path, faults)


def _literal(choices: tuple[Any, ...]) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return choice
        said = ", ".join(str(choice) for choice in choices)
        return _fault(faults, path, "unknown_word", f"must be one of {said}")

    return read


def _enum(kind: type[Enum]) -> Reader:
    literal = _literal(tuple(member.value for member in kind))

    def read(value: Any, path: str, faults: Faults) -> Any:
        before = len(faults)
        choice = literal(value, path, faults)
        return kind(choice) if len(faults) == before else None

    return read


def _union(readers: list[Reader], annotation: Any, optional: bool) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        if value is None and optional:
            return None
        mine: Faults = []
        for reader in readers:
            mine = []
            result = reader(value, path, mine)
            if not mine:
                return result
        if len(readers) == 1:
            faults.extend(mine)
        else:
            _fault(faults, path, "wrong_type", f"fits none of {annotation}")
        return None

    return read


def _many(make: Callable[[list[Any]], Any], reader: Reader) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        if not isinstance(value, list):
            return _wrong_type(faults, path, "a list", value)
        return make([reader(one, f"{path}[{index}]", faults) for index, one in enumerate(value)])

    return read


def _fixed(readers: Sequence[Reader]) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            return _fault(faults, path, "wrong_type", f"must be a list of {len(readers)}")
        both = enumerate(zip(readers, value, strict=True))
        return tuple(reader(one, f"{path}[{index}]", faults) for index, (reader, one) in both)

    return read


def _dict(reader: Reader) -> Reader:
    def read(value: Any, path: str, faults: Faults) -> Any:
        if not isinstance(value, dict):
            return _wrong_type(faults, path, "an object", value)
        return {name: reader(one, f"{path}.{name}", faults) for name, one in value.items()}

    return read


def _model(kind: Any) -> Reader:
    """Read by pydantic, which says itself what is wrong."""

    def read(value: Any, path: str, faults: Faults) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as error:
            said: Any = getattr(error, "errors", None)
            for one in said(include_url=False) if callable(said) else [{"msg": str(error)}]:
                where = ".".join([path, *(str(part) for part in one.get("loc", ()))])
                _fault(faults, where, one.get("type", "invalid_value"), one["msg"])
            return None

    return read


_PLAIN: Mapping[Any, Reader] = {
    str: _exactly((str,), "text"),
    int: _exactly((int,), "a whole number"),
    float: _exactly((float, int), "a number", float),
    bool: _exactly((bool,), "a boolean"),
    None: _exactly((type(None),), "null"),
    type(None): _exactly((type(None),), "null"),
    list: _exactly((list,), "a list"),
    dict: _exactly((dict,), "an object"),
    datetime: _parsed(_json.parse_time, "a time, such as 2026-11-21T08:00:00Z"),
    date: _parsed(date.fromisoformat, "a date, such as 2026-11-21"),
    time: _parsed(time.fromisoformat, "a time of day, such as 08:00:00"),
    UUID: _parsed(UUID, "a UUID"),
    Decimal: _decimal,
}
_MARKS = ("Required", "NotRequired", "ReadOnly")
_COLLECTIONS: Mapping[Any, Callable[[list[Any]], Any]] = {
    list: list,
    Sequence: list,
    set: set,
    frozenset: frozenset,
    tuple: tuple,
}
