from __future__ import annotations

import json
import random
from typing import Any

from bot.sandbox.samples import generate

from .serving import Place

Row = dict[str, Any]


def read(name: str) -> list[Row]:
    return [json.loads(line) for line in (generate.HERE / name).read_text(encoding="utf-8").splitlines()]


def asked(row: Row) -> list[str]:
    return [turn["content"] for turn in row["messages"] if turn["role"] == "user"]


def test_the_support_sample_has_500_rows_of_which_13_have_no_user_message() -> None:
    rows = read("customer_support.jsonl")
    assert len(rows) == 500
    assert sum(not asked(row) for row in rows) == 13
    questions = [" ".join(asked(row)).casefold() for row in rows if asked(row)]
    assert len(set(questions)) == 487
    assert all(len(question) >= 20 for question in questions)


def test_the_other_samples_have_300_and_three_rows() -> None:
    finance = read("financial_assistant.jsonl")
    assert len(finance) == len({asked(row)[0].casefold() for row in finance}) == 300
    assert len(read("seeds.jsonl")) == 3


def test_the_files_are_what_the_generator_writes() -> None:
    assert read("customer_support.jsonl") == generate.customer_support(random.Random(500))
    assert read("financial_assistant.jsonl") == generate.financial_assistant(random.Random(300))
    assert read("seeds.jsonl") == generate.seeds()


def test_a_sample_is_shared_as_if_it_were_the_persons_own(place: Place) -> None:
    ts = place.person().share_sample("customer_support.jsonl", "@finetune here")
    event = place.app.event("message", subtype="file_share")["event"]
    assert (event["ts"], event["files"][0]["name"]) == (ts, "customer_support.jsonl")
    assert place.person().file_bytes(event["files"][0]["id"]).count(b"\n") == 500
