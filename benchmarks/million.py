"""A million rows, a gigabyte: from upload to a stored, validated, deduplicated dataset version on S3.

Like `ingest.py`: ours in a process of its own, S3 a moto server in another, so that only our own CPU time and memory are taken. The
file is made of 20,000 sentences' worth of templates, with 2 % repeated rows, 1 % that cannot be used and three further columns.
Beside it stand the lower bound, every line through `orjson.loads` and nothing else, and the peer of `ingest.py`, which
loads everything into a list and checks it. All read the same file in one run.

    python -m benchmarks.million [--rows 100000]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks import ingest

ROWS = 1_000_000
BASES = 20_000
ROWS_AT_ONCE = 5_000
REPEATED_EVERY, INVALID_EVERY, BROKEN_EVERY = 50, 125, 997
PEER_NAME = "orjson.loads of every line, nothing checked or kept (lower bound)"
_PROMPT = (
    "You are the support agent of Northwind. Be brief and kind, answer in the language of the customer, and never promise a "
    "date, a refund or a discount that the order does not show."
)
_MARK = "@@"


def run() -> list[dict[str, Any]]:
    """The figures for `benchmarks/results.json`."""
    found = measured(ROWS)
    ours, bound, peer = found["ours"], found["orjson"], found["peer"]
    return [
        _entry("million_cpu_s", "s", ours["cpu_s"], bound["cpu_s"], PEER_NAME),
        _entry("million_rss_mb", "MB", ours["rss_mb"], peer["rss_mb"], ingest.PEER_NAME),
        _entry("million_cpu_s_checked_in_memory", "s", ours["cpu_s"], peer["cpu_s"], ingest.PEER_NAME),
    ]


def measured(rows: int) -> dict[str, dict[str, float]]:
    """{who: {cpu_s, rss_mb}} over one file of so many rows."""
    with tempfile.TemporaryDirectory() as folder, ingest.moto_server(Path(folder)) as url:
        path = Path(folder, "million.jsonl")
        generate(path, rows)
        megabytes = path.stat().st_size / 1e6
        found = {
            who: ingest.child(who, path, url, module="benchmarks.million")
            for who in ("ours", "orjson", "peer")
        }
    return {
        who: {"cpu_s": megabytes / one["mb_per_cpu_s"], "rss_mb": one["rss_mb"]} for who, one in found.items()
    }


def generate(path: Path, rows: int) -> None:
    """Chat rows of about a thousand bytes, the same for every run. Made of bytes, so that a gigabyte takes seconds."""
    bases = [_base(rng) for rng in [random.Random(7)] for _ in range(min(BASES, rows))]
    with path.open("wb") as file:
        for start in range(0, rows, ROWS_AT_ONCE):
            numbers = range(start, min(rows, start + ROWS_AT_ONCE))
            file.write(b"".join([_line(bases, number) for number in numbers]))


def _base(rng: random.Random) -> list[bytes]:
    """A row's text around the places of its number."""
    asked = f"Case {_MARK}: {ingest.sentences(rng, ingest.OPENINGS, rng.randint(1, 3))}"
    messages = [
        {"role": "system", "content": _PROMPT},
        {"role": "user", "content": asked},
        {"role": "assistant", "content": ingest.sentences(rng, ingest.REPLIES, rng.randint(3, 6))},
    ]
    row = {
        "messages": messages,
        "reference_answer": ingest.sentences(rng, ingest.REPLIES, 1),
        "customer": f"c{_MARK}",
        "channel": rng.choice(("mail", "chat", "phone")),
    }
    return json.dumps(row).encode().split(_MARK.encode())


def _line(bases: list[list[bytes]], number: int) -> bytes:
    if number % INVALID_EVERY == 7:
        return b'{"messages": [{"role": "assistant", "content": "Nobody asked me %d"}]}\n' % number
    if number % REPEATED_EVERY == 49:
        number -= 29  # a row that was there just before
    before, between, after = bases[number * 7919 % len(bases)]
    line = before + b"%d" % number + between + b"%d" % number + after
    return line[:-9] + b"\n" if number % BROKEN_EVERY == 3 else line + b"\n"


def _entry(name: str, unit: str, ours: float, peer: float, peer_name: str) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 1),
        "unit": unit,
        "peer": round(peer, 1),
        "peer_name": peer_name,
        "ratio": round(ours / peer, 3),
    }


def _orjson(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError:
                continue


def _peer(path: Path) -> None:
    """The peer of `ingest.py`, on a file that also has lines that are no JSON."""
    ingest.checked(list(_readable(path)))


def _readable(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _main(arguments: list[str]) -> None:
    if arguments[:1] in (["--ours"], ["--orjson"], ["--peer"]):
        works: dict[str, Callable[[], Any]] = {
            "--ours": ingest.ours,
            "--orjson": lambda: _orjson,
            "--peer": lambda: _peer,
        }
        ingest.measure(works[arguments[0]](), Path(arguments[1]))
        return
    rows = int(arguments[1]) if arguments[:1] == ["--rows"] else ROWS
    began = time.perf_counter()
    for who, found in measured(rows).items():
        print(f"{who:8s} {found['cpu_s']:6.1f} s CPU {found['rss_mb']:7.0f} MB peak")
    print(f"{rows:,} rows, {time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    _main(sys.argv[1:])
