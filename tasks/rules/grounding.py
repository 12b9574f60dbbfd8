"""Whether a question and its answer come from a passage, by code alone.

Three checks: the quote stands in the passage word for word (white space and typography apart); the figures, names and most of the words
of the answer are in the passage; the answer does not turn a sentence of it into its opposite. A paraphrase passes as long as it keeps
the passage's words for what matters. That an answer is *right* is beyond this: a model may be asked besides (`knowledge_check`).

The question's words never count as evidence: "Can I bring my dog?" does not support "You can bring your dog".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

SUPPORTED_SHARE = 0.6  # of the answer's content words, found in the passage
SHORT_ANSWER = 3  # content words; a shorter answer must be there whole
LEAST_QUOTE = 12  # characters
OPPOSITE_OVERLAP = 0.7  # of a sentence's words, from where a missing "not" matters

Code = Literal["not_grounded", "not_supported", "not_about_passage"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an answer is not kept; `missing` are the words or figures that the passage does not have."""

    code: Code
    message: str
    missing: tuple[str, ...] = ()


def check(
    *, question: str, answer: str, quote: str, passage: str, headings: Sequence[str] = ()
) -> Finding | None:
    """The first thing wrong with a grounded row, or None. `headings` are those above the passage: they count as its text."""
    if not is_quoted(quote, passage):
        return Finding("not_grounded", "The quote is not in the passage.", (quote[:120],))
    told = "\n".join((*headings, passage))
    stems = _stems(told)
    if not any(_found(word, stems) for word in _content(question)):
        return Finding("not_about_passage", "The question is about something the passage does not mention.")
    return unsupported(answer, told)


def unsupported(answer: str, told: str) -> Finding | None:
    """What in the answer the text does not say, or None."""
    figures = tuple(figure for figure in figures_in(_unnumbered(answer)) if figure not in figures_in(told))
    if figures:
        return Finding("not_supported", f"The passage does not have {', '.join(figures[:5])}.", figures)
    stems = _stems(told)
    names = tuple(name for name in _names(answer) if not _found(name.casefold(), stems))
    if names:
        return Finding("not_supported", f"The passage does not name {', '.join(names[:5])}.", names)
    words = _content(answer)
    missing = tuple(dict.fromkeys(word for word in words if not _found(word, stems)))
    if not words and not figures_in(answer):
        return Finding("not_supported", "The answer says nothing that could be in a passage.")
    share = 1 - sum(word in missing for word in words) / len(words) if words else 1.0
    if share < (1.0 if len(words) < SHORT_ANSWER else SUPPORTED_SHARE):
        return Finding(
            "not_supported", f"Only {share:.0%} of the answer's words are in the passage.", missing[:12]
        )
    return _opposite(answer, told)


def is_quoted(quote: str, passage: str) -> bool:
    """Whether the quote stands in the passage, white space, quotation marks, dashes and case apart."""
    wanted = normal(quote).strip(" \"'.…")
    return len(wanted) >= min(LEAST_QUOTE, len(normal(passage))) and wanted in normal(passage)


def normal(text: str) -> str:
    """A text as quotes are compared: compatibility forms, straight quotes and dashes, single spaces, case-folded."""
    plain = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)
    return " ".join(plain.casefold().split())


def place(provenance: Mapping[str, Any]) -> str:
    """Where a grounded row comes from: document, headings, page."""
    path = provenance.get("path")
    names = [str(provenance.get("document_name") or "document")]
    names += [str(name) for name in path] if isinstance(path, list | tuple) else []
    page = provenance.get("page")
    return " › ".join(names) + (f", page {page}" if page else "")


# ---------------------------------------------------------------- figures and names


