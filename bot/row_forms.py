"""One row in a modal: read whole, edited turn by turn, or written by hand; and what is done with such a form.

Slack's inputs take 3,000 characters, so a longer turn is edited in chat or in the file; the form says so. A row that
somebody else has changed since the form was opened is not overwritten.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot import rows
from bot.hands import Click, Events, Hands, answer, meta, open_view, use_tool
from bot.rows import Handler, barred, fill, in_modal, refusal, show_waiting, view_data
from bot.views import row_forms as forms
from bot.views import row_modals as modals
from bot.views.kit import say
from bot.views.modals import INPUT_CHARACTERS
from bot.views.topics import topic_key
from storage.errors import NotFound
from storage.records import Json, Workflow
from storage.rows import Row, content_text, to_record
from tasks.drafting import digest
from tasks.rules import provenance, topics
from tasks.rules.validation import explain

MOST_NAMES = 1_200  # characters of column names that a form can carry
TOO_LONG = (
    "This row is too long for a form (Slack's inputs take 3,000 characters, and there is room for 20 turns). "
    "Tell me the change in the thread, or change it in the file and upload that again."
)
NO_ROW = "This row is not there any more; it was deleted, or the dataset went back to a version without it."
CHANGED = "⚠️ Somebody changed this row while you were writing, so nothing was saved. This is how it is now; please edit again."


# ---------------------------------------------------------------- reading one


async def _open(hands: Hands, click: Click) -> Events:
    opened = await show_waiting(hands, click, "A row", name="row")
    if opened is None:
        return [answer(click, "That took too long to open. Please click once more.", level="warning")]
    await _show(hands, click, opened, click.value)
    return []


async def _show(hands: Hands, click: Click, view_id: str, record_id: str, *, note: str = "") -> None:
    """The row as it is now, or why it cannot be seen."""
    found = await _row(hands, click, record_id)
    if isinstance(found, str):
        await fill(hands, view_id, modals.said("A row", meta(click), found, name="row"))
        return
    workflow, row = found
    data = {**_whole(hands, workflow, row), "note": note}
    await fill(hands, view_id, modals.row({**meta(click), "list": _list_of(click)}, data))


async def _row(hands: Hands, click: Click, record_id: str) -> tuple[Workflow, Row] | str:
    if reason := await barred(hands, click):
        return reason
    workflow = await hands.desk.workflow(click.tenant, click.workflow.id) if click.workflow else None
    if workflow is None:
        return rows.GONE
    listed = await rows.manifest_of(hands, workflow)
    try:
        return workflow, await asyncio.to_thread(hands.deps.datasets.get_record, listed, record_id)
    except NotFound:
        return NO_ROW


def _whole(hands: Hands, workflow: Workflow, row: Row) -> Json:
    names = {leaf.id: leaf.name for leaf in topics.leaves(workflow.topics)}
    error = explain(row.error, line=row.line, limits=hands.deps.settings.limits) if row.error else None  # type: ignore[arg-type]
    turns = [{"role": one.get("role"), "text": _words(one)} for one in row.messages]
    by = row.provenance.get("by")
    return {
        "id": row.id,
        "row": rows.shown(row, names),
        "turns": turns or ([{"role": "as it came", "text": row.raw}] if row.raw else []),
        "columns": [{"name": name, "value": _as_text(value)} for name, value in row.item.items()],
        "source": provenance.described(row.provenance),
        "link": provenance.link(row.provenance),
        "quote": provenance.citation(row.provenance),
        "by": by if isinstance(by, str) else "",
        "tokens": row.tokens,
        "problem": f"{error.message} {row.problem}".strip() if error else "",
        "mend": error.mend if error else "",
        "editable": _fits(row),
        "not_editable": "" if _fits(row) else TOO_LONG,
    }


# ---------------------------------------------------------------- editing one


async def _edit(hands: Hands, click: Click) -> Events:
    opened = await show_waiting(hands, click, "Edit the row", name=forms.EDIT)
    if opened is None:
        return [answer(click, "That took too long to open. Please click once more.", level="warning")]
    found = await _row(hands, click, click.value)
    if isinstance(found, str):
        await fill(hands, opened, modals.said("Edit the row", meta(click), found, name="row"))
    elif not _fits(found[1]):
        await fill(hands, opened, modals.said("Edit the row", meta(click), TOO_LONG, name="row"))
    else:
        await fill(hands, opened, _form(click, *found))
    return []


def _form(click: Click, workflow: Workflow, row: Row) -> Json:
    columns = _columns(row)
    carried = {
        **meta(click, id=row.id, seen=_seen(row)),
        "list": _list_of(click),
        "turns": [str(one.get("role"))[:12] if _is_plain(one) else "" for one in row.messages],
        "columns": [name for name, _, _ in columns],
        "kinds": "".join(kind for _, _, kind in columns),
    }
    data = {
        "turns": [
            {"role": one.get("role"), "text": _words(one), "editable": _is_plain(one)} for one in row.messages
        ],
        "answer": bool(row.messages) and row.messages[-1].get("role") == "user",
        "topics": rows.topic_choices(workflow),
        "topic": topic_key(row.topic or ""),
        "columns": [{"name": name, "text": text} for name, text, _ in columns],
        "note": "" if row.messages else "This row could not be read; what you write here takes its place.",
    }
    if not row.messages:
        data["turns"], carried["turns"] = [{"role": "user", "text": row.raw, "editable": True}], ["user"]
    return forms.edit(carried, data)


async def save(hands: Hands, click: Click, values: Json) -> Events:
    """What a submitted edit does: the row as the form has it, where nobody else changed it meanwhile."""
    carried, view = dict(click.item.data.get("metadata") or {}), view_data(click)
    record_id = str(carried.get("id") or "")
    found = await _row(hands, click, record_id)
    if isinstance(found, str):
        return [answer(click, found, level="warning")]
    workflow, row = found
    if _seen(row) != carried.get("seen"):
        return await _back(hands, click, view, record_id, CHANGED)
    updates = _updates(row, carried, values, workflow)
    if not updates:
        return []
    result = await use_tool(hands, click, "update_record", {"record_id": record_id, "updates": updates})
    if not result.get("ok"):
        return await _back(hands, click, view, record_id, refusal(result))
    words = f"✅ Saved as version {result['dataset_version']}."
    if not result.get("valid"):
        words = f"⚠️ Saved as version {result['dataset_version']}, but the row is rejected. {say(result.get('mend') or '', 300)}"
    return await _back(hands, click, view, record_id, words)


async def _back(hands: Hands, click: Click, view: Json, record_id: str, words: str) -> Events:
    """The row that lies below the form, as it is now, and the list below that."""
    previous, root = str(view.get("previous") or ""), str(view.get("root") or "")
    if not previous:
        return [answer(click, words)]
    await _show(hands, click, previous, record_id, note=words)
    if root not in ("", previous):
        await rows.draw(hands, click, root, rows.browsing_of(_list_of(click)), note=words)
    return []


def _list_of(click: Click) -> Json:
    """The list that the row was opened from, as modals above it carry it."""
    metadata = dict(view_data(click).get("metadata") or {})
    state = rows.browsing_of(dict(metadata.get("list") or metadata))
    return replace(state, trail=state.trail[-5:]).as_meta()


def _updates(row: Row, carried: Json, values: Json, workflow: Workflow) -> Json:
    updates: Json = {}
    messages = _messages(row, carried, values)
    if messages != row.messages:
        updates["messages"] = messages
    if values.get("topic"):
        topic = None if values["topic"] == "none" else rows.topic_of(str(values["topic"]), workflow)
        if topic != "" and (topic or None) != row.topic:
            updates["topic"] = topic
    for place, (name, kind) in enumerate(
        zip(carried.get("columns") or (), str(carried.get("kinds") or ""), strict=False)
    ):
        text = str(values.get(f"col_{place}") or "")
        value = text if kind == "s" else json.loads(text or "null")
        if value != row.item.get(name):
            updates[name] = value
    return updates


def _messages(row: Row, carried: Json, values: Json) -> list[Json]:
    """The turns as the form has them; what it could not show stays, what was emptied is gone."""
    kept: list[Json] = []
    for place, role in enumerate(carried.get("turns") or ()):
        old = row.messages[place] if place < len(row.messages) else {"role": role}
        text = str(values.get(f"turn_{place}") or "")
        if not role or text == _words(old):
            kept.append(old)
        elif text.strip():
            kept.append({**old, "content": text})
    answered = str(values.get("answer") or "")
    return [*kept, {"role": "assistant", "content": answered}] if answered.strip() else kept


# ---------------------------------------------------------------- writing one by hand


async def _add(hands: Hands, click: Click) -> Events:
    choices = rows.topic_choices(click.workflow) if click.workflow else []
    if not in_modal(click):
        return await open_view(hands, click, forms.add(meta(click), choices))
    opened = await show_waiting(hands, click, "Add a row", name=forms.ADD)
    if opened:
        await fill(hands, opened, forms.add(meta(click), choices))
    return []


async def added(hands: Hands, click: Click, values: Json) -> Events:
    """What a submitted row by hand does."""
    if reason := await barred(hands, click):
        return [answer(click, reason, level="warning")]
    said = [
        {"role": role, "content": text}
        for role, name in (("system", "system"), ("user", "text"), ("assistant", "answer"))
        if (text := str(values.get(name) or "")).strip()
    ]
    arguments: Json = {"messages": said, "reference_answer": str(values.get("reference") or "")}
    if topic := rows.topic_of(str(values.get("topic") or ""), click.workflow):
        arguments["topic"] = topic
    result = await use_tool(hands, click, "add_record", arguments)
    if not result.get("ok"):
        return [answer(click, refusal(result), level="warning")]
    state = (
        "It is valid." if result["valid"] else f"It is rejected, though: {say(result.get('mend') or '', 300)}"
    )
    words = f"✅ Added as a row of version {result['dataset_version']}. {state}"
    view = view_data(click)
    if view.get("previous"):
        await rows.draw(hands, click, str(view["previous"]), rows.Browsing(), note=words)
        return []
    return [answer(click, words)]


# ---------------------------------------------------------------- what fits into a form


def _fits(row: Row) -> bool:
    texts = [_words(one) for one in row.messages] or [row.raw]
    few = len(row.messages) <= forms.MOST_TURNS and len(row.id) <= 500
    return few and all(len(text) <= INPUT_CHARACTERS for text in texts)


def _is_plain(message: Json) -> bool:
    """Whether a turn is only words; tool calls and parts stay as they are."""
    return (
        isinstance(message.get("content"), str)
        and not message.get("tool_calls")
        and message.get("role") != "tool"
    )


def _words(message: Json) -> str:
    text = content_text(message.get("content"))
    calls = "\n".join(json.dumps(call, ensure_ascii=False) for call in message.get("tool_calls") or ())
    return f"{text}\n{calls}".strip("\n") if calls else text


def _columns(row: Row) -> list[tuple[str, str, str]]:
    """(name, text, kind) of the columns that a form takes: "s" for words, "j" for anything else, as JSON."""
    found: list[tuple[str, str, str]] = []
    for name, value in row.item.items():
        kind = "s" if isinstance(value, str) else "j"
        text = _as_text(value)
        room = sum(len(one) + 4 for one, _, _ in found) + len(name) <= MOST_NAMES
        if room and len(text) <= INPUT_CHARACTERS and len(found) < modals.MOST_COLUMNS:
            found.append((name, text, kind))
    return found


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _seen(row: Row) -> str:
    """What the row was when the form was opened."""
    record = {name: value for name, value in to_record(row).items() if name not in ("score", "tokens")}
    return digest({"row": record})


HANDLERS: dict[str, Handler] = {"rows.open": _open, "rows.edit": _edit, "rows.add": _add}
SUBMITTED: dict[str, Callable[[Hands, Click, Json], Awaitable[Events]]] = {
    forms.EDIT: save,
    forms.ADD: added,
}
