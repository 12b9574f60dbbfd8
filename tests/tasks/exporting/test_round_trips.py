"""Out and in again: every format gives back exactly what its predicate says that it can hold, through the real reader."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.records import Tenant
from storage.rows import Input, Output, Row, split_conversation
from tasks.exporting import csv_table, parquet_table
from tasks.exporting.files import FORMATS, CsvFile, JsonLines, ParquetFile, Tally, expressible
from tasks.exporting.forms import (
    CHAT,
    COMPLETION,
    DPO,
    FORMS,
    INSTRUCTION,
    RECORD,
    SHAREGPT,
    Form,
    essence,
)
from tasks.ingest import ingest
from tests.makers import row
from tests.tasks.exporting.given import sheets

TENANT = Tenant(enterprise="", team="T1")
MANY = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def read(data: bytes, name: str) -> list[Row]:
    datasets = Datasets(MemoryBlobs(), part_rows=7)
    pieces = (data[at : at + 50] for at in range(0, len(data), 50))
    report = ingest(pieces, name, datasets, TENANT, "d1", by="U1", at=1.0)
    return [essence(row) for row in datasets.iter_rows(report.manifest, only_valid=False)]


def same(found: list[Row], wanted: list[Row]) -> None:
    """Equal row by row; where a form holds no id, a new one is made, which is no part of the question."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        given_id = {} if other.id else {"id": ""}
        assert {**as_dict(one), **given_id} == as_dict(other)


def as_dict(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@MANY
@given(rows=sheets())
def test_every_json_form_gives_back_what_it_says(form: Form, rows: list[Row]) -> None:
    tally = Tally()
    data = b"".join(JsonLines(form).chunks(rows, tally))
    wanted = [form.kept(row) for row in rows if not isinstance(form.shape(row), str)]
    assert (tally.rows, sum(tally.left_out.values())) == (len(wanted), len(rows) - len(wanted))
    if wanted:
        same(read(data, "a.jsonl"), wanted)


@MANY
@given(rows=sheets())
def test_csv_gives_back_what_it_says(rows: list[Row]) -> None:
    writer, tally = CsvFile(), Tally()
    writer.survey(rows, 200)
    data = b"".join(writer.chunks(rows, tally))
    wanted = [csv_table.kept(row) for row in rows if not isinstance(csv_table.cells_of(row), str)]
    assert tally.rows == len(wanted)
    if wanted:
        same(read(data, "a.csv"), wanted)


@MANY
@given(rows=sheets())
def test_parquet_gives_back_what_it_says(rows: list[Row]) -> None:
    writer, tally = ParquetFile(), Tally()
    writer.survey(rows, 200)
    data = b"".join(writer.chunks(rows, tally))
    assert tally.rows == len(rows)
    same(read(data, "a.parquet"), [parquet_table.kept(row, writer.layout) for row in rows])


@MANY
@given(rows=sheets())
def test_the_record_form_holds_everything(rows: list[Row]) -> None:
    whole = [row for row in rows if row.output.finish_reason != ""]
    assert all(expressible(row, "jsonl") and not list(RECORD.lost(row)) for row in whole)


@pytest.mark.parametrize("form", (CHAT, SHAREGPT, INSTRUCTION, COMPLETION), ids=lambda form: form.name)
@MANY
@given(rows=sheets(most=3))
def test_nothing_is_lost_in_silence(form: Form, rows: list[Row]) -> None:
    """A conversation that is told from one end to the other comes back whole, or what is lost is said."""
    for one in rows:
        told_through = split_conversation(one.messages) == (one.input.messages, one.output.messages)
        empty_answer = any(turn["content"] == "" for turn in one.output.messages)
        if told_through and not empty_answer and one.output.tool_calls is None:
            said = isinstance(form.shape(one), str) or list(form.lost(one))
            assert said or expressible(one, form.name)


QUESTION = "Where is my parcel today?"
PLAIN = row(QUESTION, id="a", answer="In Ulm.", item={"tier": "gold"})
ALL = set(FORMATS)
CANNOT_HOLD_COLUMNS = {"openai_sft", "openai_dpo"}
NEED_NO_LABEL = ALL - {"classification"} - CANNOT_HOLD_COLUMNS - {"openai_rft"}


@pytest.mark.parametrize(
    ("given_row", "formats"),
    [
        (PLAIN, NEED_NO_LABEL),
        (replace(PLAIN, output=Output([{"role": "assistant", "content": "late"}]), item={"label": "late"}),
         NEED_NO_LABEL | {"classification"}),
        (replace(PLAIN, item={"tier": 3}), NEED_NO_LABEL - {"csv"}),
        (replace(PLAIN, item={"tier": ["a", None, "b"]}), NEED_NO_LABEL - {"csv"}),
        (replace(PLAIN, item={"tier": None}), NEED_NO_LABEL - {"csv", "parquet"}),
        (replace(PLAIN, item={"tier": '=HYPERLINK("x")\r\n@'}), NEED_NO_LABEL),
        (replace(PLAIN, item={"prompt": "x", "answer": "y"}), NEED_NO_LABEL - {"completion"}),
        (replace(PLAIN, topic="billing", topic_confidence=0.9, topic_method="llm"), {"jsonl"}),
        (replace(PLAIN, is_generated=True, provenance={"seed": "q7"}), {"jsonl"}),
        (replace(PLAIN, input=Input([{"role": "user", "content": QUESTION}], tools=[{"type": "function"}])), NEED_NO_LABEL),
        (replace(PLAIN, input=Input([*PLAIN.input.messages, *PLAIN.output.messages, *PLAIN.input.messages])),
         {"jsonl", "chat", "sharegpt", "csv", "parquet"}),
        (replace(PLAIN, input=Input([{"role": "user", "content": QUESTION, "name": "ada"}])),
         {"jsonl", "chat", "csv", "parquet"}),
    ],
)  # fmt: skip
def test_what_each_format_can_express(given_row: Row, formats: set[str]) -> None:
    assert {name for name in FORMATS if expressible(given_row, name)} == formats


def test_a_preference_pair_comes_back_from_openais_form_but_for_its_id() -> None:
    worse = [{"role": "assistant", "content": "No idea."}]
    pair = replace(PLAIN, id="", item={"rejected": worse})
    assert DPO.kept(pair) == pair and not list(DPO.lost(pair))
