"""Judges candidates one after the other, in the order of the plan, and counts what becomes of each.

The rules are `rules.generation`, `rules.tool_chains` and the house's own validation; this gives them what they compare with. Whether
rows are asked for again is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from storage.manifests import Manifest
from storage.records import Json, Topic
from storage.rows import Input, Message, Output, Row, last_user_message, split_conversation
from tasks.near_duplicates import NearIndex
from tasks.rules import generation as rules
from tasks.rules import tool_chains
from tasks.rules import topics as topic_rules
from tasks.rules.validation import check_row, explain
from tasks.step import StepContext
from tasks.steps.common import cut, limits_of
from tasks.steps.labelling import Keywords
from tasks.steps.writing import Room, conversation, prompt_version, tools_for, traits

COMPARED_ROWS = (
    500_000  # rows of the dataset that candidates are compared with, at some 110 bytes of memory each
)
GENERATED_CONFIDENCE = 0.9  # a row written for a topic, to which the keyword stage did not object
SAMPLES, SAMPLES_EACH, SAMPLE_CHARACTERS = 6, 2, 240


@dataclass(slots=True)
class Harvest:
    """What was kept, in the order of the plan, and what was not. `samples` are rejected texts with their reasons."""

    rows: list[Row] = field(default_factory=list)
    made: int = 0
    asked_again: int = 0  # rows asked for once more, because others were rejected
    rejected: dict[str, int] = field(default_factory=dict)
    samples: list[Json] = field(default_factory=list)
    made_by_topic: dict[str, int] = field(default_factory=dict)
    kept_by_want: dict[int, int] = field(default_factory=dict)
    failed: int = 0  # rows of batches that the model answered with nothing usable

    @property
    def by_topic(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.topic or ""] = counts.get(row.topic or "", 0) + 1
        return counts

    def wrote(self, topic: str | None, rows: int = 1) -> None:
        """So many answers came for a topic, whatever becomes of them."""
        self.made += rows
        self.made_by_topic[topic or ""] = self.made_by_topic.get(topic or "", 0) + rows

    def reject(self, rejection: rules.Rejection, text: str) -> None:
        """Count it, and keep a few of each kind to show."""
        self.rejected[rejection.code] = self.rejected.get(rejection.code, 0) + 1
        if self.rejected[rejection.code] <= SAMPLES_EACH and len(self.samples) < SAMPLES:
            shown = {
                "code": rejection.code,
                "message": rejection.message,
                "text": cut(text, SAMPLE_CHARACTERS),
            }
            self.samples.append(shown)


class Judge:
    """`found` grows with every batch that is taken."""

    def __init__(self, ctx: StepContext, manifest: Manifest, room: Room) -> None:
        self.found = Harvest()
        self._ctx = ctx
        self._room = room
        self._near = near_of(ctx, manifest)
        self._predict = _predictor(ctx)
        self._leaves = {leaf.id: leaf.name for leaf in topic_rules.leaves(ctx.workflow.topics)}

    def take(
        self,
        topic: Topic | None,
        examples: Sequence[Row],
        briefs: Sequence[Json],
        wants: Sequence[int],
        answers: Sequence[Json],
    ) -> None:
        """The answers of one batch, each to the brief that it names, else to the one in its place."""
        self.found.wrote(topic.id if topic else None, len(answers))
        self.found.failed += len(briefs) - len(answers)
        for candidate, place in zip(answers, _places(answers, len(briefs)), strict=True):
            self._one(topic, examples, briefs[place], wants[place], candidate)

    def _one(
        self, topic: Topic | None, examples: Sequence[Row], brief: Json, want: int, candidate: Json
    ) -> None:
        seed = _seed_of(examples, brief, candidate)
        messages = conversation(self._room, seed, candidate)
        text = next((str(m.get("content") or "") for m in reversed(messages) if m.get("role") == "user"), "")
        row = self._row(topic, brief, candidate, seed, messages)
        rejection = (
            rules.check(
                messages,
                seeds=[last_user_message(row) for row in examples],
                near=self._near,
                topic=topic.id if topic else None,
                predicted=self._predict(text) if topic else None,
                names=self._leaves,
            )
            or self._misbuilt(row)
            or self._off_chain(brief, candidate, messages, text)
        )
        if rejection is not None:
            self.found.reject(rejection, text)
            return
        self._near.add(f"generated {len(self.found.rows) + 1}", text)
        self.found.rows.append(row)
        self.found.kept_by_want[want] = self.found.kept_by_want.get(want, 0) + 1

    def _misbuilt(self, row: Row) -> rules.Rejection | None:
        """What the house's validation says, and whether a conversation ends with an answer."""
        code, _ = check_row(row, limits_of(self._ctx))
        if code:
            return rules.Rejection("invalid_structure", explain(code, line=0).message)
        if self._room.mode != "sft":
            return None
        last = row.output.messages[-1] if row.output.messages else {}
        if last.get("role") != "assistant" or not str(last.get("content") or "").strip():
            return rules.Rejection("invalid_structure", "The conversation does not end with an answer.")
        return None

    def _off_chain(
        self, brief: Json, candidate: Json, messages: Sequence[Message], text: str
    ) -> rules.Rejection | None:
        if self._room.strategy != "tool_chain":
            return None
        said = "\n".join(str(turn.get("content") or "") for turn in messages if turn.get("role") == "user")
        named = tool_chains.named_tool(said, self._room.catalogue)
        if named:
            return rules.Rejection("names_a_tool", f"The user names the tool {named}.")
        chain = [str(name) for name in brief["tools"]]
        if self._room.mode == "sft":
            problem = tool_chains.chain_problem(messages, chain, self._room.catalogue)
            return rules.Rejection("wrong_tool_calls", problem) if problem else None
        needs = candidate.get("tools")
        if isinstance(needs, list) and needs and [str(name) for name in needs] != chain:
            return rules.Rejection("wrong_tool_calls", f"Needs {' → '.join(map(str, needs))} instead.")
        return None

    def _row(
        self, topic: Topic | None, brief: Json, candidate: Json, seed: Row | None, messages: list[Message]
    ) -> Row:
        given, answer = split_conversation(messages)
        name = topic.id if topic else self._topic_of(seed)
        return Row(
            id="",
            input=Input(messages=given, tools=tools_for(self._room, seed, brief)),
            output=Output(messages=answer),
            provenance={
                "seed": seed.id if seed else "",
                "strategy": self._room.strategy,
                "mode": self._room.mode,
                "persona": cut(str(candidate.get("persona") or brief.get("persona") or ""), 200),
                "model": self._ctx.deps.settings.generator_model,
                "prompt_version": prompt_version(self._room.strategy),
                "task": self._ctx.task.id,
                **traits(self._room, brief),
            },
            topic=name,
            topic_confidence=GENERATED_CONFIDENCE if name else None,
            topic_method="llm" if name else None,
            is_generated=True,
        )

    def _topic_of(self, seed: Row | None) -> str | None:
        """A variation of a sorted row asks the same thing, so it belongs where that row does."""
        varies = self._room.strategy == "message_variation" and seed is not None
        return seed.topic if varies and seed and seed.topic in self._leaves else None


