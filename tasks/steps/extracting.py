"""Writes rows from passages and checks each against its passage: what `prepare_knowledge` and its proposal share.

By method `model` a batch is two structured calls, one that writes and one that checks; by method `extraction` the rows are stretches of the
passage itself and nothing leaves the machine. Code checks both (`rules.knowledge`). Nothing here writes to the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from storage.records import Json
from tasks.models.port import ModelAnswerInvalid
from tasks.prompts import prompt
from tasks.rules import extraction, grounding
from tasks.rules import knowledge as rules
from tasks.schemas import knowledge_check, knowledge_rows
from tasks.step import StepContext
from tasks.steps.common import asker, cut
from tasks.steps.shared_documents import Passage

Method = Literal["model", "extraction"]
BATCH_TOKENS = 2_400
BATCH_PASSAGES = 8
SHOWN_REJECTIONS = 3  # of a batch
PROMPT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Passages that are asked about together, for one kind of row. `most` limits the rows of each, 0 leaves it to the rule."""

    kind: rules.Kind
    passages: tuple[Passage, ...]
    most: int = 0

    def count(self, passage: Passage) -> int:
        return self.most or rules.rows_for(passage.chunk.tokens)

    @property
    def asked(self) -> int:
        return sum(self.count(passage) for passage in self.passages)


@dataclass(slots=True)
class Written:
    """What came of a batch, as it is checkpointed. `rows` are `{passage, question, answer, quote, verified}`."""

    rows: list[Json] = field(default_factory=list)
    made: int = 0
    unanswered: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    shown: list[Json] = field(default_factory=list)

    def reject(self, code: str, message: str, question: str, kind: str) -> None:
        self.rejected[code] = self.rejected.get(code, 0) + 1
        if sum(one["code"] == code for one in self.shown) < SHOWN_REJECTIONS:
            self.shown.append(
                {"code": code, "kind": kind, "question": cut(question, 160), "why": cut(message, 200)}
            )

    def to_json(self) -> Json:
        return {
            "rows": self.rows,
            "made": self.made,
            "unanswered": self.unanswered,
            "rejected": self.rejected,
            "shown": self.shown,
        }


def batches(passages: Sequence[Passage], wanted: Sequence[rules.Kind]) -> list[Batch]:
    """Every passage once for each kind of row that it is good for, in the order of the documents."""
    made = []
    for kind in wanted:
        suited = [one for one in passages if rules.kinds_for(one.chunk.text, one.chunk.path, (kind,))]
        made += [Batch(kind, group) for group in _by_tokens(suited)]
    return made


async def written(ctx: StepContext, batch: Batch, method: Method) -> Written:
    """The rows of a batch that its passages carry, and what became of the others."""
    found = Written()
    rows: list[tuple[int, rules.Candidate]] = []
    for place, row in await _candidates(ctx, batch, method, found):
        passage = batch.passages[place]
        wrong = rules.check(
            batch.kind, row, passage.chunk.text, passage.chunk.path, rules.Questions(), passage.chunk.id
        )
        if wrong is not None:
            found.reject(wrong.code, wrong.message, row.question, batch.kind)
        else:
            rows.append((place, row))
    verdicts = await _verdicts(ctx, batch, rows) if method == "model" and rows else {}
    for number, (place, row) in enumerate(rows):
        if verdicts.get(number) is False:
            found.reject(
                "not_supported", "A second reading did not find it in the passage.", row.question, batch.kind
            )
            continue
        found.rows.append(
            {
                "passage": place,
                "question": row.question,
                "answer": row.answer,
                "quote": row.quote,
                "verified": number in verdicts,
            }
        )
    return found


# ---------------------------------------------------------------- writing


