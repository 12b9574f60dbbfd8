"""Cards of further files: what is asked, what came of it; and what the overview says a file was read as."""

from __future__ import annotations

from typing import Any

from bot.views import overview, second_file
from bot.views.kit import Rendered


def labels(card: Rendered) -> list[str]:
    elements = [
        one for block in card.blocks for one in (*block.get("elements", ()), block.get("accessory") or {})
    ]
    return [str(one["text"]["text"]) for one in elements if one.get("type") == "button"]


def offered(*names: str) -> Rendered:
    files = [{"id": f"f{at}", "name": name, "size": 1_500_000} for at, name in enumerate(names)]
    return second_file.offer({"name": "Support", "rows": 500, "files": files, "batch": "b1"})


def test_one_file_may_be_appended_merged_or_put_in_place() -> None:
    card = offered("more.jsonl")
    assert labels(card) == ["Append", "Merge", "Replace", "Leave it"]
    assert "`more.jsonl` (1.5 MB)" in str(card.blocks) and "500 rows" in str(card.blocks)


def test_several_files_go_together_or_one_by_one() -> None:
    assert labels(offered("a.csv", "b.csv")) == ["Append all", "Merge all", "Leave them", "Append", "Append"]


def test_what_came_of_it_names_lines_and_the_way_back() -> None:
    data: dict[str, Any] = {
        "mode": "merge", "file_name": "b.csv", "added": 3, "replaced": 2, "invalid": 1, "rows_in_file": 6, "total": 9,
        "counts": {"no_user_message": 1}, "first_lines": {"no_user_message": [4]}, "mend": {"no_user_message": "Add one."},
        "dataset_version": 3, "version_before": 2,
    }  # fmt: skip
    card = second_file.added(data)
    assert "line 4" in str(card.blocks) and "Replaced by id" in str(card.blocks)
    assert labels(card) == ["Undo", "Browse rows"]
    assert labels(second_file.added({**data, "dataset_version": 2})) == [], (
        "nothing to undo where nothing changed"
    )


def test_the_overview_says_what_the_file_was_read_as() -> None:
    data = {"name": "x", "shape": "ShareGPT", "format": "JSONL, gzip", "columns_kept": ["a", "b", "c"]}
    assert "ShareGPT, 3 columns kept (JSONL, gzip)" in str(overview.render(data).blocks)


def test_without_a_valid_row_nothing_is_said_of_what_rows_are_like() -> None:
    statistics = {"average_turns": 0.0, "multi_turn_share": 0.0}
    data = {"name": "x", "statistics": statistics, "tokens_by": "estimate: characters / 4"}
    none = overview.render({**data, "hygiene": {"total": 2, "valid": 0}})
    assert "Turns a row" not in str(none.blocks) and "Token counts" not in str(none.blocks)
    assert "share it again here" in str(none.blocks)
    some = overview.render({**data, "hygiene": {"total": 2, "valid": 1}})
    assert "Turns a row" in str(some.blocks) and "Token counts are an estimate" in str(some.blocks)
    assert "press *Replace*" in str(some.blocks)
