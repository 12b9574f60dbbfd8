"""Parquet becomes the same records as JSONL, in bounded memory, and a mangled file costs what is mangled and no more."""

from __future__ import annotations

import io
import random
from datetime import date
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.records import Tenant
from storage.rows import Row
from tasks.ingest import IngestReport, UnreadableFile, ingest
from tasks.rules.limits import Limits


def parquet(rows: list[dict[str, Any]], *, group: int = 1_000, **options: Any) -> bytes:
    held = io.BytesIO()
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, held, row_group_size=group, **options)
    return held.getvalue()


def read(
    data: bytes, limits: Limits | None = None, name: str = "a.parquet"
) -> tuple[IngestReport, list[Row]]:
    datasets = Datasets(MemoryBlobs())
    pieces = (data[at : at + 777] for at in range(0, len(data), 777))
    report = ingest(pieces, name, datasets, Tenant("", "T1"), "d1", by="U1", at=1.0, limits=limits)
    return report, list(datasets.iter_rows(report.manifest, only_valid=False))


def chat(number: int) -> dict[str, Any]:
    said = [
        {"role": "user", "content": f"What about question number {number}?"},
        {"role": "assistant", "content": "It is well."},
    ]
    return {"messages": said, "channel": "mail", "score": number / 4, "day": date(2026, 1, 2)}


def test_nested_messages_are_read_with_their_columns() -> None:
    report, rows = read(parquet([chat(number) for number in range(120)], group=50))
    assert report.recognised == "Parquet, chat, 3 columns kept"
    assert report.hygiene.valid == len(rows) == 120
    assert rows[7].messages == chat(7)["messages"]
    assert rows[7].item == {"channel": "mail", "score": 1.75, "day": "2026-01-02"}
    assert [row.line for row in rows] == list(range(1, 121))


def test_fields_that_a_table_adds_as_nulls_are_not_there() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = [
        {"role": "user", "content": "Please look it up for me"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "found", "tool_call_id": "c1"},
    ]
    report, rows = read(parquet([{"messages": said, "extra": None}, {**chat(1), "extra": "x"}]))
    assert report.hygiene.valid == 2
    assert rows[0].messages == said
    assert "extra" not in rows[0].item


@pytest.mark.parametrize(
    ("rows", "shape"),
    [
        ([{"prompt": "Tell me about the sea", "completion": "It is wet."}], "prompt/completion"),
        ([{"instruction": "Say something nice", "input": None, "output": "You are kind."}], "instruction"),
        ([{"text": "The parcel never came", "label": 3}], "classification"),
        ([{"messages": '[{"role": "user", "content": "Messages as text?"}]'}], "chat"),
        ([{"conversations": [{"from": "human", "value": "Is this ShareGPT?"}]}], "ShareGPT"),
    ],
)
def test_every_shape_may_come_as_parquet(rows: list[dict[str, Any]], shape: str) -> None:
    report, _ = read(parquet(rows))
    assert (report.shape, report.hygiene.valid) == (shape, 1)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_every_compression_inside_parquet(compression: str) -> None:
    report, _ = read(parquet([chat(1), chat(2)], compression=compression))
    assert report.hygiene.valid == 2


def test_what_the_footer_says_is_refused_before_a_row_is_read() -> None:
    data = parquet([chat(number) for number in range(20)])
    with pytest.raises(UnreadableFile, match="20 rows, more than the limit of 10"):
        read(data, Limits(max_rows=10))
    with pytest.raises(UnreadableFile, match="4 columns, more than the limit of 3"):
        read(data, Limits(max_columns=3))
    with pytest.raises(UnreadableFile, match="over the limit of 0 MB"):
        read(data, Limits(max_expanded_bytes=500))


def test_one_text_for_a_million_cells_is_a_bomb() -> None:
    text = "a" * 100_000
    table = pyarrow.table({"text": pyarrow.array([text] * 5_000), "label": pyarrow.array(["x"] * 5_000)})
    held = io.BytesIO()
    pyarrow.parquet.write_table(table, held, use_dictionary=True, compression="zstd")
    assert len(held.getvalue()) < 100_000
    with pytest.raises(UnreadableFile, match="suspiciously much larger"):
        read(held.getvalue())


def test_a_cell_that_is_too_large_costs_its_row() -> None:
    report, rows = read(parquet([chat(1), {**chat(2), "channel": "m" * 5_000}]), Limits(max_line_bytes=2_000))
    assert (report.hygiene.valid, rows[1].error) == (1, "exceeds_max_tokens")


def test_bytes_that_are_no_text_cost_their_row() -> None:
    rows = [
        {"text": b"The parcel never came", "label": "a"},
        {"text": b"\xff\xfe\x00\x01 broken", "label": "b"},
    ]
    report, found = read(parquet(rows))
    assert report.hygiene.valid == 1
    assert (found[1].error, found[1].line) == ("invalid_data_structure", 2)


def test_a_damaged_group_costs_its_own_rows() -> None:
    data = bytearray(parquet([chat(number) for number in range(300)], group=100, compression="none"))
    metadata = pyarrow.parquet.ParquetFile(io.BytesIO(bytes(data))).metadata
    chunk = metadata.row_group(1).column(1)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + 40] = bytes([255] * 40)
    report, rows = read(bytes(data))
    assert report.hygiene.valid == 200
    assert {row.line for row in rows if row.valid} == {*range(1, 101), *range(201, 301)}
    assert any("Rows 101 to 200 are damaged" in problem for problem in report.problems)


def test_a_cut_file_is_called_broken() -> None:
    data = parquet([chat(number) for number in range(50)])
    with pytest.raises(UnreadableFile, match="cut off or damaged") as refused:
        read(data[:-200])
    assert refused.value.code == "broken_parquet"


@pytest.mark.parametrize("seed", range(60))
def test_no_mangled_parquet_crashes_the_reader(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(parquet([chat(number) for number in range(40)], group=10, compression="none"))
    for _ in range(chance.randint(1, 12)):
        data[chance.randrange(4, len(data))] = chance.randrange(256)
    try:
        report, rows = read(bytes(data))
    except UnreadableFile as refused:
        assert refused.file_name == "a.parquet"
        return
    assert len(rows) == report.hygiene.total > 0
    assert all(row.line for row in rows)