def figures_in(text: str) -> frozenset[str]:
    """The numbers of a text, however they are written: `1,000` is `1000`, `two` is `2`, `2.50` is `2.5`, `3rd` is `3`."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    found = {_number(match) for match in _FIGURE.findall(plain)}
    words = _WORD.findall(plain)
    for place_, word in enumerate(words):
        if word in _NUMBERS and word != "one":  # "one" is a pronoun as often
            following = words[place_ + 1] if place_ + 1 < len(words) else ""
            value = _NUMBERS[word]
            if value >= 20 and value % 10 == 0 and 0 < _NUMBERS.get(following, 0) < 10:
                value += _NUMBERS[following]
            found.add(str(value))
    return frozenset(found - {""})


def _number(text: str) -> str:
    digits = text.replace(",", "").replace("'", "").rstrip(".")
    if digits.count(".") > 1:  # a version, a date
        return digits
    whole, _, rest = digits.partition(".")
    rest = rest.rstrip("0")
    return f"{whole.lstrip('0') or '0'}.{rest}" if rest else (whole.lstrip("0") or "0")


def _names(text: str) -> list[str]:
    """Words with a capital where a sentence does not ask for one, and abbreviations."""
    found = []
    for match in _WORD.finditer(text):
        word = match[0]
        begins = (
            not text[: match.start()].rstrip(" \"'([“‘*-•").strip()
            or text[: match.start()].rstrip(" \"'([“‘*-•")[-1:] in ".!?:;\n"
        )
        is_short = len(word) >= 2 and word.isupper() and word.isalpha()
        if (is_short or (word[:1].isupper() and not begins)) and word.casefold() not in STOP_WORDS:
            found.append(word)
    return list(dict.fromkeys(found))


def _unnumbered(text: str) -> str:
    """Steps without the numbers before them, which count nothing."""
    return _STEP.sub("", text)


# ---------------------------------------------------------------- words


def content_words(text: str) -> list[str]:
    """The words that carry meaning, case-folded, in order, repeated as they occur."""
    return _content(text)


def _content(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY).casefold()
    words = (word.removesuffix("'s") for word in _WORD.findall(plain))
    return [word for word in words if len(word) > 2 and word not in STOP_WORDS and word not in _NUMBERS]


def _stems(text: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY).casefold()
    parts = [part for word in _WORD.findall(plain) for part in (word.removesuffix("'s"),)]
    return frozenset(stem(part) for part in parts)


def _found(word: str, stems: frozenset[str]) -> bool:
    """Whether a word is there in some form. Parts of a hyphenated word may stand alone."""
    root = stem(word)
    if root in stems:
        return True
    return len(root) >= 6 and any(
        other[:5] == root[:5] and (other.startswith(root) or root.startswith(other))
        for other in stems
        if len(other) >= 5
    )


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Enough to match "refunds" with "refunded" and "policies" with "policy"."""
    word = word.casefold()
    for ending, put in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) + len(put) >= 3:
            word = word[: -len(ending)] + put
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word[-1] == "e" else word


# ---------------------------------------------------------------- opposites


def _opposite(answer: str, told: str) -> Finding | None:
    """A sentence of the answer that has nearly the words of one in the text, and a "not" more or less."""
    sentences = [(set(map(stem, _content(one))), _is_negative(one)) for one in sentences_of(told)]
    for said in sentences_of(answer):
        words = set(map(stem, _content(said)))
        if len(words) < 2:
            continue
        near = [negative for other, negative in sentences if _overlap(words, other) >= OPPOSITE_OVERLAP]
        if near and _is_negative(said) not in near:
            return Finding("not_supported", f"The passage says the opposite of “{said[:120]}”.")
    return None


def sentences_of(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def _is_negative(sentence: str) -> bool:
    plain = _YES_OR_NO.sub("", sentence.translate(_TYPOGRAPHY).casefold())
    return len(_NEGATION.findall(plain)) % 2 == 1


def _overlap(said: set[str], other: Iterable[str]) -> float:
    """Share of the smaller sentence's words that both have."""
    others = set(other)
    smaller = min(len(said), len(others))
    return len(said & others) / smaller if smaller > 1 else 0.0


_TYPOGRAPHY = str.maketrans(
    {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": "-", "‑": "-", "−": "-"}
)  # fmt: skip
_FIGURE = re.compile(r"\d[\d.,']*\d|\d")
_WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?")
_STEP = re.compile(r"^\s*\(?\d{1,3}[.)]\s+", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")
_NEGATION = re.compile(r"\b(?:not|no|never|none|cannot|nobody|nothing|neither|without)\b|n't\b")
_YES_OR_NO = re.compile(r"^\W*(?:yes|no)\b")
_ENDINGS = (
    ("iness", "y"),
    ("ational", "at"),
    ("ations", "at"),
    ("ation", "at"),
    ("ments", ""),
    ("ment", ""),
    ("ities", "y"),
    ("ically", "ic"),
    ("ings", ""),
    ("ies", "y"),
    ("ied", "y"),
    ("ing", ""),
    ("edly", ""),
    ("ated", "at"),
    ("ates", "at"),
    ("ate", "at"),
    ("ness", ""),
    ("ers", ""),
    ("ed", ""),
    ("er", ""),
    ("es", ""),
    ("ly", ""),
    ("'s", ""),
    ("s", ""),
)
_NUMBERS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
    )
} | {
    word: 10 * value
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety hundred".split(), 2)  # noqa: SIM905
}
STOP_WORDS = frozenset(
    """a about above after again against all also although always am among an and any anyone are around as at be because been before
    being below between both but by can cannot come could did do does doing done down during each either else even ever every
    few first for from further get gets give given go goes had has have having he her here hers him his how however i if in
    instead into is it its itself just keep let like made make makes many may me means mean might more most much must my
    need needs neither never no nor not nothing now of off often on once only onto or other others our out over own per
    please rather really said same say says see several shall she should since so some someone something still such take
    takes than that the their them then there therefore these they thing things this those through thus to together too
    toward towards under unless until up upon us use used uses using very via want was way we well were what whatever when
    where whether which while who whom whose why will with within without would yes yet you your yours yourself
    don't doesn't didn't isn't aren't wasn't won't can't couldn't shouldn't wouldn't it's that's you're you'll they're
    answer question passage according document following called known refers refer describe described""".split()  # noqa: SIM905
)
