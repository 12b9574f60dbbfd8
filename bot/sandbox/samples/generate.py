"""Writes the sample datasets: `python -m bot.sandbox.samples.generate`. Seeded, so the files come out the same.

Invented conversations only, made of phrases: realistic enough to have topics, gaps and a few broken rows. No claim
about the quality of any model rests on them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import phrases_finance, phrases_support

Row = dict[str, Any]
HERE = Path(__file__).parent
SUPPORT_SHARES = {
    "refunds": 58,
    "billing": 62,
    "shipping": 92,
    "account": 78,
    "technical": 104,
    "product": 80,
    "complaints": 13,
}
FINANCE_SHARES = {
    "budgeting": 66,
    "saving": 58,
    "investing": 60,
    "debt": 50,
    "taxes": 42,
    "calculations": 24,
}
WITHOUT_USER = 13


def main() -> None:
    """Write the three files beside this one."""
    write("customer_support.jsonl", customer_support(random.Random(500)))
    write("financial_assistant.jsonl", financial_assistant(random.Random(300)))
    write("seeds.jsonl", seeds())


def customer_support(chance: random.Random) -> list[Row]:
    """500 rows of an online shop's support; 13 of them lost their user's message."""
    rows = _conversations(chance, phrases_support.TOPICS, SUPPORT_SHARES, phrases_support.fill)
    system = {"role": "system", "content": phrases_support.SYSTEM}
    made = [{"messages": [system, *turns]} for turns in rows]
    broken = [_without_user(made[0]["messages"], answer) for answer in phrases_support.ORPHANS[:WITHOUT_USER]]
    made += broken
    chance.shuffle(made)
    return made


def financial_assistant(chance: random.Random) -> list[Row]:
    """300 rows of a personal finance assistant; 8 % of them calculate something."""
    rows = _conversations(chance, phrases_finance.TOPICS, FINANCE_SHARES, phrases_finance.fill)
    system = {"role": "system", "content": phrases_finance.SYSTEM}
    made = [{"messages": [system, *turns]} for turns in rows]
    chance.shuffle(made)
    return made


def seeds() -> list[Row]:
    """Three rows to start from nothing."""
    return [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]}
        for asked, answered in phrases_support.SEEDS
    ]


def write(name: str, rows: list[Row]) -> None:
    """One JSON object a line."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (HERE / name).write_text(text, encoding="utf-8")


def _conversations(
    chance: random.Random,
    topics: dict[str, list[tuple[str, str]]],
    shares: dict[str, int],
    fill: Callable[[random.Random, str, str], tuple[str, str]],
) -> Iterator[list[Row]]:
    seen: set[str] = set()
    for topic, count in shares.items():
        made = 0
        while made < count:
            pattern = topics[topic][made % len(topics[topic])]
            asked, answered = fill(chance, *pattern)
            if asked not in seen:
                seen.add(asked)
                made += 1
                yield [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def _without_user(messages: list[Row], answer: str) -> Row:
    return {"messages": [messages[0], {"role": "assistant", "content": answer}]}


if __name__ == "__main__":
    main()
