"""Records to JSON and back. Unknown fields are ignored and missing ones take their defaults, so old records stay readable."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from storage.errors import Corrupt

T = TypeVar("T")


def to_json(record: Any) -> Any:
    """A record as plain dicts, lists, strings and numbers."""
    return msgspec.to_builtins(record)


def from_json(kind: type[T], value: Any) -> T:
    """The reverse of `to_json`. Raises `Corrupt`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Corrupt(f"{kind.__name__}: {error}") from error


def dumps(record: Any) -> bytes:
    return msgspec.json.encode(record)


def loads(kind: type[T], data: bytes) -> T:
    """The reverse of `dumps`. Raises `Corrupt`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Corrupt(f"{kind.__name__}: {error}") from error
