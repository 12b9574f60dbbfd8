"""`paraphrases` and `translations`: the same said in other words, as far as a list of words goes.

Facts are never touched. "Translation" marks the text with the language and puts its words into a fixed other order; on the way back the
mark is found and the text comes out reworded, so a round trip ends near where it began, as real ones do. About one row in twelve loses a
number on the way; the receiver should reject it.
"""

from __future__ import annotations

import re

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.words import number_from, seeded, sentences

SLIPS_EVERY = 12
_OTHER_WORDS = (
    ("i was", "they have"), ("please", "could you kindly"), ("help", "assist"), ("problem", "issue"), ("broken", "out of order"),
    ("buy", "purchase"), ("wrong", "incorrect"), ("quickly", "without delay"), ("want to", "would like to"), ("tell me", "let me know"),
    ("how do i", "what is the way to"), ("how can i", "in which way may I"), ("can you", "would you be able to"), ("where is", "what has become of"),
    ("still", "to this day"), ("again", "once more"), ("order", "purchase order"), ("need", "require"), ("get", "receive"),
    ("before", "ahead of"), ("about", "concerning"), ("change", "alter"), ("pay", "settle"), ("money", "funds"), ("says", "tells me"),
    ("parcel", "package"), ("lost", "mislaid"), ("charged", "billed"), ("twice", "two times over"), ("work", "function"), ("ago", "back"),
    ("is empty", "shows up blank"), ("locked out", "shut out"), ("delivery", "shipment"), ("refund", "reimburse"), ("when", "at what time"),
)  # fmt: skip
_LEADS = (
    "Here is my question:",
    "To put it another way:",
    "What I am asking:",
    "It comes down to this:",
    "In short:",
)
_MARK = re.compile(r"^\[(?P<into>[^\]|]{2,40})\|(?P<origin>[^\]]{2,40})\] ")
_ENGLISH = "English"


def answer_paraphrases(ask: Ask, data: Json) -> Json:
    """`{rows: [{row, text}]}`."""
    return {
        "rows": [
            {
                "row": row.get("row", place),
                "text": _slipped(reworded(str(row.get("text") or ""), "paraphrase")),
            }
            for place, row in enumerate(_rows(data))
        ]
    }


def answer_translations(ask: Ask, data: Json) -> Json:
    """`{rows: [{row, language, text}]}`."""
    return {"rows": [_translated(place, row) for place, row in enumerate(_rows(data))]}


def reworded(text: str, key: str) -> str:
    """Other words and another order of the sentences; numbers, names and denials stay."""
    rng = seeded(key, text)
    for plain, other in _OTHER_WORDS:
        text = re.sub(rf"\b{plain}\b", other, text, flags=re.I)
    parts = [part[:1].upper() + part[1:] for part in sentences(text)]
    if len(parts) > 1:
        parts = [*parts[1:], parts[0]]
    body = " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts)
    lead = rng.choice(_LEADS)
    return (
        f"{lead} {body[:1].lower()}{body[1:]}"
        if body and body.split()[0] not in ("I", "I'm")
        else f"{lead} {body}"
    )


def _translated(place: int, row: Json) -> Json:
    text, into = str(row.get("text") or ""), str(row.get("into") or _ENGLISH)
    mark = _MARK.match(text)
    number = row.get("row", place)
    if mark is None:
        return {"row": number, "language": _ENGLISH, "text": f"[{into}|{_ENGLISH}] {text}"}
    back = _slipped(reworded(text[mark.end() :], "back"))
    return {"row": number, "language": mark["into"], "text": back}


def _slipped(text: str) -> str:
    """Now and then a number is lost, as models lose them."""
    return re.sub(r"\s*\d+", "", text, count=1) if number_from("slip", text) % SLIPS_EVERY == 0 else text


def _rows(data: Json) -> list[Json]:
    return [row for row in data.get("rows") or [] if isinstance(row, dict)]
