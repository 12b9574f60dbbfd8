"""`topic_hierarchy`: clusters of rows get human names and a place in a tree, seen through the lens that was asked for.

Groups come from a table of everyday themes (or intents, or moods, as the lens says); leaf names from the clusters' own
terms. What fits no theme goes under General. Every cluster is placed exactly once.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.structured.leaf_names import everyday_name
from bot.sandbox.model.words import content_words, joined, stem, stems, title_case

GENERAL = "General"

_THEMES: tuple[tuple[str, str], ...] = (
    (
        "Billing & Payments",
        "bill billing invoice charge charged payment pay card subscription price fee vat receipt plan",
    ),
    ("Returns & Refunds", "return returns refund refunds money exchange warranty replacement"),
    (
        "Orders & Delivery",
        "order orders delivery deliver shipping ship package parcel track tracking courier arrive address",
    ),
    (
        "Account & Access",
        "account password login log sign email profile access username verification locked two-factor",
    ),
    (
        "Technical Issues",
        "app website error crash bug broken install update screen loading slow connection sync device settings",
    ),
    (
        "Products",
        "product size colour color model stock material feature compatible laptop recommend catalogue",
    ),
    (
        "Calculations",
        "calculate calculation interest compound rate percent percentage total amount formula average",
    ),
    ("Investing", "invest investment stock stocks portfolio bond fund dividend etf shares market"),
    ("Loans & Mortgages", "loan mortgage credit debt borrow repayment lender"),
    ("Tax & Budget", "tax taxes deduction budget saving savings income expense retirement pension"),
    ("Debugging", "exception traceback stack fails failing undefined null typeerror compile"),
    ("Writing Code", "function code class python javascript sql query script loop array api test"),
    ("Appointments", "appointment schedule booking book reschedule visit clinic doctor"),
    ("Symptoms & Care", "pain symptom symptoms fever medication dose allergy prescription treatment"),
)
_INTENTS: tuple[tuple[str, str], ...] = (
    (
        "Troubleshooting",
        r"\b(not work|error|crash|broken|fail|can'?t|cannot|won'?t|doesn'?t|didn'?t|stuck|wrong|missing)",
    ),
    ("Complaint", r"\b(complain|rude|unacceptable|terrible|awful|disappointed|angry|worst)"),
    ("Relationship", r"\b(thank|feedback|love|great job|review|recommend you|loyal)"),
    (
        "Transactional",
        r"\b(i want to|i need to|i'd like to|please|cancel|change|update|buy|book|order|refund|upgrade)\b",
    ),
    ("Informational", r"\b(how|what|when|where|which|why|is there|do you|does|explain|tell me|\?)"),
)
_MOODS: tuple[tuple[str, str], ...] = (
    (
        "Frustrated",
        r"\b(again|still|twice|third|never|rude|angry|complain|unacceptable|terrible|ridiculous)|!",
    ),
    ("Urgent", r"\b(urgent|asap|immediately|today|now|deadline|before)\b"),
    ("Friendly", r"\b(thanks|thank you|please|love|great|hello|hi)\b"),
    ("Neutral", r"."),
)


@dataclass(frozen=True, slots=True)
class Cluster:
    number: int
    size: int
    terms: tuple[str, ...]
    examples: tuple[str, ...]


def answer_tree(ask: Ask, data: Json) -> Json:
    """`{topics: [{path, description, keywords, clusters}]}`, leaves only."""
    clusters = [_cluster(item) for item in data.get("clusters") or [] if isinstance(item, dict)]
    depth = data.get("max_depth")
    groups = _grouped(clusters, str(data.get("lens") or ""))
    flat = depth == 1 or len(clusters) <= 2
    topics = [_topic(path, cluster) for path, cluster in _placed(groups, flat=flat)]
    return {"topics": topics}


def _grouped(clusters: Sequence[Cluster], lens: str) -> OrderedDict[str, list[Cluster]]:
    """Group name → clusters, largest group first, General last."""
    found: dict[str, list[Cluster]] = {}
    for cluster in clusters:
        found.setdefault(_group_of(cluster, lens), []).append(cluster)
    if len(clusters) > 3 and GENERAL not in found and not _pattern_lens(lens):
        found = _with_general(found)
    ordered = sorted(
        found.items(), key=lambda item: (item[0] == GENERAL, -sum(one.size for one in item[1]), item[0])
    )
    return OrderedDict(ordered)


def _with_general(found: dict[str, list[Cluster]]) -> dict[str, list[Cluster]]:
    """The cluster that fits its theme least becomes General: every tree needs a place for the rest."""
    weakest = min(
        (one for group in found.values() for one in group), key=lambda one: (_best_theme(one)[1], one.size)
    )
    rest = {name: [one for one in group if one is not weakest] for name, group in found.items()}
    return {name: group for name, group in rest.items() if group} | {GENERAL: [weakest]}


def _group_of(cluster: Cluster, lens: str) -> str:
    table = _pattern_lens(lens)
    if table:
        scores = [
            sum(bool(re.search(pattern, text, re.I)) for text in cluster.examples) for _, pattern in table
        ]
        best = max(range(len(table)), key=lambda index: (scores[index], -index))
        return table[best][0] if scores[best] else GENERAL
    name, score = _best_theme(cluster)
    return name if score > 0 else GENERAL


def _pattern_lens(lens: str) -> tuple[tuple[str, str], ...]:
    if re.search(r"intent|purpose|what .* want|action|goal", lens, re.I):
        return _INTENTS
    return _MOODS if re.search(r"sentiment|mood|emotion|tone|feeling|urgency", lens, re.I) else ()


def _best_theme(cluster: Cluster) -> tuple[str, float]:
    weights: dict[str, float] = {}
    for rank, term in enumerate(cluster.terms):
        for part in stems(term):
            weights[part] = max(weights.get(part, 0.0), 1.0 / (1 + rank))
    for text in cluster.examples:
        for part in set(stems(text)):
            weights[part] = weights.get(part, 0.0) + 0.1
    scored = [
        (sum(weights.get(stem(word), 0.0) for word in set(words.split())), name) for name, words in _THEMES
    ]
    score, name = max(scored)
    return name, score


def _placed(groups: OrderedDict[str, list[Cluster]], *, flat: bool) -> list[tuple[list[str], Cluster]]:
    placed: list[tuple[list[str], Cluster]] = []
    taken: set[str] = set()
    for group, clusters in groups.items():
        for cluster in clusters:
            alone = len(clusters) == 1 and group != GENERAL
            leaf = group if alone else _leaf_name(cluster, avoid=stems(group), taken=taken)
            taken.add(leaf)
            placed.append(([leaf] if flat or alone else [group, leaf], cluster))
    return placed


def _leaf_name(cluster: Cluster, *, avoid: Sequence[str], taken: set[str]) -> str:
    if name := everyday_name(cluster.terms, taken):
        return name
    terms = [term for term in cluster.terms if not set(stems(term)) & set(avoid)] or list(cluster.terms)
    phrase = _phrase_in(terms[:4], cluster.examples)
    candidates = [phrase] if phrase else []
    candidates += [joined(terms[:2]), joined(terms[1:3]), joined(terms[:3]), f"Group {cluster.number + 1}"]
    names = [title_case(candidate).replace(" And ", " and ") for candidate in candidates if candidate]
    return next((name for name in names if name not in taken), f"{names[0]} {cluster.number + 1}")


def _phrase_in(terms: Sequence[str], examples: Sequence[str]) -> str:
    """Two of the terms that stand side by side in an example, in that order."""
    for text in examples:
        words = content_words(text)
        for left, right in pairwise(words):
            if left != right and left in terms and right in terms:
                return f"{left} {right}"
    return ""


def _topic(path: list[str], cluster: Cluster) -> Json:
    about = joined(list(cluster.terms[:3])) or path[-1].lower()
    return {
        "path": path,
        "description": f"Messages about {about}.",
        "keywords": list(cluster.terms[:8]) or content_words(path[-1]),
        "clusters": [cluster.number],
    }


def _cluster(item: Json) -> Cluster:
    terms = tuple(str(term) for term in item.get("terms") or [])
    examples = tuple(str(text) for text in item.get("examples") or [])
    return Cluster(int(item.get("cluster") or 0), int(item.get("size") or 0), terms, examples)
