"""What came of an uploaded file: how many rows, what is wrong with which lines, what it looks like inside."""

from __future__ import annotations

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
    figure,
    header,
    listed,
    mapped,
    more,
    percent,
    real,
    rendered,
    say,
    section,
    whole,
)

HEALTH = {
    "healthy": "🟢 Healthy",
    "warning": "🟡 Some rows need attention",
    "critical": "🔴 Many rows were rejected",
}
STATISTICS = (
    ("average_turns", "Turns a row", 1),
    ("average_input_tokens", "Input tokens", 0),
    ("average_output_tokens", "Output tokens", 0),
)


def render(data: Json) -> Rendered:
    hygiene = mapped(data.get("hygiene"))
    total, valid = whole(hygiene.get("total")), whole(hygiene.get("valid"))
    name = str(data.get("name") or data.get("file_name") or "Dataset")
    summary = f"{say(name, 80)}: {valid:,} of {count(total, 'row')} valid"
    blocks = [
        header(name),
        section(_health(hygiene, total, valid)),
        fields(_facts(data)),
        section(_of_the_file(listed(data.get("problems")))),
        section(_errors(hygiene)),
        section(_repeats(hygiene)),
        section(_typical(listed(data.get("typical")))),
        section(bullets([say(line, 240) for line in listed(hygiene.get("recommendations"))], 5)),
        section(_goal(data, total, valid)),
        _buttons(data),
        context(_counted(data)),
    ]
    return rendered(summary, blocks)


def _health(hygiene: dict[str, object], total: int, valid: int) -> str:
    label = HEALTH.get(str(hygiene.get("health")), "Checked")
    rejected = total - valid
    rate = hygiene.get("rate", rejected / total if total else 0.0)
    return f"*{label}* · {valid:,} of {count(total, 'row')} valid, {rejected:,} rejected ({percent(rate, 1)})"


def _facts(data: Json) -> list[tuple[str, str]]:
    statistics = mapped(data.get("statistics"))
    tools = [say(tool, 40) for tool in listed(statistics.get("tools"))]
    facts = [
        ("File", say(data.get("file_name", ""), 120)),
        ("Read as", _read_as(data)),
        ("Kept columns", ", ".join(say(column, 40) for column in listed(data.get("columns_kept"))[:8])),
    ]
    if not whole(mapped(data.get("hygiene")).get("valid")):
        return facts  # what rows are like is said of valid ones
    facts += [
        (title, figure(statistics[key], digits))
        for key, title, digits in STATISTICS
        if real(statistics.get(key)) is not None
    ]
    if real(statistics.get("multi_turn_share")) is not None:
        facts.append(("Several turns", percent(statistics["multi_turn_share"])))
    if tools:
        facts.append(("Tools", ", ".join(tools[:8]) + more(8, len(tools))))
    return facts


def _read_as(data: Json) -> str:
    """ "ShareGPT, 3 columns kept (JSONL, gzip)"."""
    kept = len(listed(data.get("columns_kept")))
    shape = ", ".join(
        part for part in (say(data.get("shape"), 80), f"{count(kept, 'column')} kept" if kept else "") if part
    )
    return f"{shape} ({say(data.get('format'), 60)})" if data.get("format") else shape


def _errors(hygiene: dict[str, object]) -> str:
    counts, lines, mend = (mapped(hygiene.get(part)) for part in ("counts", "first_lines", "mend"))
    ordered = sorted(
        ((whole(number), code) for code, number in counts.items() if whole(number)), reverse=True
    )
    found = [
        _error(code, number, listed(lines.get(code)), str(mend.get(code, ""))) for number, code in ordered
    ]
    details = " ".join(say(line, 200) for line in listed(hygiene.get("details"))[:3])
    example = f"\n_For example:_ {details}" if details else ""
    return "*What was rejected*\n" + bullets(found, 8, "more kinds") + example if found else ""


def _of_the_file(problems: list[object]) -> str:
    """What is wrong with the file as a whole, such as that it ends too early."""
    return "\n".join(f"⚠️ {say(problem, 300)}" for problem in problems[:3])


def _error(code: str, number: int, lines: list[object], mend: str) -> str:
    where = ", ".join(str(whole(line)) for line in lines[:5])
    place = (
        f" (line{'s' if len(lines) > 1 else ''} {where}{' …' if number > len(lines[:5]) else ''})"
        if where
        else ""
    )
    return f"`{say(code, 40)}` {count(number, 'row')}{place}" + (f": {say(mend, 160)}" if mend else "")


def _repeats(hygiene: dict[str, object]) -> str:
    duplicates, near = whole(hygiene.get("duplicates")), whole(hygiene.get("near_duplicates"))
    parts = [f"{count(duplicates, 'exact duplicate')}, the first of each kept"] if duplicates else []
    parts += [f"{count(near, 'near-duplicate')}, nothing removed"] if near else []
    parts += (
        ["near-duplicates are being counted; if there are any, a card follows"]
        if hygiene.get("near_pending")
        else []
    )
    return " · ".join(parts)


def _typical(rows: list[object]) -> str:
    shown = [f"> {say(_words(row), 200)}" for row in rows[:3]]
    return "*A few rows*\n" + "\n".join(shown) if shown else ""


def _words(row: object) -> object:
    found = mapped(row)
    return next((found[key] for key in ("text", "input", "user") if found.get(key)), row) if found else row


def _goal(data: Json, total: int, valid: int) -> str:
    goal = str(data.get("goal") or "")
    if valid == 0:
        return "No row can be used yet. Mend the file as above and share it again here, in this thread."
    lines = [
        f"*Goal:* {say(goal, 300)}"
        if goal
        else "*What should the model learn?* One sentence is enough; reply here or press the button."
    ]
    if valid < total:
        lines.append(
            f"Shall I go on with the {valid:,} valid rows? The rejected ones are kept and left out. "
            "Approving the topics says yes; to mend them first, share the corrected file here and press *Replace*."
        )
    return "\n".join(lines)


def _buttons(data: Json) -> Block | None:
    thread = str(data.get("workflow_id") or "")
    goal = button("Change the goal" if data.get("goal") else "Set the goal", "goal.open", thread)
    out = button("Export…", "export.open", thread) if mapped(data.get("hygiene")).get("valid") else None
    found = mapped(data.get("hygiene"))
    doubled = whole(found.get("duplicates")) or whole(found.get("near_duplicates"))
    clean = button("Clean the data", "next.clean_dataset", thread) if doubled and found.get("valid") else None
    return actions(
        goal, button("Browse rows", "rows.browse", "all"), clean, button("Add a row", "rows.add", thread), out
    )


def _counted(data: Json) -> str:
    how = say(data.get("tokens_by", ""), 80)
    if not how or not whole(mapped(data.get("hygiene")).get("valid")):
        return ""
    return (
        f"Tokens are counted by {how}." if not how.startswith("estimate") else f"Token counts are an {how}."
    )
