"""A small vocabulary for saying what a JSON value must look like, and hearing everything that is wrong with it.

A check takes a value and where it stands (a JSON pointer) and yields one message per fault, worded as Slack words
them. Checks are built from other checks, so a block's whole contract reads as a table. Nothing here knows Block Kit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

Check = Callable[[Any, str], Iterator[str]]
URL = re.compile(r"https?://[^\s<>]+")


def shape(
    required: dict[str, Check] | None = None,
    optional: dict[str, Check] | None = None,
    *extra: Check,
) -> Check:
    """An object with these fields and no others; `extra` checks see the whole object once its fields are known good."""
    needed, allowed = required or {}, {**(required or {}), **(optional or {})}

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield fault("must be an object", at)
            return
        faults = list(_field_faults(value, needed, allowed, at))
        yield from faults
        if not faults:
            for rule in extra:
                yield from rule(value, at)

    return check


def _field_faults(
    value: dict[str, Any], needed: dict[str, Check], allowed: dict[str, Check], at: str
) -> Iterator[str]:
    for name in needed:
        if name not in value:
            yield fault(f"missing required field: {name}", at)
    for name, inner in value.items():
        if name in allowed:
            yield from allowed[name](inner, f"{at}/{name}")
        else:
            yield fault(f"invalid additional property: {name}", at)


def fault(message: str, at: str) -> str:
    """One fault as Slack prints it in `response_metadata.messages`."""
    return f"[ERROR] {message} [json-pointer:{at or '/'}]"


def string(longest: int, shortest: int = 1, pattern: re.Pattern[str] | None = None) -> Check:
    """A string of `shortest` to `longest` characters, wholly matching `pattern` where one is given."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield fault("must be a string", at)
        elif len(value) > longest:
            yield fault(f"must be less than {longest + 1} characters", at)
        elif len(value) < shortest:
            yield fault(f"must be more than {shortest - 1} characters", at)
        elif pattern and not pattern.fullmatch(value):
            yield fault("does not match the expected format", at)

    return check


def url(longest: int = 3000) -> Check:
    """An http or https address of at most `longest` characters."""
    return string(longest, pattern=URL)


def choice(*allowed: str) -> Check:
    """One of a closed set of strings."""

    def check(value: Any, at: str) -> Iterator[str]:
        if value not in allowed:
            yield fault(f"must be one of: {', '.join(allowed)}", at)

    return check


def flag(value: Any, at: str) -> Iterator[str]:
    """True or false."""
    if not isinstance(value, bool):
        yield fault("must be a boolean", at)


def number(lowest: float | None = None, highest: float | None = None, *, whole: bool = False) -> Check:
    """A finite number within the bounds, both included."""

    least, most = -math.inf if lowest is None else lowest, math.inf if highest is None else highest

    def check(value: Any, at: str) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            yield fault("must be an integer" if whole else "must be a number", at)
        elif not math.isfinite(value):
            yield fault("must be a finite number", at)
        elif not least <= value <= most:
            yield fault(f"must be between {least} and {most}", at)

    return check


def items(inner: Check, longest: int, shortest: int = 1) -> Check:
    """A list of `shortest` to `longest` values that each pass `inner`."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield fault("must be an array", at)
            return
        if len(value) > longest:
            yield fault(f"no more than {longest} items allowed", at)
        if len(value) < shortest:
            yield fault(f"must have at least {shortest} items", at)
        for index, item in enumerate(value):
            yield from inner(item, f"{at}/{index}")

    return check


def either(by: str, checks: dict[str, Check]) -> Check:
    """An object whose field `by` names which of `checks` it must pass."""

    def check(value: Any, at: str) -> Iterator[str]:
        kind = value.get(by) if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in checks:
            yield fault(f"unsupported {by}: {kind}", at)
        else:
            yield from checks[kind](value, at)

    return check


def one_field_of(*names: str) -> Check:
    """Exactly one of the named fields is present."""

    def check(value: Any, at: str) -> Iterator[str]:
        if sum(name in value for name in names) != 1:
            yield fault(f"must have exactly one of: {', '.join(names)}", at)

    return check


def any_field_of(*names: str) -> Check:
    """At least one of the named fields is present."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not any(name in value for name in names):
            yield fault(f"must have at least one of: {', '.join(names)}", at)

    return check


def unique(values: list[tuple[str, str]], what: str) -> Iterator[str]:
    """A fault for each (value, where) whose value has been seen before."""
    seen: set[str] = set()
    for value, at in values:
        if value in seen:
            yield fault(f"{what} '{value}' already exists", at)
        seen.add(value)