def near_of(ctx: StepContext, manifest: Manifest) -> rules.Near:
    """The dataset's rows, to compare candidates with."""
    near = NearIndex()
    for text, name in _compared(ctx, manifest):
        near.add(name, text)
    return near


def _compared(ctx: StepContext, manifest: Manifest) -> Iterator[tuple[str, str]]:
    for place, row in enumerate(ctx.deps.datasets.iter_rows(manifest)):
        if place >= COMPARED_ROWS:
            return
        yield last_user_message(row), f"row {row.id}"


def _places(answers: Sequence[Json], count: int) -> list[int]:
    """Which brief each answer follows. Numbers count only where every answer names another one."""
    named = [answer.get("row") for answer in answers]
    whole = [place for place in named if isinstance(place, int) and not isinstance(place, bool)]
    if len(set(whole)) == len(answers) and all(0 <= place < count for place in whole):
        return whole
    return list(range(len(answers)))


def _seed_of(examples: Sequence[Row], brief: Json, candidate: Json) -> Row | None:
    """The row that a brief names; without one, the row that the model says it came closest to."""
    if not examples:
        return None
    place = brief.get("seed", candidate.get("seed"))
    return examples[place % len(examples)] if isinstance(place, int) else examples[0]


def _predictor(ctx: StepContext) -> Callable[[str], tuple[str | None, float] | None]:
    """What the keyword stage thinks of a text; None where it has no opinion."""
    keywords = Keywords(topic_rules.leaves(ctx.workflow.topics))

    def predict(text: str) -> tuple[str | None, float] | None:
        label = keywords.label(text)
        return None if label is None else (label.topic, label.confidence)

    return predict
