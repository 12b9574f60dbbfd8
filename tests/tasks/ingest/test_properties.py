"""What holds for every file: no crash, no good row lost, right line numbers, the fast way agreeing with the careful one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.records import Tenant
from storage.rows import Row
from tasks.ingest import IngestReport, UnreadableFile, ingest, reader

TENANT = Tenant(enterprise="", team="T1")
NO_FAST_WAY = 10**9


def read(data: bytes, name: str = "a.jsonl", step: int = 1 << 20) -> tuple[IngestReport, list[Row]]:
    datasets = Datasets(MemoryBlobs(), part_rows=7)
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    report = ingest(pieces, name, datasets, TENANT, "d1", by="U1", at=1.0)
    return report, list(datasets.iter_rows(report.manifest, only_valid=False))


def good(number: int) -> bytes:
    return json.dumps(
        {"messages": [{"role": "user", "content": f"Question number {number}, please?"}]}
    ).encode()


junk = (
    st.binary(max_size=60)
    | st.text(max_size=40).map(str.encode)
    | st.sampled_from(
        [b'{"messages": [', b"[[[[", b'"', b"\\", b"null", b"{}", b"\x00", b'{"messages":[{"role":"user"}]}']
    )
).map(lambda line: line.replace(b"\n", b" "))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.none() | junk, min_size=1, max_size=12), st.sampled_from([1, 5, 64, 1 << 20]), st.booleans()
)
def test_junk_between_lines_costs_no_good_row(pieces: list[bytes | None], step: int, crlf: bool) -> None:
    lines = [good(0), *(good(number) if piece is None else piece for number, piece in enumerate(pieces, 1))]
    data = (b"\r\n" if crlf else b"\n").join(lines)
    _, rows = read(data, step=step)
    expected = [1] + [number for number, piece in enumerate(pieces, 2) if piece is None]
    texts = {row.line: row.input.messages[-1]["content"] for row in rows if row.valid and row.input.messages}
    assert set(expected) <= set(texts)
    assert all(texts[line] == f"Question number {line - 1}, please?" for line in expected)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.jsonl.gz", "a.exe", ""]))
def test_no_bytes_crash_the_reader(data: bytes, name: str) -> None:
    try:
        report, rows = read(data, name, step=11)
    except UnreadableFile:
        return
    assert len(rows) == report.hygiene.total > 0


@settings(deadline=None, max_examples=100)
@given(st.data(), st.integers(1, 8), st.sampled_from(["a.json", "a.csv", "a.jsonl"]))
def test_a_mutilated_file_never_crashes(data: st.DataObject, rows: int, name: str) -> None:
    if name == "a.csv":
        whole = b"text,label\n" + b"".join(b'"Question, number %d?",x\n' % n for n in range(rows))
    else:
        whole = (
            (b"[" + b",\n".join(map(good, range(rows))) + b"]")
            if name == "a.json"
            else b"\n".join(map(good, range(rows)))
        )
    at = data.draw(st.integers(11 if name == "a.csv" else 0, len(whole)))  # a broken header spoils everything
    drop = data.draw(st.integers(0, 20))
    mutilated = whole[:at] + data.draw(st.binary(max_size=6)) + whole[at + drop :]
    try:
        _, found = read(mutilated, name, step=data.draw(st.sampled_from([3, 1 << 20])))
    except UnreadableFile:
        return
    if name != "a.json":
        assert sum(row.valid for row in found) >= rows - 2 - 4 * (
            name == "a.csv"
        )  # at most two lines are touched


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 400))
def test_a_cut_array_keeps_every_whole_element(cut: int) -> None:
    whole = b"[" + b",\n".join(map(good, range(5))) + b"]"
    kept = whole[: max(1, len(whole) - cut)]
    complete = kept.count(b'please?"}]}')
    try:
        _, rows = read(kept, "a.json", step=13)
    except UnreadableFile:
        assert complete == 0
        return
    assert sum(row.valid for row in rows) == complete


texts = st.text(max_size=30) | st.sampled_from(
    ["", "  ", "a\tb", 'say ":', "Ünï", "x" * 9, "x" * 10, "\u2028", "\x00"]
)
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "user", "assistant", "tool", "robot"]),
            "content": texts,
        },
        optional={"name": texts},
    ),
    max_size=4,
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
rows = st.fixed_dictionaries(
    {"messages": messages},
    optional={
        "id": st.sampled_from(["a", "b", "c"]),
        "label": scalars,
        "reference_answer": texts,
        "more": st.lists(scalars, max_size=2),
    },
)


PLAIN = [
    "Is this long enough?",
    "And  what\tof this one, then?",
    "Ünï  ça va\u3000bien, oui?",
    'It says "a": 1, no?',
    "A third question?",
]
ODD: list[Any] = ["short", "", "  ", 'say ":', 3, None, ["x"], {"a": 1}]
lone = st.sampled_from([*PLAIN * 6, *ODD])
columns = {"id": st.sampled_from(["a", "b", 7, ""]), "label": scalars, "more": st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4), "system": lone}  # fmt: skip
turns = st.lists(
    st.fixed_dictionaries(
        {
            "from": st.sampled_from(
                ["human", "gpt", "human", "gpt", "human", "gpt", "system", "user", "tool", "who"]
            ),
            "value": lone,
        }
    ),
    max_size=4,
)
SHAPES = {
    "prompt": st.fixed_dictionaries({"prompt": lone}, optional={"completion": lone, **columns}),
    "question": st.fixed_dictionaries({"question": lone}, optional={"answer": lone, "prompt": lone, **columns}),
    "instruction": st.fixed_dictionaries({"instruction": lone}, optional={"input": lone, "output": lone, **columns}),
    "classification": st.fixed_dictionaries({"text": lone, "label": scalars}, optional={"id": columns["id"], "more": columns["more"]}),
    "ShareGPT": st.fixed_dictionaries({"conversations": turns}, optional=columns),
    "mixed": rows,
}  # fmt: skip


def spaced(row: dict[str, Any], compact: bool, escaped: bool) -> bytes:
    return json.dumps(row, separators=(",", ":") if compact else None, ensure_ascii=escaped).encode(
        "utf-8", "surrogatepass"
    )


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rows, min_size=1, max_size=25), st.booleans(), st.booleans())
def test_the_fast_way_agrees_with_the_careful_one(
    given_rows: list[dict[str, Any]], compact: bool, escaped: bool
) -> None:
    agree(b"\n".join(spaced(row, compact, escaped) for row in given_rows), "a.jsonl")


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(list(SHAPES)), st.sampled_from(["a.jsonl", "a.json"]), st.booleans())
def test_both_ways_agree_on_every_shape(data: st.DataObject, shape: str, name: str, escaped: bool) -> None:
    common = st.lists(SHAPES[shape], min_size=4, max_size=20)
    given_rows = data.draw(common) + data.draw(st.lists(st.one_of(*SHAPES.values()), max_size=3))
    lines = [spaced(row, False, escaped) for row in data.draw(st.permutations(given_rows))]
    lines += data.draw(
        st.lists(
            st.sampled_from(
                [
                    b'{"prompt": "Is it twice?", "prompt": "Is it twice?"}',
                    b'{"prompt" : "A space before?"}',
                    b'{"text": "a\\\\":1}',
                ]
            ),
            max_size=1,
        )
    )
    agree(b"[" + b",\n".join(lines) + b"]" if name == "a.json" else b"\n".join(lines), name)


def agree(data: bytes, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "LEARN_ROWS", NO_FAST_WAY)
        careful_report, careful = read(data, name, step=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "LEARN_ROWS", 1)
        patch.setattr(reader, "RELEARN_ROWS", 1)
        fast_report, fast = read(data, name, step=60)
    assert fast == careful
    assert fast_report.hygiene == careful_report.hygiene
    assert fast_report.statistics == careful_report.statistics
    assert fast_report.columns_kept == careful_report.columns_kept
    assert fast_report.manifest.hash is not None
