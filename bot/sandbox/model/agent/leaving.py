"""Short replies about data that joins, leaves or is compared. Says only what is in the JSON it was given."""

from __future__ import annotations

from bot.sandbox.model.asks import Json
from bot.sandbox.model.words import joined


def export_words(data: Json) -> str:
    """What an export holds, and what it does not."""
    rows = data.get("rows")
    if data.get("format") == "card":
        return "The dataset card is ready: its file is above."
    if not isinstance(rows, int):
        return ""
    gone = sum(int(one.get("rows", 0)) for one in data.get("left_out") or ())
    lost = data.get("not_carried_count") or 0
    lacks = [f"{gone:,} rows do not fit it"] if gone else []
    lacks += [f"{lost} columns cannot be held by it"] if lost else []
    told = f" {joined(lacks).capitalize()}; the card says why." if lacks else ""
    return f"The export is ready: {rows:,} rows as {data.get('format_title') or data.get('format')}.{told}"


def prepared_words(data: Json) -> str:
    """Rows on each side."""
    sides = data.get("splits") or {}
    counts = [f"{rows:,} for {side.replace('train', 'training')}" for side, rows in sides.items()]
    return f"The dataset is prepared: {joined(counts)}. The test rows stay locked." if counts else ""


def compared_words(data: Json) -> str:
    """What differs between two versions."""
    if "old" not in data:
        versions = data.get("versions") or ()
        return f"There is {len(versions)} version of the dataset." if len(versions) == 1 else ""
    kinds = (
        ("added", "added"),
        ("removed", "removed"),
        ("changed", "changed"),
        ("topics", "moved to another topic"),
    )
    counts = [f"{data[name]:,} {words}" for name, words in kinds if data.get(name)]
    return f"From version {data['old']} to {data['new']}: {joined(counts) or 'not one row differs'}."


def joined_words(data: Json) -> str:
    """What a further file brought."""
    if "added" not in data:
        return ""
    counts = [f"{data['added']:,} new"]
    kinds = ("replaced", "unchanged", "duplicates", "invalid")
    counts += [f"{data[name]:,} {name}" for name in kinds if data.get(name)]
    there = f"There are {data.get('valid_count', 0):,} valid rows now."
    return (
        f"Of the {data.get('rows_in_file', 0):,} rows of {data.get('file_name')}: {joined(counts)}. {there}"
    )


def changed_words(data: Json) -> str:
    """Rows that were deleted, moved, or came back."""
    done = {"restore": "stand again", "delete": "are gone", "move": "have another topic"}
    what = done.get(str(data.get("action")))
    return f"{data.get('count', 0):,} rows {what}; there are {data.get('total', 0):,} now." if what else ""
