"""Browsing rows in a modal: filters, pages, one row whole, the review of doubtful ones, and changes to all that match.

What a person has chosen travels in the modal itself, so any process can go on with it after a restart. One row is changed
and many are proposed by the agent's tools; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.hands import Click, Events, Hands, answer, meta, tool_answer, use_tool
from bot.slack_api import SlackError, SlackRefused
from bot.views import row_modals as modals
from bot.views.kit import Choice, say
from bot.views.topics import topic_key
from storage.datasets import RowFilter
from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Json, Workflow
from storage.rows import UNCATEGORISED, Row
from tasks import selection as chosen
from tasks.rules import topics
from tasks.selection import Selection
from tasks.steps import editing, row_proposal

PAGE_ROWS = 8
MOST_PAGES = 60  # that "Previous" leads back through
TEXT_CHARACTERS = 220
FIELDS = ("topic", "valid", "confidence", "source", "score", "text")
NOT_HERE = "You cannot see this dataset: its thread is in a channel that you are not in."
GONE = "There is no dataset here any more."
READING = "The file is still being read; the overview tells when it is done."
PROPOSED = "🗳️ A card in the thread says how many exactly; nothing happens before somebody approves it there."
COUNTING = "⏳ I am counting the rows; the card to approve comes in the thread."


@dataclass(frozen=True, slots=True)
class Browsing:
    """Where somebody is: filters by field, the pages so far as (cursor, first position), and what comes after."""

    filter: Mapping[str, str] = field(default_factory=dict)
    trail: tuple[tuple[str, int], ...] = (("", 0),)
    following: tuple[str, int] = ("", 0)
    reviewing: bool = False
    round: int = 0

    def as_meta(self) -> Json:
        return {
            "f": dict(self.filter),
            "c": [list(place) for place in self.trail[-MOST_PAGES:]],
            "next": list(self.following),
            "r": int(self.reviewing),
            "n": self.round,
        }


def browsing_of(metadata: Json) -> Browsing:
    """The reverse of `as_meta`; a beginning where there is nothing to read."""
    try:
        trail = tuple((str(cursor), int(start)) for cursor, start in metadata.get("c") or ())
        cursor, start = metadata.get("next") or ("", 0)
        return Browsing(
            filter={name: str(value) for name, value in (metadata.get("f") or {}).items() if name in FIELDS},
            trail=trail or (("", 0),),
            following=(str(cursor), int(start)),
            reviewing=bool(metadata.get("r")),
            round=int(metadata.get("n") or 0),
        )
    except (TypeError, ValueError, AttributeError):
        return Browsing()


# ---------------------------------------------------------------- opening


async def _browse(hands: Hands, click: Click) -> Events:
    """From a card: all rows, the doubtful ones, or those of the card's filter."""
    if click.item.data["action"] == "review.open":
        begun = Browsing(filter={"valid": "yes", "confidence": "unsure"}, reviewing=True)
    else:
        begun = Browsing(filter=_preset(click.value, click.workflow))
    opened = await show_waiting(hands, click, "Review rows" if begun.reviewing else "Rows")
    if opened is None:
        return [answer(click, "That took too long to open. Please click once more.", level="warning")]
    await draw(hands, click, opened, begun)
    return []


def _preset(value: str, workflow: Workflow | None) -> Json:
    """A card's filter as the modal's fields; bounds that are no band are left out."""
    try:
        where = json.loads(value)
    except ValueError:
        return {}
    if not isinstance(where, dict):
        return {}
    found: Json = {name: str(where[name]) for name in ("source", "text") if where.get(name)}
    if where.get("topic"):
        found["topic"] = "none" if where["topic"] == UNCATEGORISED else topic_key(str(where["topic"]))
    if where.get("valid") is not None:
        found["valid"] = "yes" if where["valid"] else "no"
    for name, bands in (("confidence", modals.BANDS), ("score", modals.SCORE_BANDS)):
        band = next((band for band, edges in bands.items() if list(edges) == where.get(name)), "")
        found |= {name: band} if band else {}
    return found


async def show_waiting(hands: Hands, click: Click, title: str, *, name: str = modals.BROWSE) -> str | None:
    """A modal at once, on top of the one that was clicked in; its id, or None when the trigger was too old."""
    method = "views.push" if in_modal(click) else "views.open"
    try:
        opened = await hands.api.call(
            method, trigger_id=click.trigger, view=modals.waiting(title, meta(click), name=name)
        )
    except SlackError:
        return None
    return str((opened.get("view") or {}).get("id") or "")


async def fill(hands: Hands, view_id: str, view: Json) -> None:
    """Show other contents in an open modal; one that was closed meanwhile needs none."""
    try:
        await hands.api.call("views.update", view_id=view_id, view=view)
    except SlackRefused as error:
        if error.code not in ("not_found", "view_not_found"):
            raise


def in_modal(click: Click) -> bool:
    return bool(click.item.data.get("view"))


