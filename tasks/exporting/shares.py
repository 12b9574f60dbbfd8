"""How rows are divided when somebody asks for a split: "80/10/10" as shares. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

AS_TRAINED = "90/10"
WITH_TEST = "80/10/10"


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of train, validation and test; they sum to 1."""

    train: float
    validation: float
    test: float

    def __str__(self) -> str:
        shares = (self.train, self.validation, *((self.test,) if self.test else ()))
        return "/".join(f"{share * 100:g}" for share in shares)


def shares_of(text: str) -> Shares:
    """`80/10/10`, `80 10 10`, `0.8, 0.1, 0.1` or `90/10`. Raises ValueError with what is wrong."""
    numbers = [float(found) for found in re.findall(r"\d+(?:\.\d+)?", text)]
    if len(numbers) not in (2, 3) or not sum(numbers):
        raise ValueError(f"{text[:40]!r} is no split: write train/validation/test, such as {WITH_TEST}")
    total = sum(numbers)
    if abs(total - 100) > 1e-6 and abs(total - 1) > 1e-6:
        raise ValueError(f"the shares {text[:40]!r} sum to {total:g}, not to 100")
    train, validation, test = (*(number / total for number in numbers), 0.0)[:3]
    if train < 0.5:
        raise ValueError("at least half of the rows have to train")
    return Shares(train, validation, test)
