"""Every shape in every container, mutilated: never a crash, never a lost good row, always a line number.

The mutilations are seeded, so a failure can be played again: `MUTILATIONS` bytes flipped, cut out, doubled, put in; lines
swapped; the file cut. A row whose bytes nobody touched has to come out valid, with its own line.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.records import Tenant
from storage.rows import Row, conversation_text
from tasks.ingest import IngestReport, UnreadableFile, ingest
from tasks.rules.limits import Limits

ROWS = 90  # more than the reader learns from, so that the fast way is mutilated as well


def asked(number: int) -> str:
    return f"Where is parcel number {number} of mine?"


def said(number: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": asked(number)}, {"role": "assistant", "content": "On its way."}]


SHAPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "chat": lambda n: {"messages": said(n), "channel": "mail", "n": n},
    "chat with ids": lambda n: {"id": f"row-{n}", "messages": said(n)},
    "tools": lambda n: {
        "messages": [
            {"role": "user", "content": asked(n)},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "found"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
    "parts": lambda n: {"messages": [{"role": "user", "content": [{"type": "text", "text": asked(n)}]}]},
    "prompt": lambda n: {"prompt": asked(n), "completion": "On its way."},
    "instruction": lambda n: {"instruction": asked(n), "input": "", "output": "On its way."},
    "classification": lambda n: {"text": asked(n), "label": n % 3},
    "ShareGPT": lambda n: {"conversations": [{"from": "human", "value": asked(n)}, {"from": "gpt", "value": "On its way."}]},
    "preference": lambda n: {"prompt": asked(n), "chosen": "On its way.", "rejected": "No idea."},
    "DPO": lambda n: {"input": {"messages": said(n)[:1]}, "preferred_output": said(n)[1:], "non_preferred_output": said(n)[1:]},
    "RFT": lambda n: {"messages": said(n)[:1], "reference_answer": "On its way.", "difficulty": {"level": n}},
    "record": lambda n: {"id": f"q{n}", "input": {"messages": said(n)[:1]}, "output": {"messages": said(n)[1:]}, "topic": "a/b"},
}  # fmt: skip
JUNK = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"\\", b"{", b"[" * 150, b"}", b"1e999", b"9" * 5_000, b"NaN",
    b'{"messages": 1, "messages": 2}', b'{"a":' * 120, b"\xed\xa0\x80", b"\\ud800", b"\r", b"null", b",,,,",
)  # fmt: skip


def read(data: bytes, name: str, step: int = 400) -> tuple[IngestReport, list[Row]]:
    datasets = Datasets(MemoryBlobs())
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    report = ingest(pieces, name, datasets, Tenant("", "T1"), "d1", by="U1", at=1.0)
    return report, list(datasets.iter_rows(report.manifest, only_valid=False))


def mutilated(chance: random.Random, lines: list[bytes]) -> tuple[bytes, set[int]]:
    """The lines with a few of them damaged, and the numbers (from 0) of the rows that are whole, by their line (from 1)."""
    lines = list(lines)
    hurt = {chance.randrange(len(lines)) for _ in range(chance.randint(1, 6))}
    for at in hurt:
        line, place = lines[at], chance.randrange(len(lines[at]) + 1)
        way = chance.randrange(5)
        if way == 0:
            lines[at] = line[:place] + chance.choice(JUNK) + line[place:]
        elif way == 1:
            lines[at] = line[:place] + line[place + chance.randint(1, 9) :]
        elif way == 2:
            lines[at] = line[:place] + bytes([chance.randrange(256)]).replace(b"\n", b" ") + line[place + 1 :]
        elif way == 3:
            lines[at] = chance.choice(JUNK)
        else:
            lines[at] = line[:place]
    return b"\n".join(lines), set(range(len(lines))) - hurt


def texts_by_line(rows: list[Row]) -> dict[int, str]:
    return {row.line: conversation_text(row.input.messages) for row in rows if row.valid}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_mutilated_file_never_crashes_and_every_row_has_its_line(shape: str, seed: int) -> None:
    chance = random.Random(f"{shape}{seed}")
    lines = [json.dumps(SHAPES[shape](number)).encode() for number in range(ROWS)]
    data, whole = mutilated(chance, lines)
    report, rows = read(data, "a.jsonl", step=chance.choice([50, 400, 1 << 20]))
    found = texts_by_line(rows)
    for number in whole:
        assert asked(number) in found.get(number + 1, ""), f"row {number} is lost"
    assert all(row.line for row in rows) and len(rows) == report.hygiene.total
    assert {row.line for row in rows} == {
        line for line, text in enumerate(data.split(b"\n"), 1) if text.strip()
    }


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_packed_file_that_is_cut_keeps_what_came_and_says_so(pack: Any, seed: int) -> None:
    chance = random.Random(seed)
    lines = [
        json.dumps({**SHAPES["chat"](number), "noise": chance.randbytes(40).hex()}).encode()
        for number in range(5_000)
    ]
    packed = pack(b"\n".join(lines))
    report, rows = read(
        packed[: chance.randrange(len(packed) * 3 // 4, len(packed) - 1)], "a.jsonl.gz", step=1 << 16
    )
    assert any("cut off" in problem for problem in report.problems)
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))
    assert sum(row.valid for row in rows) >= len(rows) - 1 > 1_000


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_packed_bytes_that_are_flipped_never_crash(pack: Any, seed: int) -> None:
    chance = random.Random(seed)
    packed = bytearray(
        pack(b"\n".join(json.dumps(SHAPES["chat"](number)).encode() for number in range(ROWS)))
    )
    for _ in range(chance.randint(1, 5)):
        packed[chance.randrange(4, len(packed))] ^= 1 << chance.randrange(8)
    try:
        report, rows = read(bytes(packed), "a.jsonl.gz")
    except UnreadableFile:
        return
    assert len(rows) == report.hygiene.total > 0


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_with_broken_quotes_and_cells_keeps_the_rows_around_them(delimiter: str, seed: int) -> None:
    chance = random.Random(f"{delimiter}{seed}")
    held = io.StringIO()
    writer = csv.writer(held, delimiter=delimiter, lineterminator="\n")
    for number in range(ROWS):
        writer.writerow([asked(number) + (" And, please; answer." if number % 2 else ""), "a", "x"])
    lines = held.getvalue().encode().splitlines()
    at = chance.randrange(ROWS)
    broken = chance.choice(
        [b'"never closed', b"a", delimiter.encode() * 9, b"\x00\x01", b"\xff\xfe,b,c", b'a"b']
    )
    data = b"\n".join(
        [delimiter.join(("text", "label", "more")).encode(), *lines[:at], broken, *lines[at + 1 :]]
    )
    _, rows = read(data, "a.csv", step=chance.choice([30, 1 << 20]))
    found = texts_by_line(rows)
    missing = [
        number for number in range(ROWS) if number != at and asked(number) not in found.get(number + 2, "")
    ]
    assert missing == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("shape", ["chat", "ShareGPT", "instruction"])
def test_every_encoding_of_every_shape(shape: str, encoding: str) -> None:
    lines = [
        json.dumps({**SHAPES[shape](number), "x": "Grüße, 日本"}, ensure_ascii=False) for number in range(70)
    ]
    report, rows = read("\r\n".join(lines).encode(encoding), "a.jsonl", step=33)
    assert report.hygiene.valid == 70
    assert rows[69].item["x"] == "Grüße, 日本"


@pytest.mark.parametrize("seed", range(30))
def test_a_mutilated_array_keeps_what_stands_before_the_damage(seed: int) -> None:
    chance = random.Random(seed)
    elements = [json.dumps(SHAPES["chat"](number)).encode() for number in range(ROWS)]
    at = chance.randrange(5, ROWS)
    place = chance.randrange(len(elements[at]))
    hurt = elements[at][:place] + chance.choice(JUNK) + elements[at][place + 1 :]
    data = b"[" + b",\n".join([*elements[:at], hurt, *elements[at + 1 :]]) + b"]"
    _, rows = read(data, "a.json", step=chance.choice([20, 1 << 20]))
    found = texts_by_line(rows)
    assert all(asked(number) in found.get(number + 1, "") for number in range(at))
    assert all(row.line for row in rows)


@pytest.mark.parametrize(
    ("limits", "data", "says"),
    [
        (
            Limits(max_file_bytes=1_000),
            b'{"prompt": "A question long enough?"}\n' * 99,
            "over the limit of 0 MB",
        ),
        (Limits(max_rows=5), b'{"prompt": "A question long enough?"}\n' * 6, "more than 5 rows"),
        (Limits(max_expanded_bytes=1_000), gzip.compress(b'{"prompt": "A question?"}\n' * 999), "unpacked"),
    ],
)
def test_limits_of_the_file_are_refused_in_words(limits: Limits, data: bytes, says: str) -> None:
    with pytest.raises(UnreadableFile, match=says):
        ingest(
            [data], "a.jsonl", Datasets(MemoryBlobs()), Tenant("", "T1"), "d", by="U1", at=1.0, limits=limits
        )


@pytest.mark.parametrize(
    ("limits", "row", "says"),
    [
        (Limits(max_depth=5), {"messages": said(1), "deep": [[[[[[1]]]]]]}, "nested more than 5 levels"),
        (Limits(max_columns=3), {"messages": said(1), "a": 1, "b": 2, "c": 3}, "has 4 columns; at most 3"),
        (Limits(max_line_bytes=500), {"messages": said(1), "a": "x" * 900}, "long"),
        (Limits(max_tokens=3), {"messages": said(1)}, "too long"),
    ],
)
def test_limits_of_a_row_cost_that_row(limits: Limits, row: dict[str, Any], says: str) -> None:
    lines = [json.dumps({"messages": [{"role": "user", "content": "Hi, help me"}]}).encode()] * 1
    lines += [json.dumps(row).encode()]
    report = ingest(
        [b"\n".join(lines)],
        "a.jsonl",
        Datasets(MemoryBlobs()),
        Tenant("", "T1"),
        "d",
        by="U1",
        at=1.0,
        limits=limits,
    )
    assert (report.hygiene.valid, report.hygiene.problems[0].line) == (1, 2)
    assert says in report.hygiene.problems[0].message


def test_what_a_sharegpt_turn_has_besides_is_kept() -> None:
    turns = [{"from": "human", "value": asked(1)}, {"from": "gpt", "value": "Soon.", "weight": 0}]
    _, rows = read(json.dumps({"conversations": turns}).encode(), "a.jsonl")
    assert rows[0].output.messages == [{"role": "assistant", "content": "Soon.", "weight": 0}]
