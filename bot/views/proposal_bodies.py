"""What each kind of proposal says before it is decided: one function a kind, from the payload to blocks (docs/events.md).

The frame around it (cost, who decides, buttons, what became of it) is `proposals.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.views import cleaning, knowledge, rows
from bot.views.generation_proposals import augmentation, generation, voices
from bot.views.kit import (
    Block,
    bullets,
    context,
    count,
    fields,
    figure,
    listed,
    mapped,
    more,
    percent,
    real,
    say,
    section,
    table,
    whole,
)
from bot.views.topics import outline
from bot.views.training import hyperparameters
from storage.records import Json, ProposalKind

Body = Sequence[Block | None]
FOUND = {
    "auto": "Found by looking at your rows.",
    "template": "From a template.",
    "documents": "Taken from your documents.",
    "manual": "As you wrote them.",
    "edited": "With your change.",
    "goal": "From the goal alone: there are no rows yet. Once these are approved, I propose the rows.",
}
GRADERS = {
    "llm_as_judge": "A model judges by weighted criteria",
    "script": "A Python script",
    "string_check": "A comparison of strings",
    "text_similarity": "Similarity to the reference",
    "label_model": "A model that labels",
    "multi": "Several graders together",
}


def _topics(payload: Json) -> Body:
    nodes = listed(payload.get("hierarchy"))
    lines = outline(nodes)
    loses = {str(key): whole(number) for key, number in mapped(payload.get("loses")).items() if whole(number)}
    changes = [say(_change(change), 160) for change in listed(payload.get("changes"))]
    losing = ", ".join(f"{_called(topic)} {number:,}" for topic, number in list(loses.items())[:6]) + more(
        6, len(loses)
    )
    return [
        section(FOUND.get(str(payload.get("method")), "Proposed for your rows.")),
        section("*Changed*\n" + bullets(changes, 8) if changes else ""),
        *_paragraphs(lines, 60),
        section(f"⚠️ Rows that would lose their topic and be sorted again: {losing}" if loses else ""),
        context(voices(payload)),
    ]


def _called(topic: str) -> str:
    """A topic that is gone from the tree, by its id alone."""
    return say(topic.rpartition("/")[2].replace("_", " ").capitalize(), 60)


def _grader(payload: Json) -> Body:
    config = mapped(payload.get("config"))
    criteria = [mapped(item) for item in listed(config.get("criteria"))]
    weak = [mapped(item) for item in listed(payload.get("weaknesses"))]
    diff = [say(change, 160) for change in listed(payload.get("diff"))]
    test = mapped(payload.get("test"))
    source = str(config.get("source") or "")
    preset = f", preset {say(payload['preset'], 40)}" if payload.get("preset") else ""
    return [
        section(f"*{_kind(payload)}*{preset}: every answer gets a score from 0 to 1."),
        table(
            ("Criterion", "Weight", "What it asks"),
            [_criterion(item) for item in criteria],
            numbers=(1,),
            most=15,
        ),
        section(f"```{_code(source)}```" if source else _settings(config, criteria)),
        section("*Changed since the last version*\n" + bullets(diff, 8) if diff else ""),
        section(
            f"*Tested:* mean {figure(test.get('mean'))}, std {figure(test.get('std'))}, errors {whole(test.get('errors'))}"
            if test
            else ""
        ),
        section("*Ways to fool it*\n" + bullets([_weakness(item) for item in weak], 4) if weak else ""),
        *_warnings(payload),
    ]


def _training(payload: Json) -> Body:
    rows, cost = mapped(payload.get("rows")), mapped(payload.get("cost"))
    as_of = f" (prices of {say(cost['as_of'], 20)})" if cost.get("as_of") else ""
    return [
        fields(
            [
                ("Base model", say(payload.get("base_model") or "", 80)),
                ("Method", say(payload.get("method") or "", 40)),
                ("Training rows", f"{whole(rows.get('train')):,}"),
                ("Validation rows", f"{whole(rows.get('validation')):,}"),
                ("Settings", hyperparameters(mapped(payload.get("hyperparameters")))),
                (
                    "Estimate",
                    f"${figure(cost.get('low'))} – ${figure(cost.get('high'))}{as_of}" if cost else "",
                ),
            ]
        ),
        context(f"Formula: {say(cost['formula'], 300)}" if cost.get("formula") else ""),
        *_warnings(payload),
    ]


def _deployment(payload: Json) -> Body:
    mode = str(payload.get("mode") or "new_endpoint")
    words = {"new_endpoint": "It gets an address of its own; nothing that answers today changes."}
    return [
        fields(
            [
                ("Model", f"`{say(payload.get('model') or '', 120)}`"),
                ("Mode", say(mode.replace("_", " "), 40)),
            ]
        ),
        section(words.get(mode, "")),
        *_warnings(payload),
    ]


def _skip(payload: Json) -> Body:
    return [
        section(
            f"Skip *{say(str(payload.get('title') or payload.get('step') or '').replace('_', ' '), 60)}* on purpose."
        ),
        fields([("Why", say(payload.get("reason") or "not said", 300))]),
        section(f"⚠️ {say(payload['warning'], 300)}" if payload.get("warning") else ""),
    ]


def _rollback(payload: Json) -> Body:
    stale = [say(str(step).replace("_", " "), 40) for step in listed(payload.get("stale"))]
    return [
        section(
            f"Go back to before *{say(str(payload.get('step') or payload.get('to') or '').replace('_', ' '), 60)}*: dataset, topics and grader as they stood then."
        ),
        section("*Will be marked stale* (kept, not destroyed)\n" + bullets(stale, 8) if stale else ""),
    ]


def _delete(payload: Json) -> Body:
    owns = [say(item, 120) for item in listed(payload.get("owns"))]
    return [
        section(
            f"Delete *{say(payload.get('name') or 'this', 100)}*"
            + (f" with {count(payload.get('rows'), 'row')}." if payload.get("rows") else ".")
        ),
        section("*It alone owns*\n" + bullets(owns, 8) if owns else ""),
        section("⚠️ This cannot be undone."),
    ]


def _override(payload: Json) -> Body:
    findings = [say(mapped(item).get("message") or item, 240) for item in listed(payload.get("findings"))]
    what = "the dry run's verdict" if payload.get("what") == "verdict" else "the analysis of the training"
    return [
        section(f"Go on against {what}. It is recorded who allowed it and why."),
        fields([("Why", say(payload.get("reason") or "not said", 300))]),
        section("*What was found*\n" + bullets(findings, 6) if findings else ""),
    ]


def _consent(payload: Json) -> Body:
    what = [say(item, 160) for item in listed(payload.get("what"))]
    return [
        section(
            f"May rows of this workspace's datasets be sent to *{say(payload.get('provider') or 'the provider', 120)}*?"
        ),
        section("*What would be sent*\n" + bullets(what, 6) if what else ""),
        section("Until somebody agrees, only methods that stay on our machines see rows."),
    ]


BODIES: dict[ProposalKind, Callable[[Json], Body]] = {
    "topics": _topics,
    "generation": generation,
    "augmentation": augmentation,
    "grader": _grader,
    "training": _training,
    "deployment": _deployment,
    "skip": _skip,
    "rollback": _rollback,
    "delete": _delete,
    "override": _override,
    "consent": _consent,
    "clean": cleaning.proposal,
    "rows": rows.proposal,
    "knowledge": knowledge.proposal,
}


def _change(change: object) -> object:
    found = mapped(change)
    return (
        found.get("text") or found.get("summary") or " ".join(str(value) for value in found.values())
        if found
        else change
    )


def _paragraphs(lines: list[str], most: int) -> Body:
    shown = lines[:most]
    rest = more(len(shown), len(lines), "topics")
    chunks = [shown[index : index + 20] for index in range(0, len(shown), 20)]
    return [*(section("\n".join(chunk)) for chunk in chunks), context(rest)]


def _kind(payload: Json) -> str:
    kind = str(payload.get("kind") or "grader")
    return GRADERS.get(kind, say(kind.replace("_", " "), 40))


def _criterion(item: dict[str, object]) -> tuple[object, ...]:
    return (item.get("name") or "", percent(item.get("weight")), item.get("description") or "")


def _settings(config: dict[str, object], criteria: list[dict[str, object]]) -> str:
    if criteria:
        return ""
    shown = [
        f"{say(name.replace('_', ' '), 40)}: {say(value, 200)}"
        for name, value in config.items()
        if real(value) is not None or isinstance(value, str)
    ]
    return bullets(shown, 8)


def _code(source: str) -> str:
    cut = source if len(source) <= 1_800 else source[:1_800] + "\n…"
    return cut.replace("```", "'''").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _weakness(item: dict[str, object]) -> str:
    return f"{say(str(item.get('attack') or '').replace('_', ' '), 60)}: scores {figure(item.get('score'))}. {say(item.get('text') or '', 160)}"


def _warnings(payload: Json) -> Body:
    lines = [say(mapped(item).get("message") or item, 240) for item in listed(payload.get("warnings"))]
    return [section("⚠️ *Mind*\n" + bullets(lines, 6))] if lines else []
