"""What type a column of JSON values has as a whole, for files whose columns are typed. Pure; knows no library of types.

Values that differ only by null share a type; whole numbers and fractions share one as long as none is rounded by it. What
has no common type is "mixed" and is written as text: a string as it is, everything else as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Simple = Literal["null", "bool", "int", "long", "float", "text", "mixed"]
EXACT = 2**53  # whole numbers beyond it are rounded as fractions


@dataclass(frozen=True, slots=True)
class ListOf:
    of: Kind


@dataclass(frozen=True, slots=True)
class Fields:
    """An object; every value of the column has exactly these keys."""

    of: tuple[tuple[str, Kind], ...]


Kind = Simple | ListOf | Fields


def kind_of(value: Any) -> Kind:
    """The type of one value. An object without keys has none that a file could hold."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) <= EXACT else "long" if -(2**63) <= value < 2**63 else "mixed"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        inner = common(kind_of(one) for one in value)
        return "mixed" if inner == "mixed" else ListOf(inner)
    return _fields(value) if isinstance(value, dict) and value else "mixed"


def common(kinds: Iterable[Kind]) -> Kind:
    """The type that holds all of them; "null" for none at all."""
    found: Kind = "null"
    for kind in kinds:
        found = together(found, kind)
        if found == "mixed":
            break
    return found


def together(one: Kind, other: Kind) -> Kind:
    """The type that holds both, or "mixed"."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        inner = together(one.of, other.of)
        return "mixed" if inner == "mixed" else ListOf(inner)
    if isinstance(one, Fields) and isinstance(other, Fields):
        return _both(one, other)
    numbers = {one, other} if isinstance(one, str) and isinstance(other, str) else set()
    if numbers == {"int", "long"}:
        return "long"
    return "float" if numbers == {"int", "float"} else "mixed"


def as_text(value: Any) -> str | None:
    """A value of a mixed column."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _fields(value: dict[str, Any]) -> Kind:
    kinds = tuple((name, kind_of(inner)) for name, inner in sorted(value.items()))
    return "mixed" if any(kind == "mixed" for _, kind in kinds) else Fields(kinds)


def _both(one: Fields, other: Fields) -> Kind:
    if [name for name, _ in one.of] != [name for name, _ in other.of]:
        return "mixed"
    kinds = tuple(
        (name, together(kind, also)) for (name, kind), (_, also) in zip(one.of, other.of, strict=True)
    )
    return "mixed" if any(kind == "mixed" for _, kind in kinds) else Fields(kinds)
