"""What sorting learns before it begins, once, from a sample spread over the file; every process that sorts parts loads it.

Keywords, uploaded labels and what people sorted teach a linear classifier (`tasks/sorting/`). Where a model may be asked and
the file is large, it labels a few hundred rows first, at random and then where the classifier doubts: so its confidence is measured
on the rows it is for, and few of the others need the model. What is learned is stored as plain arrays under the task's id.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage import paths
from storage.manifests import Manifest
from storage.records import Json
from storage.rows import Row, last_user_message
from tasks.models.offline import OfflineEmbedder
from tasks.models.port import ModelAnswerInvalid, ModelRefused
from tasks.rules import topics as topic_rules
from tasks.schemas import NONE
from tasks.sorting import weights as weighing
from tasks.sorting.calibration import FEWEST, calibrated, reliability
from tasks.sorting.classifier import Lesson, Linear, learned
from tasks.sorting.tokens import Ints
from tasks.step import StepContext
from tasks.steps.common import may_send_rows
from tasks.steps.labelling import KEYWORD_ACCEPTED, Keywords
from tasks.steps.parallel import each
from tasks.steps.topic_labels import Labeller, batches, text_key

LEARNED = "learned"  # the checkpoint
TEXT_CHARACTERS = 1_500
SAMPLE_ROWS = 8_000
TOLD_ROWS = 2_000  # more of those that people sorted
EMBEDDED_ROWS = 1_000  # of the sample, where a server embeds and counts
LEARN_FROM = 1_000  # rows to be sorted; below, the model is asked about whatever is doubtful
FEWEST_PICKS, MOST_PICKS = 100, 400  # rows labelled by the model in one round of learning
ROUNDS = 5
AUDITED = 40  # of the first round: rows that keywords are sure of
FOLDS = 4

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sorted. `fresh`: leaves that are new or mean something else than before; `moved`: old leaf → new leaf."""

    mode: str
    threshold: float
    moved: Mapping[str, str]
    fresh: frozenset[str]

    @property
    def everything(self) -> bool:
        return self.mode == "all"


@dataclass(frozen=True, slots=True)
class Sorter:
    """What was learned, as a process holds it. Without `linear` there is nothing to sort. `answers`: what the model has
    said of texts already, by `text_key`; `keywords_right`: how often keywords are right when they are sure, 1 where nobody asked."""

    keywords: Keywords
    weights: weighing.Weights | None
    linear: Linear | None
    asks_model: bool
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    keywords_right: float = 1.0

    @property
    def trusts_similarity(self) -> bool:
        """Whether similarity may decide although a model could be asked: only when its confidence was measured on something."""
        return self.linear is not None and (not self.asks_model or self.linear.calibration.rows > 0)


async def learn(ctx: StepContext, manifest: Manifest, plan: Plan) -> None:
    """Learn, store and checkpoint, unless that was done before. Raises what asking a model raises."""
    if LEARNED in ctx.done:
        return
    due = due_rows(ctx, manifest, plan)
    sending = await may_send_rows(ctx)
    if not due:
        await ctx.checkpoint(LEARNED, {"idle": True, "asks": sending})
        return
    await ctx.progress(0, manifest.totals.rows, "reading a sample")
    school = await _school(ctx, manifest, plan, sending=sending)
    if sending and due >= LEARN_FROM:
        await school.taught_by_model(due)
    saved, arrays = await asyncio.to_thread(school.report)
    await asyncio.to_thread(
        ctx.deps.blobs.put, paths.learned(ctx.workflow.tenant, ctx.task.id), (_packed(arrays),)
    )
    await ctx.checkpoint(LEARNED, {**saved, "asks": sending})


async def load(ctx: StepContext) -> Sorter:
    """What `learn` stored. Deterministic: every process gets the same."""
    saved, leaves = ctx.done[LEARNED], topic_rules.leaves(ctx.workflow.topics)
    if saved.get("idle"):
        return Sorter(Keywords(leaves), None, None, bool(saved["asks"]))
    data = await asyncio.to_thread(ctx.deps.blobs.get, paths.learned(ctx.workflow.tenant, ctx.task.id))
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    weights = weighing.Weights.from_arrays(arrays) if "dictionary" in arrays else None
    return Sorter(
        keywords=Keywords(leaves, weights.dictionary if weights else None),
        weights=weights,
        linear=Linear.from_arrays(arrays),
        asks_model=bool(saved["asks"]),
        answers=json.loads(str(arrays["answers"])),
        keywords_right=float(saved["keywords_right"]),
    )