async def _candidates(
    ctx: StepContext, batch: Batch, method: Method, found: Written
) -> list[tuple[int, rules.Candidate]]:
    if method == "extraction":
        made = [
            (place, row)
            for place, passage in enumerate(batch.passages)
            for row in extraction.candidates(
                batch.kind, passage.chunk.text, passage.chunk.path, batch.count(passage)
            )
        ]
        found.made = len(made)
        return made
    return list(_read(batch, await _asked(ctx, batch, found), found))


async def _asked(ctx: StepContext, batch: Batch, found: Written) -> list[Any]:
    """The model's rows as they came; none when it gave nothing usable, twice."""
    data: Json = {
        "goal": ctx.workflow.goal,
        "passages": [
            {
                "passage": place,
                "document": one.document.name,
                "headings": list(one.chunk.path),
                "text": one.chunk.text,
                "count": batch.count(one),
            }
            for place, one in enumerate(batch.passages)
        ],
    }
    try:
        answer = await asker(ctx, ctx.deps.settings.generator_model).ask(
            prompt(f"knowledge_{batch.kind}"),
            data,
            knowledge_rows(batch.kind),
            temperature=0.4,
            read=lambda given: isinstance(given.get("rows"), list),
        )
    except ModelAnswerInvalid:
        found.unanswered = batch.asked
        return []
    return list(answer["rows"])


def _read(batch: Batch, given: Sequence[Any], found: Written) -> Iterator[tuple[int, rules.Candidate]]:
    """Rows of a known passage and of the right form; the others are counted. No passage gets more than was asked."""
    taken: dict[int, int] = {}
    for one in given[: 2 * batch.asked]:
        found.made += 1
        row = rules.candidate(batch.kind, one) if isinstance(one, Mapping) else None
        place = one.get("passage") if isinstance(one, Mapping) else None
        if row is None:
            found.reject("invalid_structure", "A part of the row is missing.", "", batch.kind)
        elif not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(batch.passages):
            found.reject("unknown_passage", "There is no such passage.", row.question, batch.kind)
        elif taken.get(place, 0) >= batch.count(batch.passages[place]):
            found.reject("too_many", "More rows than were asked for.", row.question, batch.kind)
        else:
            taken[place] = taken.get(place, 0) + 1
            yield place, row


# ---------------------------------------------------------------- checking again


async def _verdicts(
    ctx: StepContext, batch: Batch, rows: Sequence[tuple[int, rules.Candidate]]
) -> dict[int, bool]:
    """What a second reading says of each row: supported only with a quote that is in the passage. Rows that it leaves out are
    not in the answer; where it cannot be had at all, code alone has judged."""
    used = sorted({place for place, _ in rows})
    data: Json = {
        "passages": [{"passage": place, "text": batch.passages[place].chunk.text} for place in used],
        "rows": [
            {"row": number, "passage": place, "question": row.question, "answer": row.answer}
            for number, (place, row) in enumerate(rows)
        ],
    }
    try:
        answer = await asker(ctx, ctx.deps.settings.judge_model).ask(
            prompt("knowledge_check"),
            data,
            knowledge_check(),
            temperature=0.0,
            read=lambda given: isinstance(given.get("checks"), list),
        )
    except ModelAnswerInvalid:
        return {}
    verdicts: dict[int, bool] = {}
    for one in answer["checks"]:
        number = one.get("row") if isinstance(one, Mapping) else None
        if isinstance(number, int) and 0 <= number < len(rows):
            passage = batch.passages[rows[number][0]].chunk.text
            shown = grounding.is_quoted(str(one.get("quote") or ""), passage)
            verdicts[number] = one.get("supported") is True and shown
    return verdicts


def _by_tokens(passages: Sequence[Passage]) -> Iterator[tuple[Passage, ...]]:
    group: list[Passage] = []
    size = 0
    for one in passages:
        if group and (size + one.chunk.tokens > BATCH_TOKENS or len(group) >= BATCH_PASSAGES):
            yield tuple(group)
            group, size = [], 0
        group.append(one)
        size += one.chunk.tokens
    if group:
        yield tuple(group)
