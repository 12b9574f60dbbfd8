"""Which rows a round of generation still has to make: the plan, less what earlier rounds of the same request have kept.

A request is what was asked for, numbers included; its id is the same whenever the same is asked for again. A round that was
stopped is gone on with by asking again; one that ran to its end only where people say so, because "30 more" twice is sixty.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from storage.records import GenerationRound, Json

ASKED = (
    "strategy",
    "generation_mode",
    "target_topics",
    "count_per_topic",
    "record_ids",
    "variations_per_record",
    "base_scenario",
    "aspects",
    "tool_patterns",
)
ROUNDS_KEPT = 100


@dataclass(frozen=True, slots=True)
class Want:
    """Rows to make: of a topic (a leaf's id), or grown from one seed row (a record's id)."""

    topic: str
    count: int
    seed: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier rounds of a request have come to."""

    rounds: int = 0
    asked: int = 0
    by_topic: Mapping[str, int] | None = None
    by_seed: Mapping[str, int] | None = None

    @property
    def kept(self) -> int:
        return sum((self.by_seed or self.by_topic or {}).values())


def request_id(params: Mapping[str, object]) -> str:
    """The same for the same request; what is not given counts as empty."""
    plain = {name: params.get(name) or "" for name in ASKED}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def earlier(rounds: Sequence[GenerationRound], request: str, *, go_on: bool | None = None) -> Earlier:
    """What counts toward the request. `go_on` None goes on only with a round that was stopped; False never, True always."""
    own = [made for made in rounds if made.request == request]
    if not own or go_on is False or (go_on is None and not own[-1].stopped):
        return Earlier()
    chain: list[GenerationRound] = []
    for made in reversed(own):
        chain.append(made)
        if not made.continued:
            break
    return Earlier(
        rounds=len(chain),
        asked=sum(made.asked for made in chain),
        by_topic=_summed([made.by_topic for made in chain]),
        by_seed=_summed([made.by_seed for made in chain]),
    )


def left(wants: Sequence[Want], before: Earlier) -> tuple[Want, ...]:
    """The plan without what is there already."""
    topics, seeds = before.by_topic or {}, before.by_seed or {}
    rest = [
        replace(
            want, count=want.count - (seeds.get(want.seed, 0) if want.seed else topics.get(want.topic, 0))
        )
        for want in wants
    ]
    return tuple(want for want in rest if want.count > 0)


def with_round(rounds: Sequence[GenerationRound], made: GenerationRound) -> tuple[GenerationRound, ...]:
    """The history with one more round. Counts by seed row are kept for the newest request only: they may be many."""
    slim = [one if one.request == made.request else replace(one, by_seed={}) for one in rounds]
    return (*slim, made)[-ROUNDS_KEPT:]


def earlier_json(before: Earlier) -> Json:
    return {"rounds": before.rounds, "asked": before.asked, "kept": before.kept}


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total