def due_rows(ctx: StepContext, manifest: Manifest, plan: Plan) -> int:
    """About how many rows are to be sorted, from the totals. Those that only follow their topic are not among them."""
    totals, known = manifest.totals, {leaf.id for leaf in topic_rules.leaves(ctx.workflow.topics)}
    if plan.everything:
        return totals.valid
    standing = sum(
        found.rows for topic, found in totals.topics.items() if plan.moved.get(topic, topic) in known
    )
    left = totals.valid - standing - totals.uncategorised
    return left + (totals.uncategorised + standing // 5 if plan.fresh else 0)


def text_of(row: Row) -> str:
    return last_user_message(row)[:TEXT_CHARACTERS]


def given_topic(row: Row, names: Mapping[str, str]) -> str:
    """The leaf that people gave the row: by hand, or in a column of the upload; "" where they gave none that is known."""
    if row.topic and row.topic_method in (None, "", "manual") and (found := names.get(_plain(row.topic))):
        return found
    for column in ("topic", "label", "category"):
        value = row.item.get(column)
        if isinstance(value, str) and (found := names.get(_plain(value))):
            return found
    return ""


def names_of(leaves: topic_rules.Tree) -> dict[str, str]:
    """What a leaf may be called in an upload → its id: the id, its path, or its name where only one leaf has it."""
    names: dict[str, list[str]] = {}
    for leaf in leaves:
        for name in {_plain(leaf.id), _plain(leaf.name)}:
            names.setdefault(name, []).append(leaf.id)
    return {name: ids[0] for name, ids in names.items() if len(ids) == 1}


def _plain(name: str) -> str:
    return "/".join(topic_rules.slug(part) for part in name.split("/"))


# ---------------------------------------------------------------- the sample, and what is known of it


async def _school(ctx: StepContext, manifest: Manifest, plan: Plan, *, sending: bool) -> _School:
    leaves = topic_rules.leaves(ctx.workflow.topics)
    serves = sending and not isinstance(ctx.deps.embedder, OfflineEmbedder)
    count = EMBEDDED_ROWS if serves else SAMPLE_ROWS
    rows = await asyncio.to_thread(_sampled, ctx, manifest, count, names_of(leaves))
    texts = [text_of(row) for row in rows]
    described = [f"{leaf.name}. {leaf.description} {' '.join(leaf.keywords)}" for leaf in leaves]
    await ctx.progress(0, manifest.totals.rows, f"comparing {len(texts):,} rows with the topics")
    vectors = await _embedded(ctx, [*described, *texts]) if serves else None
    school = await asyncio.to_thread(_School, ctx, leaves, plan, texts, described, vectors)
    places = {leaf.id: place for place, leaf in enumerate(leaves)}
    for place, row in enumerate(rows):
        school.know(place, row, places)
    return school


def _sampled(ctx: StepContext, manifest: Manifest, count: int, names: Mapping[str, str]) -> list[Row]:
    """Rows spread over the file; and, where people sorted some but the sample holds few of them, more of those: they teach most."""
    datasets = ctx.deps.datasets
    rows = list(datasets.sample(manifest, count, seed=1))
    told = sum(bool(given_topic(row, names)) for row in rows)
    if len(rows) == manifest.totals.valid or not 0 < told < TOLD_ROWS:
        return rows
    seen, chance = {row.id for row in rows}, random.Random(1)
    more: list[Row] = []
    others = (row for row in datasets.iter_rows(manifest) if given_topic(row, names) and row.id not in seen)
    for number, row in enumerate(others):  # each stays with the same chance, and no more than fit are held
        at = number if number < TOLD_ROWS else chance.randrange(number + 1)
        if at < TOLD_ROWS:
            more[at : at + 1] = [row]
    return rows + more


async def _embedded(ctx: StepContext, texts: list[str]) -> NDArray[np.float32] | None:
    try:
        return np.asarray(await ctx.deps.embedder.embed(texts), dtype=np.float32)
    except (ModelRefused, ModelAnswerInvalid):
        return None  # a server without embeddings: compare offline


class _School:
    """The sample: its features, what keywords say, and what is known for sure. Grows as the model answers."""

    def __init__(
        self,
        ctx: StepContext,
        leaves: topic_rules.Tree,
        plan: Plan,
        texts: Sequence[str],
        described: Sequence[str],
        vectors: NDArray[np.float32] | None,
    ) -> None:
        self.ctx, self.leaves, self.plan, self.texts = ctx, leaves, plan, texts
        self.weights: weighing.Weights | None = None
        if vectors is None:
            self.weights, _ = weighing.fitted([*described, *texts])
            self.features, self.described = self.weights.of(texts), self.weights.of(described)
        else:
            self.features, self.described = vectors[len(described) :], vectors[: len(described)]
        self.keywords = Keywords(leaves, self.weights.dictionary if self.weights else None)
        self.keyword, self.keyword_sure = self.keywords.guesses(self.keywords.dictionary.tokens(texts))
        self.sure = np.full(len(texts), -1, dtype=np.int64)
        self.by_people = np.zeros(len(texts), dtype=bool)
        self.first_round = np.zeros(len(texts), dtype=bool)
        self.stands_for = np.ones(len(texts))  # rows of the pool that a picked row was drawn for
        self.answers: dict[str, list[Any]] = {}
        self.labeller = Labeller(ctx, leaves)
        self.tokens = self.asked = 0
        self.names = names_of(leaves)

    def know(self, place: int, row: Row, leaves: Mapping[str, int]) -> None:
        """Note what people said of a row, or what the model said of it in an earlier sorting."""
        topic = given_topic(row, self.names)
        self.by_people[place] = bool(topic)
        if not topic and row.topic_method == "llm" and not self.plan.everything:
            topic = self.plan.moved.get(row.topic or "", row.topic or "")
        self.sure[place] = leaves.get(topic, -1)

    # -------------------------------------------------------- asking the model

    async def taught_by_model(self, due: int) -> None:
        """Rounds of a few hundred rows, for as long as a round spares the model more rows than it takes."""
        picks = min(MOST_PICKS, max(FEWEST_PICKS, due // 50))
        doubtful = due
        for number in range(ROUNDS):
            linear = None if not number else (await asyncio.to_thread(self._fit))[0]
            pool = self._pool(linear)
            now = due * len(pool) // max(1, len(self.texts))
            if self.ctx.cancelled() or now < 2 * picks or (number > 1 and doubtful - now < picks):
                return
            doubtful = now
            await self.ctx.progress(0, due, f"the model labels {picks:,} rows to learn from")
            await self._round(number, self._picked(pool, picks, number))

    def _pool(self, linear: Linear | None) -> Ints:
        """Rows that nothing but the model could sort as things stand."""
        open_rows = (self.sure < 0) & (self.keyword_sure < KEYWORD_ACCEPTED)
        open_rows &= np.array([text_key(text) not in self.answers for text in self.texts])
        if linear is not None:
            open_rows &= linear.guesses(self.features)[1] < self.plan.threshold
        return np.flatnonzero(open_rows)

    def _picked(self, pool: Ints, picks: int, number: int) -> list[int]:
        chance = np.random.default_rng(number)
        chosen = chance.choice(pool, min(picks, len(pool)), replace=False)
        self.stands_for[chosen] = len(pool) / len(chosen)
        if number:
            return sorted(int(place) for place in chosen)
        self.first_round[chosen] = True
        sure = np.flatnonzero((self.keyword_sure >= KEYWORD_ACCEPTED) & ~self.by_people)
        audited = chance.choice(sure, min(AUDITED, len(sure)), replace=False)
        return sorted(int(place) for place in (*chosen, *audited))

    async def _round(self, number: int, picked: list[int]) -> None:
        prefix = f"learn{number}.row"
        known = {place for saved in self._saved(prefix) for place in saved["labels"]}
        asked: dict[str, int] = {}
        for place in picked:
            asked.setdefault(text_key(self.texts[place]), place)
        waiting = [(place, self.texts[place]) for place in sorted(asked.values()) if str(place) not in known]
        size = self.ctx.deps.settings.label_batch_tokens

        async def one(batch: list[tuple[int, str]]) -> None:
            await self.ctx.checkpoint(f"{prefix}{batch[0][0]}", await self.labeller.ask(batch))

        await each(batches(waiting, tokens=size), one, stop=self.ctx.cancelled)
        for saved in self._saved(prefix):
            self._take(saved)

    def _saved(self, prefix: str) -> list[Json]:
        return [self.ctx.done[name] for name in sorted(self.ctx.done) if name.startswith(prefix)]

    def _take(self, saved: Json) -> None:
        places = {leaf.id: place for place, leaf in enumerate(self.leaves)}
        self.tokens += int(saved["tokens"])
        self.asked += len(saved["labels"])
        for place, (topic, confidence) in saved["labels"].items():
            self.answers[text_key(self.texts[int(place)])] = [topic, confidence]
            if topic != NONE:
                self.sure[int(place)] = places[topic]

    # -------------------------------------------------------- learning, and how well

    def report(self) -> tuple[Json, dict[str, Numbers]]:
        """(the checkpoint, the arrays to store)."""
        linear, held_out = self._fit()
        arrays = {**linear.arrays(), "answers": np.array(json.dumps(self.answers))}
        if self.weights is not None:
            arrays |= self.weights.arrays()
        return {
            "tokens": self.tokens,
            "asked": self.asked,
            "keywords_right": self._keywords_right(),
            "calibrated_on": linear.calibration.rows,
            "reliability": self._reliability(held_out),
        }, arrays

    def _fit(self) -> tuple[Linear, dict[int, tuple[int, float]]]:
        """The classifier, calibrated; and what it thought of each sure text while that was held out: (topic, confidence)."""
        lesson = self._lesson()
        linear, known = learned(lesson), self._held_out()
        if len(known) < FEWEST:
            return linear, {}
        folds = np.arange(len(known)) % FOLDS
        best, share = np.zeros(len(known), dtype=np.int64), np.zeros(len(known))
        for fold in range(FOLDS):
            out = known[folds == fold]
            shares = learned(lesson.without(out)).shares(self.features[out])
            best[folds == fold], share[folds == fold] = shares.argmax(axis=1), shares.max(axis=1)
        truth = np.where(self.sure[known] >= 0, self.sure[known], self.keyword[known])
        right = (best == truth).astype(float)
        weight = self.stands_for[known] / self.stands_for[known].mean()
        claimed = np.zeros(len(known))
        for fold in range(FOLDS):
            inside = folds != fold
            claimed[~inside] = calibrated(share[inside], right[inside], weight[inside]).applied(
                share[~inside]
            )
        said = {int(place): (int(best[at]), float(claimed[at])) for at, place in enumerate(known)}
        return linear.calibrated(calibrated(share, right, weight)), said

    def _lesson(self) -> Lesson:
        votes = np.zeros((len(self.texts), len(self.leaves)))
        hit = np.flatnonzero(self.keyword >= 0)
        strength = np.select(
            [self.keyword_sure[hit] >= KEYWORD_ACCEPTED, self.keyword_sure[hit] >= 0.69], [1.0, 0.7], 0.3
        )
        votes[hit, self.keyword[hit]] = strength
        return Lesson(self.features, self.described, votes, self.sure, fair=bool(self.first_round.any()))

    def _held_out(self) -> Ints:
        """The texts to calibrate on, in mixed order. Embeddings of a server know nothing of our keywords, so rows that
        keywords are sure of will do for them, where too few are known better."""
        known = np.flatnonzero(self.sure >= 0)
        if len(known) < FEWEST and self.weights is None:
            known = np.flatnonzero((self.sure >= 0) | (self.keyword_sure >= KEYWORD_ACCEPTED))
        return np.random.default_rng(0).permutation(known)

    def _keywords_right(self) -> float:
        """Of the rows that keywords are sure of, the share that people or the model see the same way."""
        told = (self.sure >= 0) & (self.keyword_sure >= KEYWORD_ACCEPTED)
        return float((self.keyword[told] == self.sure[told]).mean()) if told.sum() >= FEWEST else 1.0

    def _reliability(self, held_out: Mapping[int, tuple[int, float]]) -> Json:
        """How far confidence is off: on rows that people sorted, else on those of the model's first round, else unknown."""
        people = int(self.by_people.sum()) >= FEWEST
        chosen = [place for place in held_out if (self.by_people if people else self.first_round)[place]]
        chosen = [place for place in chosen if self.sure[place] >= 0]
        said = [self._cheaply(place, *held_out[place]) for place in chosen]
        right = np.array([topic == self.sure[place] for place, (topic, _) in zip(chosen, said, strict=True)])
        found = reliability(np.array([confidence for _, confidence in said]), right)
        return {**found, "against": "people" if people else "model"} if found["measured_on"] else found

    def _cheaply(self, place: int, topic: int, confidence: float) -> tuple[int, float]:
        """What keywords or similarity would make of a text if nobody had said anything of it."""
        sure = self.keyword_sure[place] * min(1.0, self._keywords_right() / KEYWORD_ACCEPTED)
        return (int(self.keyword[place]), float(sure)) if sure >= KEYWORD_ACCEPTED else (topic, confidence)


def _packed(arrays: Mapping[str, Numbers]) -> bytes:
    kept = io.BytesIO()
    np.savez(kept, **arrays)  # type: ignore[arg-type]
    return kept.getvalue()
