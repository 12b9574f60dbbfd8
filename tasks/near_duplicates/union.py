"""Which rows belong together, transitively: union-find in four bytes a row, the earliest row of a group leading it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.uint32]


@dataclass(slots=True)
class Groups:
    """`leaders[i]` is the earliest row of row i's group. True between calls; `join` may be given any number of pairs."""

    leaders: Rows

    def join(self, pairs: Iterable[tuple[int, int]]) -> None:
        changed = False
        for one, other in pairs:
            first, second = self._leader(one), self._leader(other)
            self.leaders[max(first, second)] = min(first, second)
            changed = True
        if changed:
            self._flatten()

    def _leader(self, row: int) -> int:
        while (above := int(self.leaders[row])) != row:
            self.leaders[row] = self.leaders[above]  # halves the way for whoever comes next
            row = above
        return row

    def _flatten(self) -> None:
        while True:
            above = self.leaders[self.leaders]
            if np.array_equal(above, self.leaders):
                return
            self.leaders[:] = above

    def join_equal(self, keys: npt.NDArray[np.uint64], rows: Rows) -> None:
        """Joins the rows that have a key in common; a row may stand under several keys."""
        order = np.argsort(keys, kind="stable")
        same = keys[order][1:] == keys[order][:-1]
        before, after = rows[order][:-1][same], rows[order][1:][same]
        self.join(zip(before.tolist(), after.tolist(), strict=True))
