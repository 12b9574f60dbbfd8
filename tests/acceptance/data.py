"""Datasets of the five conversations: rows that are alike in nothing but what their topic's words say.

A row is decided by keywords ("keyword"), by what the embedder knows ("embedding"), or only by the model: surely ("sure")
or with a confidence of 0.55 ("unsure").
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from storage.records import Json
from tests.acceptance.house import House

Kind = Literal["keyword", "embedding", "sure", "unsure"]
SYSTEM = "You answer customers of a small shop."
UNSURE, SURE = 0.55, 0.9
_NEUTRAL = [
    "amber",
    "basket",
    "candle",
    "dolphin",
    "engine",
    "forest",
    "garden",
    "harbor",
    "island",
    "jacket",
    "kettle",
    "lantern",
    "meadow",
    "needle",
    "orchard",
    "parcel",
    "quartz",
    "river",
    "saddle",
    "tunnel",
    "umbrella",
    "valley",
    "window",
    "yellow",
    "zebra",
    "anchor",
    "bridge",
    "copper",
    "desert",
    "eagle",
    "falcon",
    "glacier",
    "hammer",
    "indigo",
    "jungle",
    "kitchen",
    "ladder",
    "marble",
    "north",
    "ocean",
    "pepper",
    "quiet",
    "ribbon",
    "silver",
    "timber",
    "under",
    "violet",
    "walnut",
    "autumn",
    "barrel",
    "circle",
    "dragon",
    "ember",
    "feather",
    "granite",
    "hollow",
    "ivory",
    "jasmine",
    "kernel",
    "lemon",
    "mirror",
    "nectar",
    "olive",
    "pillow",
]


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A leaf as a test wants it: its names from the root, two keywords, and a word that only the embedder knows."""

    path: tuple[str, ...]
    keywords: tuple[str, str]
    hint: str
    count: int

    @property
    def id(self) -> str:
        return "/".join(name.casefold().replace(" ", "_") for name in self.path)


@dataclass(slots=True)
class Sheet:
    """Rows as they are uploaded, and the truth about them: text → (topic, kind)."""

    rows: list[Json] = field(default_factory=list)
    truth: dict[str, tuple[str, Kind]] = field(default_factory=dict)
    invalid_lines: list[int] = field(default_factory=list)


def sheet(
    plans: Sequence[TopicPlan], *, unsure: int = 0, sure: int = 0, invalid: int = 0, seed: int = 5
) -> Sheet:
    """Rows in mixed order; `invalid` of them, spread over the file, have no user message."""
    rng = random.Random(seed)
    topics = [plan for plan in plans for _ in range(plan.count)]
    rng.shuffle(topics)
    kinds: list[Kind] = ["unsure"] * unsure + ["sure"] * sure
    kinds += [("keyword", "embedding")[place % 2] for place in range(len(topics) - len(kinds))]
    rng.shuffle(kinds)
    total, made = len(topics) + invalid, Sheet()
    bad = {round((place + 0.5) * total / invalid) for place in range(invalid)}
    pairs = iter(zip(topics, kinds, strict=True))
    for line in range(1, total + 1):
        if line in bad:
            made.invalid_lines.append(line)
            made.rows.append({"messages": [{"role": "assistant", "content": f"Nobody asked number {line}."}]})
            continue
        plan, kind = next(pairs)
        text = sentence(plan, kind, rng)
        made.truth[text] = (plan.id, kind)
        made.rows.append(
            {"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]}
        )
    return made


def sentence(plan: TopicPlan, kind: Kind, rng: random.Random) -> str:
    words = " ".join(rng.sample(_NEUTRAL, 12))
    said = {"keyword": " and ".join(plan.keywords), "embedding": plan.hint}.get(kind, "this matter")
    return f"About {said}: {words} {rng.randrange(10**6)}?"


def teach(house: House, plans: Sequence[TopicPlan], rows: Sheet, *, named: Sequence[TopicPlan] = ()) -> None:
    """The house's embedder and model know the sheet: they name the topics (`named`, else all) and label rows by its truth."""
    house.embedder.words = {
        plan.id: tuple(word.casefold() for word in (plan.path[-1], *plan.keywords, plan.hint))
        for plan in plans
    }
    house.model.structured["topic_hierarchy"] = lambda data: {
        "topics": [_named(plan) for plan in named or plans]
    }
    house.model.structured["topic_labels"] = lambda data: {
        "labels": [_label(rows.truth, row) for row in data["rows"]]
    }


def _named(plan: TopicPlan) -> Json:
    about = f"Questions about {plan.path[-1].casefold()}"
    return {"path": list(plan.path), "description": about, "keywords": list(plan.keywords), "clusters": [0]}


def _label(truth: Mapping[str, tuple[str, Kind]], row: Json) -> Json:
    topic, kind = truth[row["text"]]
    return {"row": row["row"], "topic": topic, "confidence": UNSURE if kind == "unsure" else SURE}