def view_data(click: Click) -> Json:
    return dict(click.item.data.get("view") or {})


async def barred(hands: Hands, click: Click) -> str:
    """Why the person sees no rows here; "" when they do. A modal may outlive a membership, so it is asked each time."""
    if click.workflow is None:
        return GONE
    if not click.workflow.dataset_version:
        return READING
    if in_modal(click) and not await hands.people.may_read(click.person.id, click.workflow):
        return NOT_HERE
    return ""


async def manifest_of(hands: Hands, workflow: Workflow) -> Manifest:
    return await asyncio.to_thread(
        hands.deps.datasets.manifest, workflow.tenant, workflow.dataset_id, workflow.dataset_version
    )


# ---------------------------------------------------------------- the page


async def draw(hands: Hands, click: Click, view_id: str, state: Browsing, *, note: str = "") -> None:
    """Show the page that the state says, as the dataset stands now."""
    title = "Review rows" if state.reviewing else "Rows"
    if reason := await barred(hands, click):
        await fill(hands, view_id, modals.said(title, meta(click), reason))
        return
    workflow = await hands.desk.workflow(click.tenant, click.workflow.id) if click.workflow else None
    if workflow is None:
        await fill(hands, view_id, modals.said(title, meta(click), GONE))
        return
    try:
        data, state = await _page(hands, workflow, state)
    except (NotFound, ValueError):  # other rows than when the page was turned: begin again
        state = replace(state, trail=(("", 0),))
        data, state = await _page(hands, workflow, state)
    await fill(hands, view_id, modals.browse({**meta(click), **state.as_meta()}, {**data, "note": note}))


async def _page(hands: Hands, workflow: Workflow, state: Browsing) -> tuple[Json, Browsing]:
    listed = await manifest_of(hands, workflow)
    wanted = Selection(where_of(state.filter, workflow))
    cursor, start = state.trail[-1]
    page = await asyncio.to_thread(
        hands.deps.datasets.page, listed, where=wanted.where, cursor=cursor, limit=PAGE_ROWS
    )
    total = None if page.cursor else start + len(page.rows)
    if total is None and chosen.is_quick(listed, wanted):
        total = (await asyncio.to_thread(chosen.count, hands.deps.datasets, listed, wanted)).rows
    names = {leaf.id: leaf.name for leaf in topics.leaves(workflow.topics)}
    by_hand = listed.head.operation in editing.BY_HAND and listed.head.parent
    data: Json = {
        "rows": [shown(row, names) for row in page.rows],
        "topics": topic_choices(workflow),
        "filter": dict(state.filter),
        "total": total,
        "position": start,
        "more": bool(page.cursor),
        "reviewing": state.reviewing,
        "version": listed.version,
        "undo": listed.head.parent if by_hand else 0,
    }
    return data, replace(state, following=(page.cursor, start + len(page.rows)))


def shown(row: Row, names: Mapping[str, str]) -> Json:
    """A row as the views take it."""
    return {
        "id": row.id,
        "line": row.line,
        "text": row_proposal.preview(row, TEXT_CHARACTERS),
        "topic": names.get(row.topic or "", row.topic or ""),
        "topic_key": topic_key(row.topic or ""),
        "confidence": row.topic_confidence,
        "score": row.score,
        "generated": row.is_generated,
        "valid": row.valid,
        "error": row.error,
    }


def topic_choices(workflow: Workflow) -> list[Choice]:
    return [Choice(leaf.name, topic_key(leaf.id)) for leaf in topics.leaves(workflow.topics)]


def topic_of(key: str, workflow: Workflow | None) -> str:
    """The leaf that a choice names; "" for none."""
    leaves = topics.leaves(workflow.topics) if workflow else ()
    return next((leaf.id for leaf in leaves if topic_key(leaf.id) == key), "")


def where_of(given: Mapping[str, str], workflow: Workflow) -> RowFilter:
    """The filter that the modal's fields say; a topic that is gone finds nothing."""
    key, valid = given.get("topic", ""), given.get("valid", "")
    topic = UNCATEGORISED if key == "none" else topic_of(key, workflow) or key
    source: Any = given.get("source")
    return RowFilter(
        topic=topic if key and key != modals.ANY else None,
        valid={"yes": True, "no": False}.get(valid),
        confidence=modals.BANDS.get(given.get("confidence", "")),
        score=modals.SCORE_BANDS.get(given.get("score", "")),
        source=source if source in ("uploaded", "generated") else None,
        text=given.get("text", "")[:200],
    )


def as_query(where: RowFilter) -> Json:
    """The filter as the tools take it."""
    found: Json = {
        name: getattr(where, name)
        for name in ("topic", "valid", "source")
        if getattr(where, name) is not None
    }
    found |= {name: list(bounds) for name in ("confidence", "score") if (bounds := getattr(where, name))}
    return {**found, "text": where.text} if where.text else found


