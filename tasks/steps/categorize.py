"""Sorts the valid rows into the approved topics, part by part, by a cascade: keywords, similarity, model.

Only rows that a cheaper stage is unsure of reach a dearer one. Labels are columns of a new dataset version. Rows that people sorted
keep their topic while it exists. A batch that fails leaves its rows uncategorised and loses nothing else; without consent the
model is left out and similarity decides, with the low confidence that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from storage.codec import from_json, to_json
from storage.manifests import Manifest, PartRef
from storage.records import Json
from storage.rows import UNCATEGORISED, Row, last_user_message
from tasks.models.offline import OfflineEmbedder
from tasks.models.port import Embedder, ModelAnswerInvalid, ModelRefused
from tasks.prompts import prompt
from tasks.rules import topics as topic_rules
from tasks.schemas import NONE, topic_labels
from tasks.step import Step, StepContext, StepReport
from tasks.steps.categorised import COLUMNS, report
from tasks.steps.common import (
    asker,
    may_send_rows,
    pinned_manifest,
)
from tasks.steps.labelling import KEYWORD_ACCEPTED, Keywords, Label, Similarity, fitted
from tasks.steps.parallel import each

THRESHOLD = 0.7
TEXT_CHARACTERS = 1_500
BATCH_ROWS = 20
BATCH_CHARACTERS = 16_000
CALIBRATION_ROWS = 600


@dataclass(slots=True)
class Sorter:
    """What the cascade needs, prepared once. `tokens` and `rows` count what each stage did."""

    ctx: StepContext
    leaves: topic_rules.Tree
    threshold: float
    everything: bool
    moved: Mapping[str, str]
    keywords: Keywords
    embedder: Embedder
    similarity: Similarity
    asks_model: bool
    failed_batches: int = 0
    asked_batches: int = 0

    @property
    def known(self) -> set[str]:
        return {leaf.id for leaf in self.leaves}


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `confidence_threshold` 0.7, `mode` unlabeled_only | all, `moved` old leaf → the leaf that took its rows."""
    manifest = await pinned_manifest(ctx)
    threshold = float(params.get("confidence_threshold") or THRESHOLD)
    parts = {
        number: saved for number in range(len(manifest.parts)) if (saved := ctx.done.get(f"part{number}"))
    }
    stopped = False
    if len(parts) < len(manifest.parts):
        moved = {old: new for old, new in (params.get("moved") or {}).items() if new}
        sorter = await _prepared(
            ctx, manifest, threshold, everything=params.get("mode") == "all", moved=moved
        )
        stopped = await _all_parts(sorter, manifest, parts)
    changed = {number: from_json(PartRef, saved["part"]) for number, saved in parts.items()}
    return await report(ctx, manifest, changed, parts, threshold, partial=stopped)


async def _all_parts(sorter: Sorter, manifest: Manifest, parts: dict[int, Json]) -> bool:
    """Label every part that has not been done; True when somebody stopped it."""
    ctx = sorter.ctx
    done = sum(manifest.parts[number].rows for number in parts)
    total = manifest.totals.rows
    for number, part in enumerate(manifest.parts):
        if number in parts:
            continue
        if ctx.cancelled():
            return True
        await ctx.progress(done, total, f"{done:,} of {total:,} rows sorted")
        labelled = _Part(sorter, manifest, number)
        stopped = await labelled.sort(done, total)
        saved: Json = {
            "part": to_json(await labelled.stored()),
            "tokens": labelled.tokens,
            "rows": labelled.rows_by,
        }
        parts[number] = saved
        if stopped:
            return True
        await ctx.checkpoint(f"part{number}", saved)
        done += part.rows
    return False


# ---------------------------------------------------------------- preparing


async def _prepared(
    ctx: StepContext, manifest: Manifest, threshold: float, *, everything: bool, moved: Mapping[str, str]
) -> Sorter:
    leaves = topic_rules.leaves(ctx.workflow.topics)
    keywords = Keywords(leaves)
    rows = await asyncio.to_thread(ctx.deps.datasets.sample, manifest, CALIBRATION_ROWS, seed=1)
    texts = [_text(row) for row in rows]
    described = [f"{leaf.name}. {leaf.description} {' '.join(leaf.keywords)}" for leaf in leaves]
    sending = await may_send_rows(ctx)
    embedder, vectors = await _embedded(ctx, described, texts, sending=sending)
    known: dict[str, list[list[float]]] = {}
    for row, text, vector in zip(rows, texts, vectors[len(leaves) :], strict=True):
        topic = _known_topic(row, text, keywords)
        if topic:
            known.setdefault(topic, []).append(vector)
    similarity = await asyncio.to_thread(
        fitted, {leaf.id: vector for leaf, vector in zip(leaves, vectors, strict=False)}, known
    )
    return Sorter(
        ctx=ctx,
        leaves=leaves,
        threshold=threshold,
        everything=everything,
        moved=moved,
        keywords=keywords,
        embedder=embedder,
        similarity=similarity,
        asks_model=sending,
    )


