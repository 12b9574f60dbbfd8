"""Which rows of a version leave the house, in order, a part at a time: valid ones or all, with generated ones or without, of
one side or of every side. Also says how far it is, and stops between parts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storage.datasets import Datasets
from storage.manifests import Manifest
from storage.rows import Row
from tasks.exporting.files import Tally
from tasks.exporting.forms import WHY
from tasks.rules.splits import SIDES, Side
from tasks.step import Cancelled, StepContext

MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`sides` holds a byte for each valid row, in order: which side it is on; None where nothing is divided."""

    datasets: Datasets
    manifest: Manifest
    cancelled: Callable[[], bool]
    tell: Callable[[int], None] = lambda rows: None
    only_valid: bool = True
    include_generated: bool = True
    sides: bytes | None = None

    def rows(self, side: Side | None = None) -> Iterator[Row]:
        """The rows of that side, or of every side. Raises `Cancelled` between parts."""
        wanted = None if side is None else SIDES.index(side)
        read = valid = 0
        for part in range(len(self.manifest.parts)):
            if self.cancelled():
                raise Cancelled
            for row in self.datasets.rows(self.manifest, part):
                place = self.sides[valid] if self.sides is not None and row.valid else None
                valid += row.valid
                if self._taken(row) and (wanted is None or place == wanted):
                    yield row
            read += self.manifest.parts[part].rows
            self.tell(read)

    def _taken(self, row: Row) -> bool:
        return (row.valid or not self.only_valid) and (self.include_generated or not row.is_generated)


def teller(ctx: StepContext, total: int, label: str) -> Callable[[int], None]:
    """Progress from a reading thread to the task, which lives on the event loop."""
    loop = asyncio.get_running_loop()

    def tell(rows: int) -> None:
        asyncio.run_coroutine_threadsafe(ctx.progress(rows, total, label), loop).result()

    return tell


def left_out_of(tally: Tally) -> list[dict[str, object]]:
    """Rows left out, with the reason in words, most first."""
    return [{"rows": rows, "why": WHY[reason]} for reason, rows in tally.left_out.most_common()]  # type: ignore[index]


def not_carried_of(tally: Tally) -> list[dict[str, object]]:
    """What the format cannot hold, by name, most rows first; bounded."""
    return [{"name": name[:80], "rows": rows} for name, rows in tally.lost.most_common(MOST_LISTED)]


def file_stem(name: str) -> str:
    """A file name that every system takes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60] or "dataset"
