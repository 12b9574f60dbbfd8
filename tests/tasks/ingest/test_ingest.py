"""Files as people drop them: every shape, every packing, every way to be broken."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import zstandard

from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.records import Tenant
from storage.rows import Row, last_user_message, to_record
from tasks.ingest import IngestCancelled, IngestReport, UnreadableFile, ingest
from tasks.rules.limits import Limits

TENANT = Tenant(enterprise="", team="T1")


def read(
    data: bytes | Iterable[bytes], name: str = "tickets.jsonl", **more: Any
) -> tuple[IngestReport, list[Row]]:
    datasets = Datasets(MemoryBlobs())
    source = (data,) if isinstance(data, bytes) else data
    report = ingest(source, name, datasets, TENANT, "d1", by="U1", at=1.0, **more)
    return report, list(datasets.iter_rows(report.manifest, only_valid=False))


def chat(text: str, answer: str = "It is on its way.", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}], **more}


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


THREE = [chat(f"Question number {n}, please?", customer=f"c{n}") for n in range(3)]
QUESTIONS = [f"Question number {n}, please?" for n in range(3)]


def asked(rows: list[Row]) -> list[str]:
    return [last_user_message(row) for row in rows]


def errors(rows: list[Row]) -> dict[int, str]:
    return {row.line: row.error for row in rows if row.error}


# ---------------------------------------------------------------- packings


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PLAIN = lines(*THREE)
ARRAY = json.dumps(THREE).encode()


@pytest.mark.parametrize(
    ("data", "name", "form"),
    [
        (PLAIN, "a.jsonl", "JSONL"),
        (PLAIN, "a.txt", "JSONL"),
        (PLAIN, "a.json", "JSONL"),
        (PLAIN[:-1], "a.jsonl", "JSONL"),
        (PLAIN.replace(b"\n", b"\r\n"), "a.jsonl", "JSONL"),
        (PLAIN.replace(b"\n", b"\n\n \n"), "a.jsonl", "JSONL"),
        (b"\xef\xbb\xbf" + PLAIN, "a.jsonl", "JSONL"),
        (PLAIN.decode().encode("utf-16"), "a.jsonl", "JSONL in UTF-16-LE"),
        (PLAIN.decode().encode("utf-16-le"), "a.jsonl", "JSONL in UTF-16-LE"),
        (b"\xfe\xff" + PLAIN.decode().encode("utf-16-be"), "a.jsonl", "JSONL in UTF-16-BE"),
        (PLAIN.decode().encode("utf-32"), "a.jsonl", "JSONL in UTF-32-LE"),
        (gzip.compress(PLAIN), "a.jsonl.gz", "JSONL, gzip"),
        (gzip.compress(PLAIN), "a.jsonl", "JSONL, gzip"),
        (gzip.compress(PLAIN[:300]) + gzip.compress(PLAIN[300:]), "a.jsonl.gz", "JSONL, gzip"),
        (gzip.compress(PLAIN) + b"\0" * 100, "a.jsonl.gz", "JSONL, gzip"),
        (zstd(PLAIN), "a.jsonl.zst", "JSONL, zstd"),
        (zstd(PLAIN[:300]) + zstd(PLAIN[300:]), "a.jsonl.zst", "JSONL, zstd"),
        (ARRAY, "a.json", "JSON array"),
        (ARRAY, "a.jsonl", "JSON array"),
        (json.dumps(THREE, indent=2).encode(), "a.json", "JSON array"),
        (gzip.compress(ARRAY), "a.json.gz", "JSON array, gzip"),
        (b"\n".join(json.dumps(row, indent=2).encode() for row in THREE), "a.json", "JSON"),
    ],
)
@pytest.mark.parametrize("step", [7, 1 << 20])
def test_rows_are_the_same_however_they_are_packed(data: bytes, name: str, form: str, step: int) -> None:
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    report, rows = read(pieces, name)
    assert asked(rows) == QUESTIONS
    assert all(row.valid for row in rows)
    assert report.format == form
    assert report.shape == "chat"
    assert report.columns_kept == ("customer",)
    assert report.recognised == f"{form}, chat, 1 column kept"
    assert report.problems == ()


def test_pretty_printed_elements_know_their_lines() -> None:
    _, rows = read(b'[\n  {"messages": []},\n\n  {"a": 1}\n, 5]', "a.json")
    assert errors(rows) == {2: "empty_messages", 4: "missing_input", 5: "invalid_data_structure"}


# ---------------------------------------------------------------- shapes

USER = {"role": "user", "content": "Where is my parcel?"}
ANSWER = {"role": "assistant", "content": "In Ulm."}
WORSE = {"role": "assistant", "content": "No idea."}


@pytest.mark.parametrize(
    ("row", "shape", "messages", "answer", "item"),
    [
        ({"messages": [USER, ANSWER]}, "chat", [USER], [ANSWER], {}),
        ({"messages": [USER], "reference_answer": "x"}, "chat", [USER], [], {"reference_answer": "x"}),
        (
            {"input": {"messages": [USER]}, "output": {"messages": [ANSWER]}, "n": 1},
            "record",
            [USER],
            [ANSWER],
            {"n": 1},
        ),
        ({"input": {"messages": [USER]}, "output": None}, "record", [USER], [], {}),
        ({"prompt": USER["content"], "completion": "In Ulm."}, "prompt/completion", [USER], [ANSWER], {}),
        ({"prompt": [USER], "completion": [ANSWER]}, "prompt/completion", [USER], [ANSWER], {}),
        ({"prompt": USER["content"]}, "prompt/completion", [USER], [], {}),
        (
            {"instruction": USER["content"], "input": "", "output": "In Ulm."},
            "instruction",
            [USER],
            [ANSWER],
            {},
        ),
        (
            {"instruction": "Translate.", "input": "Guten Tag", "output": "Good day"},
            "instruction",
            [{"role": "user", "content": "Translate.\n\nGuten Tag"}],
            [{"role": "assistant", "content": "Good day"}],
            {},
        ),
        (
            {"text": USER["content"], "label": "shipping"},
            "classification",
            [USER],
            [{"role": "assistant", "content": "shipping"}],
            {"label": "shipping"},
        ),
        (
            {
                "conversations": [
                    {"from": "human", "value": USER["content"]},
                    {"from": "gpt", "value": "In Ulm."},
                ]
            },
            "ShareGPT",
            [USER],
            [ANSWER],
            {},
        ),
        (
            {"prompt": USER["content"], "chosen": "In Ulm.", "rejected": "No idea."},
            "preference",
            [USER],
            [ANSWER],
            {"rejected": [WORSE]},
        ),
        (
            {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [WORSE]},
            "preference",
            [USER],
            [ANSWER],
            {"rejected": [WORSE]},
        ),
        (
            {"chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
            "preference",
            [USER],
            [ANSWER],
            {"rejected": [WORSE]},
        ),
    ],
)
def test_every_shape_becomes_the_record_form(
    row: dict[str, Any], shape: str, messages: list[Any], answer: list[Any], item: dict[str, Any]
) -> None:
    report, (found,) = read(lines(row))
    assert report.shape == shape
    assert (found.input.messages, found.output.messages, found.item) == (messages, answer, item)
    assert found.valid


def test_a_file_may_mix_shapes() -> None:
    report, rows = read(lines(*THREE, {"prompt": "Where is my parcel?", "completion": "x"}))
    assert report.shape == "chat and prompt/completion"
    assert all(row.valid for row in rows)


def test_tools_and_strange_fields_are_kept() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": {"name": "find"}}]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "In Ulm.", "weight": 0}
    row = {"messages": [USER, call, result, ANSWER], "tools": [{"type": "function"}], "tool_choice": "auto"}
    report, (found,) = read(lines(row))
    assert found.input.tools == [{"type": "function"}]
    assert found.input.tool_choice == "auto"
    assert found.output.messages == [call, result, ANSWER]
    assert report.statistics.tools == {"find": 1}


def test_an_export_can_be_read_again() -> None:
    row = {"id": "r1", "input": {"messages": [USER]}, "topic": "billing", "topic_confidence": 0.9,
           "topic_method": "llm", "is_generated": True, "provenance": {"seed": "q7"}, "item": {"customer": "gold"}}  # fmt: skip
    _, (found,) = read(lines(row))
    assert (found.id, found.topic, found.is_generated, found.provenance["seed"]) == (
        "r1",
        "billing",
        True,
        "q7",
    )
    _, (again,) = read(lines(to_record(found)))
    assert (again.id, again.topic, again.topic_confidence, again.is_generated) == ("r1", "billing", 0.9, True)
    assert again.item == {"customer": "gold"}


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_with_line_breaks_in_quotes(delimiter: str) -> None:
    table = [
        ["text", "label", "note"],
        ['"Where is\nmy ""parcel""?"', "shipping", ""],
        ["My card was charged", "billing", "x"],
    ]
    data = "\r\n".join(delimiter.join(cells) for cells in table).encode()
    report, rows = read(data, "a.csv")
    assert asked(rows) == ['Where is\nmy "parcel"?', "My card was charged"]
    assert [row.line for row in rows] == [2, 4]
    assert report.shape == "classification"
    assert report.columns_kept == ("label", "note")
    assert report.statistics.labels == {"shipping": 1, "billing": 1}


def test_csv_cells_may_hold_messages() -> None:
    cell = json.dumps([USER, ANSWER]).replace('"', '""')
    _, (row,) = read(f'messages,n\n"{cell}",1\n'.encode(), "a.csv")
    assert row.messages == [USER, ANSWER]


def test_a_quote_that_never_closes_costs_one_row() -> None:
    data = b'text,label\nWhere is my parcel?,a\n"My card was charged,b\nI forgot my password,c\nWhere is my refund?,d\n'
    _, rows = read(data, "a.csv")
    assert errors(rows) == {3: "invalid_data_structure"}
    assert [row.line for row in rows if row.valid] == [2, 4, 5]


def test_csv_rows_that_do_not_fit_are_named() -> None:
    data = b"text,label\nWhere is my parcel?,a,b\n\nWhere is\xff my parcel?,a\nWhere is my parcel?,a\n"
    report, rows = read(data, "a.csv")
    assert errors(rows) == {2: "invalid_data_structure", 4: "invalid_data_structure"}
    assert "3 cells under 2 columns" in report.hygiene.problems[0].message
    assert "UTF-8" in report.hygiene.problems[1].message


# ---------------------------------------------------------------- files that are refused

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.mark.parametrize(
    ("data", "name", "code", "says"),
    [
        (b"", "a.jsonl", "empty_file", "empty"),
        (b"\xef\xbb\xbf", "a.jsonl", "empty_file", "empty"),
        (b"\n \r\n\n", "a.jsonl", "empty_file", "empty"),
        (b"[]", "a.json", "empty_file", "no rows"),
        (b"text,label\n", "a.csv", "empty_file", "no rows"),
        (gzip.compress(b""), "a.jsonl.gz", "empty_file", "empty"),
        (PNG, "a.png", "unsupported_type", "picture"),
        (PNG, "a.jsonl", "unsupported_type", "picture"),
        (b"MZ\x90\x00\x03\x00\x00\x00\x04" + bytes(100), "setup.exe", "unsupported_type", "program"),
        (b"PK\x03\x04\x14\x00\x06\x00", "a.zip", "unsupported_type", "ZIP"),
        (b"PK\x03\x04\x14\x00\x06\x00", "a.xlsx", "unsupported_type", "save a sheet as CSV"),
        (b"%PDF-1.7\n\x00\x01", "a.pdf", "unsupported_type", "PDF"),
        (b"PAR1\x15\x04\x15\x00", "a.parquet", "broken_parquet", "Parquet"),
        (gzip.compress(b"PAR1\x15\x04\x15\x00"), "a.parquet.gz", "unsupported_type", "Parquet inside"),
        (gzip.compress(PNG), "a.jsonl.gz", "unsupported_type", "picture"),
        (gzip.compress(gzip.compress(PLAIN)), "a.jsonl.gz", "unsupported_type", "binary"),
        (b"Dear team, please find the data elsewhere.", "a.txt", "unsupported_type", "neither"),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "a.jsonl", "web_page", "login page"),
        (b"\n <html lang='en'>", "a.csv", "web_page", "login page"),
        (b"\x1f\x8bgarbage that is not gzip", "a.jsonl.gz", "broken_compression", "cannot be unpacked"),
        (b"\x28\xb5\x2f\xfdgarbage", "a.jsonl.zst", "broken_compression", "cannot be unpacked"),
    ],
)
def test_what_cannot_hold_rows_is_refused_by_name(data: bytes, name: str, code: str, says: str) -> None:
    with pytest.raises(UnreadableFile) as refused:
        read(data, name)
    assert refused.value.code == code
    assert str(refused.value).startswith(f"{name}: ")
    assert says in str(refused.value)


def test_a_very_long_name_is_shortened() -> None:
    name = "<script>*_~<!channel>" * 30 + ".exe"
    with pytest.raises(UnreadableFile) as refused:
        read(PNG, name)
    assert len(refused.value.file_name) == 100
    _, rows = read(PLAIN, name)
    assert rows[0].provenance["file"] == name[:99] + "…"


def test_a_file_over_the_limit_is_refused_while_it_streams() -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield PLAIN * 100

    with pytest.raises(UnreadableFile, match="over the limit of 1 MB") as refused:
        read(endless(), limits=Limits(max_file_bytes=1_000_000))
    assert refused.value.code == "file_too_large"
    assert len(sent) < 100


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_bomb_is_defused_in_little_memory(pack: Any) -> None:
    bomb = pack(b'{"messages": [' + b" " * 150_000_000)
    tracemalloc.start()
    with pytest.raises(UnreadableFile) as refused:
        read(bomb, "a.jsonl.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.code == "expands_too_much"
    assert peak < 60_000_000


def test_expanded_size_has_a_limit_of_its_own() -> None:
    with pytest.raises(UnreadableFile, match="unpacked"):
        read(gzip.compress(PLAIN * 100), "a.jsonl.gz", limits=Limits(max_expanded_bytes=10_000))


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(UnreadableFile, match="more than 2 rows"):
        read(PLAIN, limits=Limits(max_rows=2))


# ---------------------------------------------------------------- rows that are broken

GOOD = json.dumps(chat("Where is my parcel?")).encode()
OTHER = json.dumps(chat("What about my refund?")).encode()


@pytest.mark.parametrize(
    ("bad", "code", "says"),
    [
        (b'{"messages": [', "invalid_json", "Expecting value"),
        (b'{"messages": NaN}', "invalid_json", "NaN is not JSON"),
        (b'{"messages": [], "x": -Infinity}', "invalid_json", "-Infinity is not JSON"),
        (b'{"messages": [], "x": 1e999}', "invalid_json", "too large"),
        (b'{"messages": [], "x": ' + b"9" * 5_000 + b"}", "invalid_json", "too long"),
        (b'{"messages": [], "messages": []}', "invalid_json", 'the key "messages" is there twice'),
        (GOOD[:-1] + b', "x": 1, "x": 2}', "invalid_json", 'the key "x" is there twice'),
        (
            b'{"messages": [{"role": "user", "role": "user", "content": "Where is it, please?"}]}',
            "invalid_json",
            "twice",
        ),
        (b'{"messages": "\xff"}', "invalid_json", "not UTF-8"),
        (GOOD[:-1] + b', "x": "\xff\xfe"}', "invalid_json", "not UTF-8"),
        (GOOD[:-1] + b', "x": "\\ud800"}', "invalid_json", "half of a pair"),
        (b"[" * 10_000 + b"]" * 10_000, "invalid_json", "levels deep"),
        (b'{"messages": ' + b"[" * 10_000, "invalid_json", "levels deep"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "invalid_json", "levels deep"),
        (b"hello", "invalid_json", "Expecting value"),
        (b"5", "invalid_data_structure", "a number"),
        (b'"text"', "invalid_data_structure", "a text"),
        (b"[1]", "invalid_data_structure", "a list"),
        (b'{"messages": "hello"}', "invalid_data_structure", "messages"),
        (b'{"messages": [5]}', "invalid_data_structure", "messages"),
        (b"{}", "missing_input", "nothing"),
        (b'{"foo": 1, "bar": 2}', "missing_input", "bar, foo"),
        (b'{"messages": null}', "missing_messages", "null"),
        (b'{"input": {}}', "missing_messages", "no messages"),
        (b'{"messages": []}', "empty_messages", "empty"),
        (b'{"messages": [{"role": "robot", "content": "Where is my parcel?"}]}', "invalid_role", "role"),
        (
            b"{" + b",".join(b'"c%d":1' % n for n in range(300)) + b"}",
            "invalid_data_structure",
            "300 columns",
        ),
    ],
)
@pytest.mark.parametrize("before", [0, 80])
def test_one_bad_row_is_named_and_costs_no_other(bad: bytes, code: str, says: str, before: int) -> None:
    head = [json.dumps(chat(f"Is this question {n}?")).encode() for n in range(before)]
    filler = [json.dumps(chat(f"Filler {n}: " + "x" * 4_000)).encode() for n in range(before)]
    report, rows = read(b"\n".join([*head, *filler, GOOD, bad, OTHER]))
    line = 2 * before + 2
    assert errors(rows) == {line: code}
    assert len(rows) == line + 1
    assert rows[-2].line == line
    (problem,) = report.hygiene.problems
    assert (problem.line, problem.code) == (line, code)
    assert says in problem.message
    assert problem.message.startswith(f"Line {line} ")
    assert len(problem.message) < 400


def test_an_unreadable_row_is_kept_and_shown() -> None:
    _, rows = read(GOOD + b'\n{"messages": \xff oops\n')
    assert rows[1].raw == '{"messages": \\xff oops'
    assert not rows[1].valid


def test_a_line_of_200_mb_is_skipped_in_bounded_memory() -> None:
    def source() -> Iterator[bytes]:
        yield GOOD + b'\n{"messages": "'
        for _ in range(200):
            yield b"x" * 1_000_000
        yield b'"}\n' + OTHER + b"\n"

    tracemalloc.start()
    report, rows = read(source())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert errors(rows) == {2: "exceeds_max_tokens"}
    assert [row.line for row in rows] == [1, 2, 3]
    assert "200.0 MB" in report.hygiene.problems[0].message
    assert len(rows[1].raw) <= 1_000
    assert peak < 60_000_000


def test_a_huge_array_element_is_skipped_too() -> None:
    huge = json.dumps(chat("x" * 3_000_000)).encode()
    data = b"[" + GOOD + b",\n" + huge + b",\n" + OTHER + b"]"
    _, rows = read(data, "a.json", limits=Limits(max_line_bytes=1_000_000))
    assert errors(rows) == {2: "exceeds_max_tokens"}
    assert [row.line for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (PLAIN[:-40], "a.jsonl"),
        (ARRAY[:-40], "a.json"),
        (gzip.compress(lines(*THREE[:2]) * 2_000 + lines(*THREE))[:-30], "a.jsonl.gz"),
    ],
)
def test_a_file_cut_in_the_middle_keeps_what_came_before(data: bytes, name: str) -> None:
    report, rows = read(data, name)
    assert asked([row for row in rows if row.valid])[:2] == QUESTIONS[:2]
    assert "cut off" in report.problems[0]


def test_a_file_without_a_last_newline_is_not_called_cut() -> None:
    assert read(PLAIN[:-1])[0].problems == ()


def test_nothing_valid_is_a_report_and_not_an_error() -> None:
    report, rows = read(b"oops\n" * 10)
    assert report.hygiene.health == "critical"
    assert (report.hygiene.total, report.hygiene.valid, report.hygiene.rate) == (10, 0, 1.0)
    assert report.hygiene.lines == {"invalid_json": (1, 2, 3, 4, 5)}
    assert len({row.id for row in rows}) == 10


def test_one_row_is_enough() -> None:
    report, _ = read(GOOD)
    assert report.hygiene.valid == 1
    assert report.statistics.average_turns == 1


def test_markup_in_rows_stays_text() -> None:
    text = "<script>alert(1)</script> <!channel> *_~ & `x`"
    _, (row,) = read(lines(chat(text)))
    assert last_user_message(row) == text


# ---------------------------------------------------------------- identity


def test_a_second_upload_gets_the_same_ids() -> None:
    rows = [
        *THREE,
        *THREE,
        chat(""),
        chat(""),
        {"a": 1},
        {"a": 1},
        chat("x", id="mine"),
        chat("y", id="mine"),
    ]
    one, two = read(lines(*rows)), read(lines(*rows), "renamed.jsonl")
    ids = [row.id for row in one[1]]
    assert ids == [row.id for row in two[1]]
    assert len(set(ids)) == len(ids)
    assert "mine" in ids


def test_ids_do_not_depend_on_the_file_around_them() -> None:
    _, first = read(lines(*THREE))
    _, second = read(lines(chat("Something else first"), *reversed(THREE)))
    assert {row.id for row in first} <= {row.id for row in second}


def test_the_first_of_equals_stays() -> None:
    report, rows = read(
        lines(THREE[0], chat("  question  NUMBER 0, please?"), chat("Question number 0, please?", "No."))
    )
    assert errors(rows) == {2: "duplicate"}
    assert report.hygiene.duplicates == 1


def test_many_rows_get_the_same_verdicts_on_the_fast_way() -> None:
    rows = [chat(f"Question number {n % 700}, please?", n=n, id=f"t{n}") for n in range(1_000)]
    rows[900] = chat("short")
    report, found = read(lines(*rows))
    assert report.hygiene.counts == {"user_message_too_short": 1, "duplicate": 299}
    assert [row.id for row in found[:5]] == ["t0", "t1", "t2", "t3", "t4"]
    assert [row.item["n"] for row in found if row.line != 901] == [n for n in range(1_000) if n != 900]
    assert report.statistics.turns == 700
    assert report.columns_kept == ("n",)


# ---------------------------------------------------------------- along the way


def test_progress_is_told_and_cancelling_leaves_no_version() -> None:
    heard: list[tuple[int, int]] = []
    read(PLAIN * 100, progress=lambda at, rows: heard.append((at, rows)))
    assert heard[-1] == (len(PLAIN) * 100, 300)
    blobs = MemoryBlobs()
    with pytest.raises(IngestCancelled):
        ingest((PLAIN,), "a", Datasets(blobs), TENANT, "d1", by="U1", at=1.0, cancelled=lambda: True)
    assert not any("/versions/" in path for path in blobs.objects)


def test_a_source_that_breaks_leaves_no_version() -> None:
    def broken() -> Iterator[bytes]:
        yield PLAIN
        raise ConnectionResetError

    blobs = MemoryBlobs()
    with pytest.raises(ConnectionResetError):
        ingest(broken(), "a.jsonl", Datasets(blobs), TENANT, "d1", by="U1", at=1.0)
    assert not any("/versions/" in path for path in blobs.objects)


def test_tokens_are_counted_exactly_where_that_matters() -> None:
    long = chat("word " * 2_000)
    report, rows = read(lines(long, *THREE), count_tokens=lambda text: 77)
    assert [row.tokens for row in rows][:2] == [77, 11]
    assert "exact above 8,000 bytes" in report.statistics.tokens_by
    assert read(lines(long))[0].statistics.tokens_by == "estimate: characters / 4"


def test_statistics_describe_the_valid_rows() -> None:
    turns = {"messages": [USER, ANSWER, {"role": "user", "content": "And my other parcel?"}, ANSWER]}
    report, _ = read(lines(turns, {"messages": [USER]}, {"messages": []}))
    found = report.statistics
    assert (found.rows, found.valid, found.turns) == (3, 2, 3)
    assert (found.single_turn_share, found.multi_turn_share, found.reference_share) == (0.5, 0.5, 0.5)
    assert found.average_input_tokens + found.average_output_tokens == (-(-(19 + 7 + 20 + 7) // 4) + 5) / 2


def test_gzip_members_of_any_size_are_unpacked() -> None:
    data = lines(*(chat(f"Question number {n}, please? " + "pad " * 50) for n in range(2_000)))
    buffer = io.BytesIO()
    for at in range(0, len(data), 100_000):
        buffer.write(gzip.compress(data[at : at + 100_000]))
    packed = buffer.getvalue()
    for step in (1_000, 70_000):
        _, rows = read((packed[at : at + step] for at in range(0, len(packed), step)), "a.jsonl.gz")
        assert len(rows) == 2_000


@pytest.mark.parametrize(
    ("name", "rows"),
    [("a.csv", "text,label\nWo ist mein Päckchen?,a\n"), ("a.jsonl", '{"prompt": "Päckchen?"}\n')],
)
def test_a_file_in_another_encoding_is_told_how_to_be_saved(name: str, rows: str) -> None:
    report, _ = read(rows.encode("cp1252"), name)
    assert any("Save the file as UTF-8" in problem for problem in report.problems)
    assert read(rows.encode(), name)[0].problems == ()


def test_a_line_that_ends_within_a_text_is_told_plainly() -> None:
    report, _ = read(b'{"prompt": "Where is it?"}\n{"prompt": "Where\n{"prompt": "When?"}\n', "a.jsonl")
    told = " ".join(problem.message for problem in report.hygiene.problems)
    assert "starting at character 12" in told
