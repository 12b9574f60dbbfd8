"""The dear stage of categorising: a model is asked, in batches, which leaf each text belongs to.

Only known leaves or "none" can be answered. A batch that fails is asked again in two halves, and so on down to a few rows, so
that one text that a server refuses costs nobody else their topic. Texts that differ in nothing but case, spacing and long
numbers are asked once (`text_key`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from storage.records import Json
from tasks.models.port import ModelAnswerInvalid, ModelRefused, Usage
from tasks.prompts import prompt
from tasks.rules.topics import Tree
from tasks.schemas import NONE, topic_labels
from tasks.step import StepContext
from tasks.steps.common import asker

BATCH_ROWS = 32  # models begin to mix rows up in longer lists
FEWEST_ROWS = 4  # a failed batch of so few is given up
HOPELESS = (
    4  # calls that failed, with none that worked: something is wrong with the server, not with the rows
)
_LONG_NUMBER = re.compile(r"\d{4,}")

Asked = tuple[int, str]  # (place, text)


@dataclass(slots=True)
class Labeller:
    """Asks about texts and counts what that took: one for all batches of a share, whose context pays."""

    ctx: StepContext
    leaves: Tree
    worked: int = 0
    failed: int = 0
    known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.known = frozenset({*(leaf.id for leaf in self.leaves), NONE})

    async def ask(self, batch: Sequence[Asked]) -> Json:
        """`{"labels": {place: [topic, confidence]}, "tokens": n}`; rows without an answer are left out.

        Raises `ModelRefused` or `ModelAnswerInvalid` only when nothing has worked at all.
        """
        counted = _Counted(self.ctx)
        return {"labels": await self._labels(batch, counted), "tokens": counted.tokens}

    async def _labels(self, batch: Sequence[Asked], counted: _Counted) -> dict[str, list[object]]:
        """Rows that the model left out are asked once more; a batch that fails, in halves."""
        labels: dict[str, list[object]] = {}
        waiting = list(batch)
        try:
            for _ in range(2):
                labels |= await self._once(waiting, counted)
                self.worked += 1
                waiting = [(place, text) for place, text in batch if str(place) not in labels]
                if not waiting:
                    break
        except (ModelAnswerInvalid, ModelRefused):
            self.failed += 1
            if not self.worked and self.failed >= HOPELESS:
                raise  # a wrong model name, most likely: say so instead of giving up on every row
            if len(waiting) > FEWEST_ROWS:
                half = len(waiting) // 2
                labels |= await self._labels(waiting[:half], counted)
                labels |= await self._labels(waiting[half:], counted)
        return labels

    async def _once(self, rows: Sequence[Asked], counted: _Counted) -> dict[str, list[object]]:
        topics = [
            {
                "id": leaf.id,
                "name": leaf.name,
                "description": leaf.description,
                "keywords": list(leaf.keywords),
            }
            for leaf in self.leaves
        ]
        data: Json = {"topics": topics, "rows": [{"row": place, "text": text} for place, text in rows]}
        model = replace(asker(self.ctx, self.ctx.deps.settings.generator_model), meter=counted.meter)
        schema = topic_labels([leaf.id for leaf in self.leaves])
        answer = await model.ask(prompt("topic_labels"), data, schema, temperature=0.0)
        wanted = {place for place, _ in rows}
        return {
            str(label["row"]): [label["topic"], min(1.0, max(0.0, float(label["confidence"])))]
            for label in answer.get("labels") or ()
            if label.get("row") in wanted and label.get("topic") in self.known
        }


class _Counted:
    """Counts one batch's tokens while they are metered."""

    def __init__(self, ctx: StepContext) -> None:
        self._ctx = ctx
        self.tokens = 0

    def meter(self, model: str, usage: Usage) -> None:
        self._ctx.meter(model, usage)
        self.tokens += usage.input_tokens + usage.output_tokens


def batches(rows: Sequence[Asked], *, tokens: int) -> Iterator[list[Asked]]:
    """At most 32 rows a batch, and about `tokens` tokens of text; a longer text goes alone."""
    batch: list[Asked] = []
    size = 0
    for place, text in rows:
        length = -(-len(text) // 4)
        if batch and (len(batch) == BATCH_ROWS or size + length > tokens):
            yield batch
            batch, size = [], 0
        batch.append((place, text))
        size += length
    if batch:
        yield batch


def text_key(text: str) -> str:
    """The same for texts that ask the same: order and case numbers differ, amounts and codes of up to three digits do not."""
    plain = _LONG_NUMBER.sub("#", " ".join(text.casefold().split()))
    return hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=12).hexdigest()
