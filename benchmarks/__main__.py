"""`make bench [ONLY=name]`: run the benchmarks, print a table, write `benchmarks/results.json`.

Every module named in MODULES has `NAMES`-free `run() -> list[dict]` giving `{name, ours, unit, peer, peer_name, ratio}`;
`peer` and `ratio` are None where the figure stands alone. ONLY keeps the modules whose name, or one of whose figures, it is.
"""

from __future__ import annotations

import importlib
import json
import platform
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")
FIGURES: dict[str, tuple[str, ...]] = {
    "ack": ("ack_p99_ms", "ack_lost", "ack_doubled"),
    "turn": ("turn_cpu_ms",),
    "turn_million": ("turn_million_ratio", "turn_million_cpu_ratio"),
    "ingest": ("ingest_mb_per_cpu_s", "ingest_rss_mb"),
    "million": ("million_cpu_s", "million_rss_mb"),
    "categorise": (
        "categorise_rows_per_s",
        "categorise_rss_mb",
        "categorise_offline_accuracy",
        "categorise_known_accuracy",
        "categorise_known_ece",
        "categorise_model_share",
        "categorise_token_share",
        "categorise_accuracy",
    ),
    "near_dup": ("near_dup_rows_per_s", "near_dup_recall", "near_dup_precision"),
    "two_workers": ("two_worker_speedup",),
    "grading": ("grade_python_ms", "grade_js_ms"),
    "web": ("web_rss_mb", "web_ready_s"),
}


def main(only: Annotated[str, typer.Option(help="a module or a figure's name")] = "") -> None:
    rows: list[dict[str, Any]] = []
    for module, figures in FIGURES.items():
        if only in ("", module, *figures):
            found = importlib.import_module(f"benchmarks.{module}").run()
            rows.extend({**row, "machine": machine(), "commit": commit()} for row in found)
    if not rows:
        raise typer.BadParameter(f"{only} is none of {', '.join(FIGURES)} and none of their figures")
    kept = [] if not only or not RESULTS.exists() else json.loads(RESULTS.read_text())
    names = {row["name"] for row in rows}
    RESULTS.write_text(
        json.dumps([*(row for row in kept if row["name"] not in names), *rows], indent=2) + "\n"
    )
    Console(width=130).print(table(rows))


def table(rows: list[dict[str, Any]]) -> Table:
    result = Table("name", "ours", "unit", "peer", "peer_name", "ratio")
    for row in rows:
        result.add_row(
            *(shown(row.get(column)) for column in ("name", "ours", "unit", "peer", "peer_name", "ratio"))
        )
    return result


def shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, {_cores()} cores, Python {platform.python_version()}"


def commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def _cores() -> int:
    import os

    return os.cpu_count() or 1


if __name__ == "__main__":
    typer.run(main)
