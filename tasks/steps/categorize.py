"""Sorts the valid rows into the approved topics, part by part, by a cascade: keywords, similarity, model.

Only rows that a cheaper stage is unsure of reach a dearer one. Labels are columns of a new dataset version. Rows that people sorted
keep their topic while it exists; rows whose topic was renamed, moved or merged follow it and are not sorted again. A batch that fails
leaves its rows uncategorised and loses nothing else; without consent the model is left out and similarity decides, with the
low confidence that it has. What is learned before the parts is in `learning.py`, asking the model in `topic_labels.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage import paths
from storage.codec import from_json, to_json
from storage.errors import StorageError
from storage.manifests import Manifest, PartRef
from storage.records import Json
from storage.rows import UNCATEGORISED, Row
from tasks.rules import topics as topic_rules
from tasks.schemas import NONE
from tasks.sorting.tokens import Ints, Tokens
from tasks.step import Fan, Step, StepContext, StepReport
from tasks.steps.categorised import COLUMNS, report
from tasks.steps.common import pinned_manifest
from tasks.steps.labelling import KEYWORD_ACCEPTED, Label
from tasks.steps.learning import Plan, Sorter, given_topic, learn, load, names_of, text_of
from tasks.steps.parallel import each
from tasks.steps.topic_labels import Labeller, batches, text_key

THRESHOLD = 0.7
IN_THE_RUNNING = 0.2  # share of a new topic from which a row that has a topic is sorted again
EMBEDDED_AT_ONCE = 1_024  # a server's vectors come as lists of numbers: those of a whole part take 300 MB
STAGES = ("keyword", "embedding", "llm")


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `confidence_threshold` 0.7, `mode` unlabeled_only | all, `moved` old leaf → the leaf that took its rows,
    `fresh` leaves for which rows that have a topic are looked at again."""
    manifest, plan = await pinned_manifest(ctx), plan_of(params)
    shares = {f"part{number}": part.rows for number, part in enumerate(manifest.parts)}
    if any(name not in ctx.done for name in shares):
        await learn(ctx, manifest, plan)
        await ctx.spread(shares, label="rows sorted")
    done = {number: ctx.done[name] for number, name in enumerate(shares) if name in ctx.done}
    changed = {number: from_json(PartRef, saved["part"]) for number, saved in done.items()}
    partial = len(done) < len(shares) or any(saved["stopped"] for saved in done.values())
    result = await report(ctx, manifest, changed, done, plan.threshold, partial=partial)
    with suppress(StorageError):
        await asyncio.to_thread(ctx.deps.blobs.delete, paths.learned(ctx.workflow.tenant, ctx.task.id))
    return result


