"""Phone numbers in a text, by the numbering plans of the world (`phonenumbers`, Google's table).

A number that begins with + is looked up by its country code. One without is taken only where it is written as North Americans do,
or where the words before it say that it is a phone; digits alone are order numbers more often than not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

REGIONS = (
    "US",
    "GB",
    "DE",
    "FR",
    "ES",
    "IT",
    "NL",
    "IN",
    "AU",
    "BR",
)  # tried in turn for a number without country code
_INTERNATIONAL = re.compile(r"(?<![\w+])(?:\+|00)[1-9](?:[ ().\-/]{0,2}\d){6,14}(?!\w)", re.ASCII)
_AMERICAN = re.compile(
    r"(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])\d{3}[-. ]\d{4}(?![\w-]|\.\d)", re.ASCII
)
_SAID = re.compile(
    r"\b(?:phone|telephone|tel|mobile|cell|whatsapp|fax|call|ring|text|reach)\b(?:\s+(?:me|us|him|her|them|number|no|is|on|at|my|back)\b)*"
    r"[\s.:#]{0,3}(?P<number>\(?0?\d(?:[ ().\-/]{0,2}\d){6,12})(?!\w)",
    re.I | re.ASCII,
)  # fmt: skip


def phone_spans(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each phone number."""
    taken = bytearray(len(text))
    for start, end, region in _candidates(text):
        if not any(taken[start:end]) and _is_a_number(text[start:end], region):
            taken[start:end] = b"\x01" * (end - start)
            yield start, end


def _candidates(text: str) -> Iterator[tuple[int, int, str]]:
    for hit in _INTERNATIONAL.finditer(text):
        yield *hit.span(), "ZZ"
    for hit in _AMERICAN.finditer(text):
        yield *hit.span(), "US"
    for hit in _SAID.finditer(text):
        yield *hit.span("number"), ""


def _is_a_number(text: str, region: str) -> bool:
    import phonenumbers  # 10 MB of tables that only cleaning needs

    written = f"+{text[2:]}" if region == "ZZ" and text.startswith("00") else text
    for one in (region,) if region else REGIONS:
        try:
            number = phonenumbers.parse(written, None if one == "ZZ" else one)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False