# ---------------------------------------------------------------- clicks in the list


async def _refilter(hands: Hands, click: Click) -> Events:
    view = view_data(click)
    before = browsing_of(view.get("metadata") or {})
    held = view.get("held") or {}
    picked = {name: str(held.get(f"rows.filter:{name}") or "").strip() for name in FIELDS}
    kept = {name: value[:200] for name, value in picked.items() if value and value != modals.ANY}
    if dict(before.filter) != kept:
        await draw(hands, click, str(view["id"]), replace(before, filter=kept, trail=(("", 0),)))
    return []


async def _clear(hands: Hands, click: Click) -> Events:
    view = view_data(click)
    before = browsing_of(view.get("metadata") or {})
    if view:
        await draw(hands, click, str(view["id"]), Browsing(round=before.round + 1))
    return []


async def _turn_page(hands: Hands, click: Click) -> Events:
    view = view_data(click)
    state = browsing_of(view.get("metadata") or {})
    on = click.value == "next" and state.following[0]
    trail = (*state.trail, state.following) if on else state.trail[:-1] or state.trail
    if view:
        await draw(hands, click, str(view["id"]), replace(state, trail=trail))
    return []


async def _pick_topic(hands: Hands, click: Click) -> Events:
    """A topic chosen beside a row, or agreed to: saved at once."""
    record = str(click.item.data["action"]).partition(":")[2]
    topic = topic_of(click.value, click.workflow)
    if not topic:
        return await told(hands, click, "The topics have changed meanwhile. Open the review again.")
    result = await use_tool(hands, click, "update_record", {"record_id": record, "updates": {"topic": topic}})
    name = next(one.text for one in topic_choices(click.workflow) if one.value == click.value)  # type: ignore[arg-type]
    return await told(hands, click, f"✅ Saved: *{say(name, 80)}*." if result.get("ok") else refusal(result))


async def _delete(hands: Hands, click: Click) -> Events:
    """All that match, or the one row that is open: a proposal either way."""
    view = view_data(click)
    metadata = view.get("metadata") or {}
    if click.value == "matching":
        return await _with_all(hands, click, "delete_records", {})
    result = await use_tool(hands, click, "delete_records", {"ids": [click.value]})
    words = PROPOSED if result.get("ok") else refusal(result)
    if view:
        await fill(
            hands, str(view["id"]), modals.said("A row", {**meta(click), **metadata}, words, name="row")
        )
        return []
    return [answer(click, words)]


async def _move(hands: Hands, click: Click) -> Events:
    topic = topic_of(click.value, click.workflow)
    if not topic:
        return await told(hands, click, "The topics have changed meanwhile. Open the rows again.")
    return await _with_all(hands, click, "move_records", {"topic": topic})


async def _with_all(hands: Hands, click: Click, tool: str, arguments: Json) -> Events:
    if click.workflow is None or not in_modal(click):
        return await told(hands, click, GONE)
    if reason := await barred(hands, click):
        return await told(hands, click, reason)
    state = browsing_of(view_data(click).get("metadata") or {})
    query = as_query(where_of(state.filter, click.workflow))
    result = await use_tool(hands, click, tool, {**arguments, "filter": query})
    if not result.get("ok"):
        return await told(hands, click, refusal(result))
    return await told(hands, click, PROPOSED if result.get("status") == "proposed" else COUNTING)


async def _undo(hands: Hands, click: Click) -> Events:
    arguments = {"version": int(click.value)} if click.value.isdecimal() else {}
    if not in_modal(click):
        return await tool_answer(hands, click, "restore_dataset_version", arguments)
    if reason := await barred(hands, click):
        return await told(hands, click, reason)
    result = await use_tool(hands, click, "restore_dataset_version", arguments)
    if not result.get("ok"):
        return await told(hands, click, refusal(result))
    return await told(hands, click, str(result["note"]) if result.get("status") == "undone" else PROPOSED)


async def told(hands: Hands, click: Click, text: str) -> Events:
    """In the list where it was clicked, drawn anew with the words above it; else to the person alone."""
    view = view_data(click)
    if view.get("name") != modals.BROWSE:
        return [answer(click, text)]
    state = browsing_of(view.get("metadata") or {})
    await draw(hands, click, str(view["id"]), state, note=text)
    return []


def refusal(result: Json) -> str:
    return f"⚠️ {say(result.get('error') or 'That did not work.', 600)}"


Handler = Callable[[Hands, Click], Awaitable[Events]]
HANDLERS: dict[str, Handler] = {
    "rows.browse": _browse,
    "review.open": _browse,
    "review.pick": _pick_topic,
    "review.keep": _pick_topic,  # the topic that it has already, from now on by hand
    "rows.filter": _refilter,
    "rows.clear": _clear,
    "rows.page": _turn_page,
    "rows.move": _move,
    "rows.delete": _delete,
    "rows.undo": _undo,
}
