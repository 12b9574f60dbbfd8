"""Whether JSON that was decoded leniently has every key once: found by counting, not by looking at keys.

msgspec, like most readers, lets the last of two equal keys win in silence. Encoded again, a row has each key once; when the
text it came from has as many keys, none was there twice. A key is counted by the `":` at its end: inside a text a quote
always has a backslash before it. A key that itself ends with a backslash, or is written with a space before its colon,
makes the count fall short or wide: then nothing is promised, and the careful reader looks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_KEY_END = int.from_bytes(b'":', "little")
_BACKSLASH = ord("\\")
_OPENING = ord("[")
_SHORT = 8_192  # below it bytes.count is faster than an array
UNSURE = -1


def keys_in(text: bytes) -> int:
    """How many keys the JSON has, -1 where counting cannot tell."""
    if len(text) < _SHORT:
        if b"\\" not in text:
            return text.count(b'":')
        return UNSURE if b'\\\\":' in text else text.count(b'":') - text.count(b'\\":')
    if b"\\" not in text:
        return sum(int(np.count_nonzero(pairs)) for pairs in _key_ends(text))
    return _among_escapes(text)


def openings(text: bytes) -> int:
    """How many square brackets are opened in it."""
    return int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == _OPENING))


def _key_ends(text: bytes) -> tuple[Any, Any]:
    """Where `":` stands: two bytes compared at a time, once from the first byte on and once from the second."""
    even = np.frombuffer(text, dtype="<u2", count=len(text) // 2)
    odd = np.frombuffer(text, dtype="<u2", offset=1, count=(len(text) - 1) // 2)
    return even == _KEY_END, odd == _KEY_END


def _among_escapes(text: bytes) -> int:
    codes = np.frombuffer(text, dtype=np.uint8)
    even, odd = _key_ends(text)
    quotes = np.concatenate((2 * np.flatnonzero(even), 2 * np.flatnonzero(odd) + 1))
    quotes = quotes[quotes > 1]
    escaped = codes[quotes - 1] == _BACKSLASH
    if (escaped & (codes[quotes - 2] == _BACKSLASH)).any():
        return UNSURE
    return int(np.count_nonzero(~escaped))