async def _embedded(
    ctx: StepContext, described: list[str], texts: list[str], *, sending: bool
) -> tuple[Embedder, list[list[float]]]:
    if sending and not isinstance(ctx.deps.embedder, OfflineEmbedder):
        try:
            return ctx.deps.embedder, await ctx.deps.embedder.embed([*described, *texts])
        except (ModelRefused, ModelAnswerInvalid):
            pass  # a server without embeddings: compare offline
    offline = await asyncio.to_thread(OfflineEmbedder().fit, [*described, *texts])
    return offline, await offline.embed([*described, *texts])


def _known_topic(row: Row, text: str, keywords: Keywords) -> str:
    """A topic that somebody gave by hand, or that keywords are sure of: what similarity is calibrated on."""
    if row.topic_method == "manual" and row.topic:
        return row.topic
    label = keywords.label(text)
    return label.topic if label and label.confidence >= KEYWORD_ACCEPTED else ""


# ---------------------------------------------------------------- one part


@dataclass(slots=True)
class _Part:
    sorter: Sorter
    manifest: Manifest
    number: int
    columns: dict[str, list[object]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=lambda: {"keyword": 0, "embedding": 0, "llm": 0})
    rows_by: dict[str, int] = field(
        default_factory=lambda: {"keyword": 0, "embedding": 0, "llm": 0, "uncategorised": 0}
    )

    async def sort(self, done: int, total: int) -> bool:
        """Label the part's rows; True when stopped, with what was labelled so far."""
        datasets = self.sorter.ctx.deps.datasets
        found = await asyncio.to_thread(datasets.columns, self.manifest, self.number, COLUMNS)
        self.columns = {name: list(values) for name, values in found.items()}
        rows = await asyncio.to_thread(lambda: list(datasets.rows(self.manifest, self.number)))
        rows = [self._followed(place, row) for place, row in enumerate(rows)]
        due = [(place, _text(row)) for place, row in enumerate(rows) if self._is_due(row)]
        unsure = [(place, text) for place, text in due if not self._by_keyword(place, text)]
        unsure = await self._by_similarity(unsure)
        if not unsure or not self.sorter.asks_model:
            return False
        return await self._by_model(unsure, done, total)

    async def stored(self) -> PartRef:
        return await asyncio.to_thread(
            self.sorter.ctx.deps.datasets.set_columns, self.manifest, self.number, self.columns
        )

    def _followed(self, place: int, row: Row) -> Row:
        """A row that people sorted goes along when its topic was merged, moved or renamed."""
        now = self.sorter.moved.get(row.topic or "")
        if now is None or row.topic_method != "manual":
            return row
        self.columns["topic"][place], self.columns["previous_topic"][place] = now, row.topic
        return msgspec.structs.replace(row, topic=now)

    def _is_due(self, row: Row) -> bool:
        if not row.valid:
            return False
        stands = row.topic in self.sorter.known
        if stands and row.topic_method == "manual":
            return False
        return self.sorter.everything or not (stands or row.topic == UNCATEGORISED)

    def _by_keyword(self, place: int, text: str) -> bool:
        label = self.sorter.keywords.label(text)
        if label is None or label.confidence < KEYWORD_ACCEPTED:
            return False
        self._set(place, label, "keyword")
        return True

    async def _by_similarity(self, unsure: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Those that similarity is not sure of either; without a model to ask, its best guess stands."""
        if not unsure:
            return []
        vectors = await self.sorter.embedder.embed([text for _, text in unsure])
        left = []
        labels = await asyncio.to_thread(self.sorter.similarity.labels, vectors)
        for (place, text), label in zip(unsure, labels, strict=True):
            if label.confidence >= self.sorter.threshold or not self.sorter.asks_model:
                self._set(place, label, "embedding")
            else:
                left.append((place, text))
        if not isinstance(self.sorter.embedder, OfflineEmbedder):
            self.tokens["embedding"] += sum(-(-len(text) // 4) for _, text in unsure)
        return left

    async def _by_model(self, unsure: list[tuple[int, str]], done: int, total: int) -> bool:
        ctx, prefix = self.sorter.ctx, f"part{self.number}.row"
        for saved in [value for name, value in ctx.done.items() if name.startswith(prefix)]:
            self._take([(int(place), "") for place in saved["labels"]], saved)
            unsure = [(place, text) for place, text in unsure if str(place) not in saved["labels"]]
        batches = list(_batches(unsure))
        finished = 0

        async def one(batch: list[tuple[int, str]]) -> None:
            nonlocal finished
            labels = await self._asked(batch)
            self._take(batch, labels)
            await ctx.checkpoint(f"{prefix}{batch[0][0]}", labels)
            finished += 1
            here = done + self.manifest.parts[self.number].rows * finished // len(batches)
            await ctx.progress(here, total, f"{here:,} of {total:,} rows sorted")

        return await each(batches, one, stop=ctx.cancelled)

    async def _asked(self, batch: Sequence[tuple[int, str]]) -> Json:
        """`{"labels": {row: [topic, confidence]}, "tokens": n}`; rows that the model left out are asked once more."""
        counted = _Counted(self.sorter.ctx)
        labels: dict[str, list[object]] = {}
        waiting = list(batch)
        self.sorter.asked_batches += 1
        try:
            for _ in range(2):
                labels |= await self._labels(waiting, counted)
                waiting = [(place, text) for place, text in batch if str(place) not in labels]
                if not waiting:
                    break
        except (ModelAnswerInvalid, ModelRefused):
            self.sorter.failed_batches += 1
            if self.sorter.failed_batches == self.sorter.asked_batches >= 4:
                raise  # nothing works: a wrong model name, most likely; say so instead of giving up on every row
        return {"labels": labels, "tokens": counted.tokens}

    async def _labels(self, rows: Sequence[tuple[int, str]], counted: _Counted) -> dict[str, list[object]]:
        settings = self.sorter.ctx.deps.settings
        data: Json = {
            "topics": [
                {
                    "id": leaf.id,
                    "name": leaf.name,
                    "description": leaf.description,
                    "keywords": list(leaf.keywords),
                }
                for leaf in self.sorter.leaves
            ],
            "rows": [{"row": place, "text": text} for place, text in rows],
        }
        model = replace(asker(self.sorter.ctx, settings.generator_model), meter=counted.meter)
        schema = topic_labels([leaf.id for leaf in self.sorter.leaves])
        answer = await model.ask(prompt("topic_labels"), data, schema, temperature=0.0)
        wanted = {place for place, _ in rows}
        allowed = {*self.sorter.known, NONE}
        return {
            str(label["row"]): [label["topic"], min(1.0, max(0.0, float(label["confidence"])))]
            for label in answer.get("labels") or ()
            if label.get("row") in wanted and label.get("topic") in allowed
        }

    def _take(self, batch: Sequence[tuple[int, str]], saved: Json) -> None:
        self.tokens["llm"] += int(saved.get("tokens", 0))
        for place, _ in batch:
            topic, confidence = saved["labels"].get(str(place), (NONE, 0.0))
            if topic == NONE:
                self._set(place, Label(UNCATEGORISED, 0.0), "llm")
            else:
                self._set(place, Label(str(topic), float(confidence)), "llm")

    def _set(self, place: int, label: Label, method: str) -> None:
        before = self.columns["topic"][place]
        if before and before != label.topic and before != UNCATEGORISED:
            self.columns["previous_topic"][place] = before
        lost = label.topic == UNCATEGORISED
        self.columns["topic"][place] = label.topic
        self.columns["topic_confidence"][place] = None if lost else round(label.confidence, 4)
        self.columns["topic_method"][place] = None if lost else method
        self.rows_by["uncategorised" if lost else method] += 1


class _Counted:
    """Counts one batch's tokens while they are metered."""

    def __init__(self, ctx: StepContext) -> None:
        self._ctx = ctx
        self.tokens = 0

    def meter(self, model: str, usage: object) -> None:
        self._ctx.meter(model, usage)  # type: ignore[arg-type]
        self.tokens += getattr(usage, "input_tokens", 0) + getattr(usage, "output_tokens", 0)


def _batches(rows: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    size = 0
    for place, text in rows:
        if batch and (len(batch) == BATCH_ROWS or size + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append((place, text))
        size += len(text)
    if batch:
        yield batch


def _text(row: Row) -> str:
    return last_user_message(row)[:TEXT_CHARACTERS]


CATEGORIZE = Step(
    name="categorize",
    title="Sorting rows into topics",
    body=run,
    step="categorize",
    needs=("valid_rows", "topics"),
    timeout_seconds=6 * 3600,
)
