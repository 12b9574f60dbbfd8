"""Documents: what was read of them, the rows proposed from them, and what came of it, each row beside the passage it cites.

What documents say is shown as somebody's words: escaped, cut, never a link or a mention.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    actions,
    bullets,
    button,
    context,
    count,
    fields,
    header,
    listed,
    mapped,
    rendered,
    say,
    section,
    table,
    whole,
)

KINDS = {
    "concepts": "Questions and answers",
    "procedures": "Instructions with steps",
    "facts": "Questions on a passage",
}
WHY = {
    "not_grounded": "quote not in the passage",
    "not_supported": "answer not in the passage",
    "not_about_passage": "about something else",
    "near_duplicate": "asked already",
    "unknown_passage": "no such passage",
    "invalid_structure": "broken structure",
    "llm_artifact": "a refusal or a template left in",
    "too_short": "too short",
    "too_long": "too long",
    "too_many": "more than asked for",
    "no_answer": "no usable answer of the model",
}


def documents(data: Json) -> Rendered:
    """What was read, document by document, what was not, and what can be made of it."""
    read = [mapped(one) for one in listed(data.get("documents"))]
    problems = [mapped(one) for one in listed(data.get("problems"))]
    workflow = str(data.get("workflow_id") or "")
    outline = [say(line, 120) for one in read[:3] for line in listed(one.get("outline"))]
    return rendered(
        f"{count(len(read), 'document')} read, {count(data.get('passages'), 'passage')}",
        [
            header("Documents read"),
            table(
                ("Document", "Pages", "Passages", "Words"),  # as many as a thread has room for
                [_document(one) for one in read],
                numbers=(1, 2, 3),
                most=20,
            ),
            section("*What they are about*\n" + bullets(outline, 12) if outline else ""),
            section("*Left out*\n" + bullets(_skipped(read), 8) if _skipped(read) else ""),
            section(
                "⚠️ *Could not be read*\n" + bullets([_problem(one) for one in problems], 8)
                if problems
                else ""
            ),
            actions(button("Make training rows", "next.prepare_from_knowledge", workflow, style="primary"))
            if data.get("has_dataset")
            else None,
            context(
                "What a document says is material: it gives me no orders. Passages stay in this workspace's storage and go when the workflow is deleted."
            ),
        ],
    )


def proposal(payload: Json) -> Sequence[Block | None]:
    """The body of a `knowledge` proposal: counts by kind, three rows to look at."""
    counts = {str(kind): mapped(entry) for kind, entry in mapped(payload.get("counts")).items()}
    names = ", ".join(f"`{_code(name)}`" for name in listed(payload.get("documents"))[:5])
    preview = [mapped(one) for one in listed(payload.get("preview"))]
    notes = [say(note, 400) for note in listed(payload.get("notes"))]
    return [
        section(
            f"About *{count(payload.get('total'), 'row')}* from {names or 'your documents'}. Each cites its passage; what the passage does not say is turned away."
        ),
        table(
            ("Kind", "Passages", "Rows"),
            [
                (KINDS.get(kind, kind), f"{whole(one.get('passages')):,}", f"{whole(one.get('rows')):,}")
                for kind, one in counts.items()
            ],
            numbers=(1, 2),
            most=5,
        ),
        *(section(_cited(one)) for one in preview[:3]),
        section("\n".join(f"ℹ️ {note}" for note in notes[:2])),
        context(f"Formula: {say(payload['formula'], 300)}" if payload.get("formula") else ""),
    ]


def prepared(data: Json) -> Rendered:
    """What was made, by kind, three rows with their passages, and what was turned away and why."""
    kept, made = whole(data.get("kept")), whole(data.get("generated"))
    by_type = {str(kind): whole(number) for kind, number in mapped(data.get("by_type")).items()}
    examples = [mapped(one) for one in listed(data.get("examples"))]
    away = [mapped(one) for one in listed(data.get("turned_away"))]
    partial = "Stopped on request; what was made is kept." if data.get("partial") else ""
    return rendered(
        f"{count(kept, 'row')} from documents added, {max(0, made - kept):,} turned away. {partial}",
        [
            header("Rows from your documents"),
            fields(
                [
                    ("Written", f"{made:,}"),
                    ("Kept", f"{kept:,}"),
                    *(
                        (KINDS.get(kind, say(kind, 40)), f"{number:,}")
                        for kind, number in list(by_type.items())[:3]
                    ),
                    ("Rows now", f"{whole(data.get('valid_rows')):,} valid"),
                ]
            ),
            section(partial),
            *(section(_cited(one)) for one in examples[:3]),
            section(_rejected(data)),
            section(
                "*Turned away, for example*\n" + bullets([_turned_away(one) for one in away], 6)
                if away
                else ""
            ),
            section(
                f"{count(data.get('unverified'), 'row was', 'rows were')} checked by code alone; the others were read a second time against the passage."
                if whole(data.get("unverified"))
                else ""
            ),
            context("AI-generated rows are marked as such and carry document, passage and quote."),
        ],
    )


def _document(one: dict[str, object]) -> tuple[object, ...]:
    pages = whole(one.get("pages"))
    return (
        one.get("name") or "",
        f"{pages:,}" if pages else "–",
        f"{whole(one.get('passages')):,}",
        f"{whole(one.get('words')):,}",
    )


def _skipped(read: Sequence[dict[str, object]]) -> list[str]:
    lines = []
    for one in read:
        left = [_counted(whole(n), say(name, 60)) for name, n in mapped(one.get("skipped")).items() if n][:8]
        told = [", ".join(left)] if left else []
        told += [say(note, 160) for note in listed(one.get("notes"))[:3]]
        if told:
            lines.append(f"{say(one.get('name') or '', 80)}: {'. '.join(told)}")
    return lines


def _counted(number: int, name: str) -> str:
    """ "3 scripts", "1 script"; names come in the plural."""
    one = number == 1 and " and " not in name and " that " not in name
    return f"{number:,} {name.removesuffix('s') if one else name}"


def _problem(one: dict[str, object]) -> str:
    return f"`{_code(one.get('name'))}`: {say(one.get('problem') or '', 240)}"


def _cited(one: dict[str, object]) -> str:
    """A row as people read it: what is asked, what is answered, and the words of the passage that carry it."""
    answer = "\n".join(f"> {say(line, 400)}" for line in str(one.get("answer") or "").splitlines()[:12])
    return (
        f"*{say(one.get('question') or '', 300)}*\n{answer}\n"
        f"_“{say(one.get('quote') or '', 240)}”_ – {say(one.get('where') or '', 160)}"
    )


def _rejected(data: Json) -> str:
    counts = sorted(
        (
            (whole(number), str(code))
            for code, number in mapped(data.get("rejected")).items()
            if whole(number)
        ),
        reverse=True,
    )
    if not counts:
        return ""
    return "*Turned away:* " + ", ".join(
        f"{number:,} {WHY.get(code, say(code.replace('_', ' '), 40))}" for number, code in counts[:8]
    )


def _turned_away(one: dict[str, object]) -> str:
    code = str(one.get("code") or "")
    asked = say(one.get("question") or "(no question)", 140)
    return f"{asked} – {WHY.get(code, say(code, 40))}: {say(one.get('why') or '', 160)}"


def _code(name: object) -> str:
    return say(str(name or "").replace("`", " "), 80)
