"""Which words decide, and whose.

architecture.md, "One message" item 4. Exact phrases on purpose: a person's consent is never guessed from a
longer sentence, and no model is asked. Whether a message is newer than the card, and whether exactly one
proposal is open, is the caller's to check.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Operation = Literal["generate"]

LONGEST_ORDER = 200  # characters; a longer message says more than an order

_APPROVALS = frozenset(
    {
        "yes",
        "yes please",
        "ok",
        "okay",
        "approve",
        "approved",
        "confirm",
        "go ahead",
        "do it",
        "lets do it",
        "yes lets do it",
        "looks good",
        "start",
    }
)
_REJECTIONS = frozenset(
    {
        "no",
        "no thanks",
        "no thank you",
        "nope",
        "reject",
        "rejected",
        "decline",
        "declined",
        "dont",
        "do not",
        "dont do it",
        "not now",
        "no dont",
        "cancel",
        "cancel that",
        "forget it",
    }
)
_STOPS = frozenset(
    {
        "stop",
        "stop it",
        "stop that",
        "stop please",
        "please stop",
        "stop now",
        "cancel",
        "cancel it",
        "cancel that",
        "abort",
        "halt",
    }
)
_ORDER = re.compile(
    r"(?:(?:yes|ok|okay|please|now|then|and|so|well) )*"
    r"(?:(?:can|could|would) you (?:please )?|(?:lets|let us|id like you to|i want you to) )?"
    r"(?:generate|create|make|add|write|produce) (?:me |us )?"
    r"(?:(?:maybe|about|around|roughly|another|some) )*"
    r"(?P<count>\d{1,3}(?: \d{3})+|\d{1,7})"
    r"(?: (?:more|new|extra|additional|further|synthetic|other))*"
    r"(?: (?P<subject>[\w ]{0,60}?) ??"
    r"(?:examples?|rows?|records?|samples?|prompts?|messages?|questions?|variations?|ones))?"
    r"(?: (?:more|of them|each|please|now|instead))*"
    r"(?: (?:for|about|in|under|on|by|with|using|from) [\w ]{1,80})?"
)
_DOUBTS = frozenset(
    [
        "no",
        "not",
        "dont",
        "never",
        "wait",
        "but",
        "if",
        "unless",
        "until",
        "after",
        "before",
        "later",
        "tomorrow",
        "first",
        "should",
        "would",
        "delete",
        "stop",
    ]
)
_MENTION = re.compile(r"<[@!#][^>]*>")


@dataclass(frozen=True, slots=True)
class ExplicitOrder:
    """An operation and how many; `subject` is what the words between say ("complaint"), "" when they say
    nothing."""

    operation: Operation
    count: int
    subject: str = ""


def is_approval(text: str) -> bool:
    return plain(text) in _APPROVALS


def is_rejection(text: str) -> bool:
    return plain(text) in _REJECTIONS


def is_stop(text: str) -> bool:
    return plain(text) in _STOPS


def explicit_order(text: str) -> ExplicitOrder | None:
    """The order in a sentence such as "generate maybe 30 more complaint examples", or None for anything less
    plain.

    The whole sentence has to be the order: "don't generate 30", "what if we generate 30?" and "generate 3
    topics" are none.
    """
    match = None if len(text) > LONGEST_ORDER or _is_doubtful(text) else _ORDER.fullmatch(plain(text))
    if not match:
        return None
    count, subject = int(match["count"].replace(" ", "")), (match["subject"] or "").strip()
    if not count or re.search(r"\d|\band\b|\btopics\b", subject):
        return None
    return ExplicitOrder("generate", count, subject)


def may_decide(user: str, *, deciders: Collection[str], owner: str, costs: bool, is_guest: bool) -> bool:
    """Whether this person's word counts.

    `deciders` are the approvers set for the workspace, groups already resolved. What is free may be decided
    by anyone in the channel but guests and people of other organisations (`is_guest`); what costs by the
    approvers, or by the workflow's owner where none is set.
    """
    if is_guest or not user:
        return False
    if not costs:
        return True
    return user in deciders if deciders else user == owner


def _is_doubtful(text: str) -> bool:
    """A condition or a second thought; a percentage or a fraction; a question, unless it only asks politely."""
    politely = re.sub(r"\b(?:can|could|would) you\b", "", text.casefold())
    asks = "?" in text and politely == text.casefold()
    uncounted = "%" in text or bool(re.search(r"\d[.,]\d{1,2}(?!\d)", text))
    return asks or uncounted or not _DOUBTS.isdisjoint(plain(politely).split())


def plain(text: str) -> str:
    """Case-folded, without mentions and punctuation, single spaces. Other symbols stay, so "~yes~" is no
    "yes"."""
    bare = _MENTION.sub(" ", text).casefold()
    for apostrophe in "'’‘":
        bare = bare.replace(apostrophe, "")
    return " ".join(
        "".join(" " if unicodedata.category(sign).startswith("P") else sign for sign in bare).split()
    )
