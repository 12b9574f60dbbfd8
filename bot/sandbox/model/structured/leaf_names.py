"""Everyday names for groups of messages, by the words that mark them; what no line of the table fits is named by its own words.

The stand-in knows no language: a team's model names groups from what they say, this table only from how such things are often called.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.sandbox.model.words import stems

_NAMES: tuple[tuple[str, str], ...] = (
    ("Damaged on Arrival", "broken corner dented box scratched arrived damaged cracked rain leaking"),
    ("Missing Parcels", "missing parcel delivered gls dhl door neighbour courier lost nobody home"),
    ("Tracking", "tracking moved depot late arrive where parcel"),
    ("Address Changes", "address change move new delivery"),
    ("Sign-in and Passwords", "reset link password login sign locked access email code"),
    ("Data and Privacy", "data delete hold marketing emails account privacy unsubscribe"),
    ("Wrong Charges", "charged charge euros twice recognise card statement"),
    ("Money Back", "money back refund refunded store credit gift card paid bank transfer"),
    ("Returns", "return exchange send label cheaper difference"),
    ("Price Matching", "cheaper difference price sale week"),
    ("App Problems", "app add crashes update phone screen"),
    ("Website Errors", "code error website checkout went wrong"),
    ("Device Setup", "connect wifi blinks red pair router manual"),
    ("Power and Plugs", "socket switch electricity run month cable"),
    ("Spare Parts", "buy spare part parts lid filter"),
    ("Is It Safe?", "safe children cat dog outdoor baby"),
    ("Rude Staff", "rude complain driver manager unacceptable"),
    ("Everyday Budgeting", "budget eats groceries spend high heating aside costs"),
    ("Paying Off Debt", "pay loan early paying penalty rises mortgage card"),
    ("Taxes", "tax return deduct taxed gains childcare abroad"),
    ("Saving Up", "save emergency fund euros percent plan large"),
    ("Fees and Risks", "fees hold risks shares single matter money"),
    ("Interest", "interest rate percent compound years eight"),
    ("Second Opinions", "neighbour says true lose gold"),
    ("Keeping Track", "spreadsheet suits app eye keeping payments"),
    ("Talking About Money", "daughter studies manage family newly married partner"),
)
_LOOKED_AT = 6  # of a group's words, the most telling first
_FEWEST = 2  # that must be in a line of the table


def everyday_name(terms: Sequence[str], taken: Collection[str]) -> str:
    """The name whose words the group's most telling ones are, "" when two of them fit no line that is still free."""
    told = [set(stems(term)) for term in terms[:_LOOKED_AT]]
    best, name = 0.0, ""
    for label, words in _NAMES:
        known = set(stems(words))
        found = [len(term & known) for term in told]
        score = sum(hits / (2 + rank) for rank, hits in enumerate(found))
        if sum(found) >= _FEWEST and score > best and label not in taken:
            best, name = score, label
    return name
