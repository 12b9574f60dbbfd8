"""One row read with care: every fault named, nothing guessed. The slow half of ingest, and the measure of the fast one."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from tasks.ingest.errors import NOT_UTF8, BadRow
from tasks.rules.limits import Limits

_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def read_json(text: bytes, limits: Limits) -> dict[str, Any]:
    """The object in a line of text. Raises `BadRow`.

    Refuses what other readers let pass in silence: keys given twice (which one counts?), NaN and Infinity (no JSON), half
    a surrogate pair (no text).
    """
    if len(text) > limits.max_line_bytes:
        raise BadRow("exceeds_max_tokens", f"it is {len(text):,} bytes long")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRow("invalid_json", f"byte {error.start + 1} {NOT_UTF8}") from None
    value = read_value(decoded, limits)
    if not isinstance(value, dict):
        raise BadRow("invalid_data_structure", f"it is {_named(value)}, not an object")
    if len(value) > limits.max_columns:
        raise BadRow(
            "invalid_data_structure", f"it has {len(value)} columns; at most {limits.max_columns} are read"
        )
    return value


def read_value(text: str, limits: Limits) -> Any:
    """Any JSON value, read as strictly. Raises `BadRow`."""
    if depth(text.encode("utf-8", "replace"), limits.max_depth) > limits.max_depth:
        raise BadRow("invalid_json", f"it is nested more than {limits.max_depth} levels deep")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadRow(
            "invalid_json", f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        ) from None
    except RecursionError:
        raise BadRow("invalid_json", "it is nested too deep") from None
    except ValueError:  # a number of more than 4,300 digits
        raise BadRow("invalid_json", "a number in it is too long") from None
    if "\\ud" in text or "\\uD" in text:
        _refuse_half_pairs(value)
    return value


def depth(text: bytes, limit: int) -> int:
    """How deep the JSON is nested; 0 when it has too few brackets to be over the limit."""
    if text.count(b"[") + text.count(b"{") <= limit:
        return 0
    at = deepest = 0
    for token in _NESTING.finditer(text):
        first = token.group()[:1]
        at += (first in b"[{") - (first in b"]}")
        deepest = max(deepest, at)
    return deepest


def _refuse_half_pairs(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow("invalid_json", "a \\u escape is half of a pair") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise BadRow("invalid_json", f'the key "{twice[:60]}" is there twice')
    return value


def _no_constant(name: str) -> Any:
    raise BadRow("invalid_json", f"{name} is not JSON; write null")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadRow("invalid_json", f"the number {text[:40]} is too large")
    return value


def _named(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