def plan_of(params: Json) -> Plan:
    return Plan(
        mode=str(params.get("mode") or "unlabeled_only"),
        threshold=float(params.get("confidence_threshold") or THRESHOLD),
        moved={old: new for old, new in (params.get("moved") or {}).items() if new},
        fresh=frozenset(params.get("fresh") or ()),
    )


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The same in every process that takes part."""

    manifest: Manifest
    plan: Plan
    sorter: Sorter


async def prepare(ctx: StepContext, params: Json) -> _Prepared:
    return _Prepared(await pinned_manifest(ctx), plan_of(params), await load(ctx))


async def work(ctx: StepContext, prepared: _Prepared, share: str) -> Json:
    """Sort one part. `{part, tokens{stage}, rows{stage}, asked, stopped}`; `asked`: texts that the model was asked about."""
    labeller = Labeller(ctx, topic_rules.leaves(ctx.workflow.topics))
    part = _Part(ctx, prepared, labeller, int(share.removeprefix("part")))
    stopped = await part.sort()
    return {
        "part": to_json(await part.stored()),
        "tokens": part.tokens,
        "rows": part.rows_by,
        "asked": part.asked,
        "stopped": stopped,
    }


# ---------------------------------------------------------------- one part


@dataclass(slots=True)
class _Part:
    ctx: StepContext
    prepared: _Prepared
    labeller: Labeller
    number: int
    columns: dict[str, list[object]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    rows_by: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*STAGES, "uncategorised"), 0))
    asked: int = 0

    @property
    def sorter(self) -> Sorter:
        return self.prepared.sorter

    @property
    def plan(self) -> Plan:
        return self.prepared.plan

    @property
    def leaves(self) -> topic_rules.Tree:
        return self.labeller.leaves

    async def sort(self) -> bool:
        """Label the part's rows; True when stopped, with what was labelled so far."""
        places, texts = await asyncio.to_thread(self._due)
        if not places or self.sorter.linear is None:
            return False
        tokens = self.sorter.keywords.dictionary.tokens(texts)
        unsure = await asyncio.to_thread(self._by_keyword, places, tokens)
        unsure = await self._by_similarity(places, texts, tokens, unsure)
        doubtful = [(places[at], texts[at]) for at in unsure]
        return await self._by_model(doubtful) if doubtful and self.sorter.asks_model else False

    async def stored(self) -> PartRef:
        datasets = self.ctx.deps.datasets
        return await asyncio.to_thread(
            datasets.set_columns, self.prepared.manifest, self.number, self.columns
        )

    # -------------------------------------------------------- which rows

    def _due(self) -> tuple[list[int], list[str]]:
        """(places, texts) of the rows to sort; those that follow their topic or have one from people are settled here."""
        datasets, manifest = self.ctx.deps.datasets, self.prepared.manifest
        found = datasets.columns(manifest, self.number, COLUMNS)
        self.columns = {name: list(values) for name, values in found.items()}
        known, names = {leaf.id for leaf in self.leaves}, names_of(self.leaves)
        due: list[int] = []
        texts: list[str] = []
        standing: list[tuple[int, str]] = []
        for place, row in enumerate(datasets.rows(manifest, self.number)):
            if not row.valid or self._is_settled(place, row, names):
                continue
            if self._is_due(place, known):
                due.append(place)
                texts.append(text_of(row))
            elif self.plan.fresh and row.topic_method != "manual":
                standing.append((place, text_of(row)))
        again = self._looked_at_again(standing) if standing else []
        return [*due, *(place for place, _ in again)], [*texts, *(text for _, text in again)]

    def _is_settled(self, place: int, row: Row, names: dict[str, str]) -> bool:
        """Whether people sorted the row. A row whose topic was renamed, moved or merged follows it, whoever sorted it."""
        now = self.plan.moved.get(row.topic or "")
        if now is not None:
            self.columns["topic"][place], self.columns["previous_topic"][place] = now, row.topic
        topic = now or row.topic
        if row.topic_method == "manual" and topic in names.values():
            return True
        given = given_topic(row, names) if now is None else ""
        if given:
            self._set(place, Label(given, 1.0), "manual")
        return bool(given)

    def _is_due(self, place: int, known: set[str]) -> bool:
        topic = self.columns["topic"][place]
        stands = topic in known
        lost = topic == UNCATEGORISED and not self.plan.fresh
        return self.plan.everything or not (stands or lost)

    def _looked_at_again(self, standing: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        """Rows that have a topic, and for which a new topic is in the running; those of doubtful topic among them."""
        sorter, fresh = self.sorter, [leaf.id in self.plan.fresh for leaf in self.leaves]
        tokens = sorter.keywords.dictionary.tokens([text for _, text in standing])
        best, _ = sorter.keywords.guesses(tokens)
        wanted = (best >= 0) & np.array(fresh)[best]
        if sorter.weights is not None and sorter.linear is not None:
            shares = sorter.linear.shares(sorter.weights.matrix(tokens))
            wanted |= shares[:, fresh].max(axis=1, initial=0.0) >= IN_THE_RUNNING
        sure = np.array([self._confidence(place) for place, _ in standing])
        return [standing[at] for at in np.flatnonzero(wanted | (sure < self.plan.threshold)).tolist()]

    def _confidence(self, place: int) -> float:
        value = self.columns["topic_confidence"][place]
        return float(value) if isinstance(value, int | float) else 1.0

    # -------------------------------------------------------- the stages

    def _by_keyword(self, places: list[int], tokens: Tokens) -> Ints:
        """Those that keywords are not sure of. Confidence shrinks where keywords turned out to be wrong too often."""
        best, confidence = self.sorter.keywords.guesses(tokens)
        confidence = confidence * min(1.0, self.sorter.keywords_right / KEYWORD_ACCEPTED)
        sure = confidence >= KEYWORD_ACCEPTED
        self._set_all(np.flatnonzero(sure), places, best, confidence, "keyword")
        return np.flatnonzero(~sure)

    async def _by_similarity(self, places: list[int], texts: list[str], tokens: Tokens, unsure: Ints) -> Ints:
        """Those that similarity is not sure of either; without a model to ask, its best guess stands."""
        if not len(unsure) or not self.sorter.trusts_similarity:
            return unsure
        best, confidence = await self._guesses(texts, tokens, unsure)
        sure = (
            confidence >= self.plan.threshold if self.sorter.asks_model else np.ones(len(unsure), dtype=bool)
        )
        self._set_all(np.flatnonzero(sure), [places[at] for at in unsure], best, confidence, "embedding")
        return unsure[~sure]

    async def _guesses(
        self, texts: list[str], tokens: Tokens, unsure: Ints
    ) -> tuple[Ints, NDArray[np.float64]]:
        linear, weights = self.sorter.linear, self.sorter.weights
        if linear is None:
            raise RuntimeError("nothing was learned, so there is nothing to guess with")
        if weights is not None:
            return await asyncio.to_thread(lambda: linear.guesses(weights.matrix(tokens)[unsure]))
        best: list[Ints] = []
        confidence: list[NDArray[np.float64]] = []
        for start in range(0, len(unsure), EMBEDDED_AT_ONCE):
            compared = [texts[at] for at in unsure[start : start + EMBEDDED_AT_ONCE]]
            vectors = await self.ctx.deps.embedder.embed(compared)
            self.tokens["embedding"] += sum(-(-len(text) // 4) for text in compared)
            found = linear.guesses(np.asarray(vectors, dtype=np.float32))
            best.append(found[0])
            confidence.append(found[1])
        return np.concatenate(best), np.concatenate(confidence)

    async def _by_model(self, doubtful: list[tuple[int, str]]) -> bool:
        """Ask about each different text once; True when stopped before all were asked."""
        ctx, prefix = self.ctx, f"part{self.number}/row"
        alike: dict[str, list[int]] = {}
        for place, text in doubtful:
            alike.setdefault(text_key(text), []).append(place)
        text_at = dict(doubtful)
        for key in [key for key in alike if key in self.sorter.answers]:
            self._take(alike.pop(key), self.sorter.answers[key])
        groups = {places[0]: places for places in alike.values()}
        for saved in [value for name, value in ctx.done.items() if name.startswith(prefix)]:
            self._take_saved(groups, saved)
        total, finished = len(groups), 0

        async def one(batch: list[tuple[int, str]]) -> None:
            nonlocal finished
            saved = await self.labeller.ask(batch)
            saved["rows"] = [place for place, _ in batch]
            self._take_saved(groups, saved)
            await ctx.checkpoint(f"{prefix}{batch[0][0]}", saved)
            finished += len(batch)
            await ctx.progress(finished, total, f"{finished:,} of {total:,} doubtful rows asked")

        waiting = [(place, text_at[place]) for place in groups]
        size = ctx.deps.settings.label_batch_tokens
        return await each(batches(waiting, tokens=size), one, stop=ctx.cancelled)

    # -------------------------------------------------------- writing labels down

    def _take_saved(self, groups: dict[int, list[int]], saved: Json) -> None:
        """Each row of a batch, and those that ask the same, get what the model said; left out by it, they fit nowhere."""
        self.tokens["llm"] += int(saved["tokens"])
        self.asked += len(saved["rows"])
        for place in saved["rows"]:
            self._take(groups.pop(place, []), saved["labels"].get(str(place), (NONE, 0.0)))

    def _take(self, places: Sequence[int], answer: Sequence[object]) -> None:
        topic, confidence = str(answer[0]), float(str(answer[1]))
        label = Label(UNCATEGORISED, 0.0) if topic == NONE else Label(topic, confidence)
        for place in places:
            self._set(place, label, "llm")

    def _set_all(
        self,
        which: Ints,
        places: list[int],
        best: Ints,
        confidence: NDArray[np.float64],
        method: str,
    ) -> None:
        for at, topic, sure in zip(
            which.tolist(), best[which].tolist(), confidence[which].tolist(), strict=True
        ):
            self._set(places[at], Label(self.leaves[topic].id, sure), method)

    def _set(self, place: int, label: Label, method: str) -> None:
        before = self.columns["topic"][place]
        if before and before != label.topic and before != UNCATEGORISED:
            self.columns["previous_topic"][place] = before
        lost = label.topic == UNCATEGORISED
        self.columns["topic"][place] = label.topic
        self.columns["topic_confidence"][place] = None if lost else round(label.confidence, 4)
        self.columns["topic_method"][place] = None if lost else method
        stage = "uncategorised" if lost else "given" if method == "manual" else method
        self.rows_by[stage] = self.rows_by.get(stage, 0) + 1


CATEGORIZE = Step(
    name="categorize",
    title="Sorting rows into topics",
    body=run,
    step="categorize",
    needs=("valid_rows", "topics"),
    timeout_seconds=6 * 3600,
    fan=Fan(prepare=prepare, work=work),
)
