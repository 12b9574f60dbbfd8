"""What a person wants cleaned, from their words."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox.model.agent.tidying import (
    added_words,
    cleaned_words,
    cleaning,
    looked_words,
    near_words,
)

NONE = dict.fromkeys(
    ("near_duplicates", "remove_duplicates", "fix_formatting", "empty_turns", "refusals"), False
)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("clean the data", {}),
        ("remove the near-duplicates too", {"near_duplicates": True}),
        ("only remove duplicates", {**NONE, "remove_duplicates": True}),
        ("just mask the e-mails", {**NONE, "personal_data": "mask"}),
        ("drop the rows with personal data", {"personal_data": "drop"}),
        ("count the secrets", {"personal_data": "report"}),
        ("take out refusals and empty turns", {"refusals": True, "empty_turns": True}),
    ],
)
def test_what_is_named_is_done_and_only_leaves_the_rest(words: str, arguments: Any) -> None:
    assert cleaning(words, None) == arguments  # type: ignore[arg-type]


def test_results_are_told_with_their_numbers() -> None:
    assert "3 rows with broken formatting" in looked_words({"found": {"fix_formatting": 3}})
    assert looked_words({"found": {}}) == "There is nothing to clean."
    assert "46 of 47" in cleaned_words({"rows": 46, "rows_before": 47})
    assert (
        added_words({"record": {}, "valid": True, "dataset_version": 3})
        == "The row stands in dataset version 3; it is valid."
    )
    assert near_words({"near_duplicates": 0}) == "There are no near-duplicates."
