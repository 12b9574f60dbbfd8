"""Cards about a further file of a thread: what is to be done with it, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    actions,
    bullets,
    button,
    confirm,
    context,
    count,
    fields,
    figure,
    header,
    listed,
    mapped,
    more,
    person,
    rendered,
    say,
    section,
    whole,
)

SHOWN_FILES, SHOWN_ERRORS = 8, 8
HOW = {
    "append": "✅ *Append*, chosen",
    "merge": "✅ *Merge*, chosen",
    "replace": "✅ *Replace*, chosen",
    "left": "left aside",
}
DONE = {"append": "added", "merge": "merged", "replace": "put in place of the rows before"}


def offer(data: Json) -> Rendered:
    """Asks what is to be done with the file, or the files, of a message."""
    files = [mapped(file) for file in listed(data.get("files"))]
    settled = [_settled(mapped(file)) for file in listed(data.get("settled"))]
    rows = whole(data.get("rows"))
    names = ", ".join(_named(file) for file in files[:SHOWN_FILES]) + more(SHOWN_FILES, len(files))
    there = (
        f"*{say(data.get('name') or 'This workflow', 80)}* has {count(rows, 'row')} already"
        if rows
        else "The first file is being read"
    )
    choices = [
        "*Append*: all rows are added; a conversation that is there already counts as a duplicate.",
        "*Merge*: rows whose id is there replace the old ones, the others are added. Labels stay where words stay.",
        "*Replace*: only the new file stands; rows that were there before keep their topics.",
    ]
    return rendered(
        f"A further file: {names}" if files else "Further files: decided",
        [
            header("A further file" if len(files) + len(settled) == 1 else "Further files"),
            section(bullets(settled, SHOWN_FILES)),
            section(f"{there}. What shall I do with {names}?" if files else ""),
            section(bullets(choices[:2] if len(files) > 1 else choices)) if files else None,
            *_buttons(files, str(data.get("batch") or "")),
            context("Nothing happens before somebody chooses; the version before stays in every case.")
            if files
            else None,
        ],
    )


def _settled(file: Json) -> str:
    """A file about which somebody has decided, and how."""
    name = f"`{say(str(file.get('name') or 'file').replace('`', ' '), 80)}`"
    by = f" by {person(str(file.get('by') or ''))}" if file.get("by") else ""
    return f"{name}: {HOW.get(str(file.get('how')), 'added')}{by}"


def _named(file: Json) -> str:
    return (
        f"`{say(str(file.get('name') or 'file').replace('`', ' '), 80)}` ({_size(whole(file.get('size')))})"
    )


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def _buttons(files: Sequence[Json], batch: str) -> list[Block | None]:
    if not files:
        return []
    if len(files) > 1:
        all_of = batch or str(files[0].get("id"))
        first = actions(
            button("Append all", "file.append", all_of, style="primary"),
            button("Merge all", "file.merge", all_of),
            button("Leave them", "file.dismiss", all_of),
        )
        return [first, *(_one_by_one(file, number) for number, file in enumerate(files[:SHOWN_FILES]))]
    id = str(files[0].get("id") or "")
    return [
        actions(
            button("Append", "file.append", id, style="primary"),
            button("Merge", "file.merge", id),
            button("Replace", "file.replace", id, ask=_sure()),
            button("Leave it", "file.dismiss", id),
        )
    ]


def _one_by_one(file: Json, number: int) -> Block | None:
    name = str(file.get("name") or "file")
    return section(
        f"Only {_named(file)}",
        accessory=button("Append", "file.append", str(file.get("id") or ""), label=f"Append only {name}"),
    )


def _sure() -> Block:
    return confirm(
        "Only the new file?",
        "The dataset will hold only rows of the new file. The version before stays, and Undo brings it back.",
        "Replace",
        danger=True,
    )


def added(data: Json) -> Rendered:
    """What a further file brought."""
    mode = str(data.get("mode") or "append")
    name = say(str(data.get("file_name") or "the file"), 100)
    new = whole(data.get("added"))
    words = f"{name} {DONE.get(mode, 'added')}: {count(new, 'new row')}"
    return rendered(
        words,
        [
            section(f"✅ *{words}*"),
            fields(_facts(data)),
            section("\n".join(f"⚠️ {say(problem, 300)}" for problem in listed(data.get("file_problems"))[:3])),
            section(_errors(data)),
            actions(
                button("Undo", "rows.undo", str(whole(data.get("version_before")))),
                button("Browse rows", "rows.browse", "all"),
            )
            if whole(data.get("dataset_version")) != whole(data.get("version_before"))
            else None,
            context("The version before stays; Undo asks first, then stands on it again."),
        ],
    )


def _facts(data: Json) -> list[tuple[str, str]]:
    told = (
        ("replaced", "Replaced by id"),
        ("unchanged", "Unchanged"),
        ("edited", "Edited here, kept"),
        ("duplicates", "Duplicates"),
        ("invalid", "Invalid"),
        ("gone", "No longer there"),
    )
    numbers = [(title, f"{whole(data.get(key)):,}") for key, title in told if whole(data.get(key))]
    return [
        ("Read as", say(data.get("recognised"), 150)),
        ("Rows in the file", f"{whole(data.get('rows_in_file')):,}"),
        *numbers,
        ("Rows now", f"{whole(data.get('total')):,} ({whole(data.get('valid_count')):,} valid)"),
        *([("Balance", figure(data["balance_score"]))] if data.get("balance_score") is not None else []),
    ][:10]


def _errors(data: Json) -> str:
    counts, lines, mend = (mapped(data.get(part)) for part in ("counts", "first_lines", "mend"))
    found = [
        f"`{say(code, 40)}` {count(number, 'row')}{_where(listed(lines.get(code)), whole(number))}: {say(mend.get(code), 160)}"
        for code, number in sorted(counts.items(), key=lambda item: -whole(item[1]))
    ]
    return "*Kept, and left out*\n" + bullets(found, SHOWN_ERRORS, "more kinds") if found else ""


def _where(lines: list[object], number: int) -> str:
    first = ", ".join(str(whole(line)) for line in lines[:5])
    return f" (line{'s' if len(lines) > 1 else ''} {first}{' …' if number > 5 else ''})" if first else ""
