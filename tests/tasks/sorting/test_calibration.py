"""A confidence that means what it says, and the report of how far it is off."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.sorting.calibration import FEWEST, Calibration, calibrated, reliability


def drawn(rows: int, *, honest: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences from 0.3 to 0.99 and whether each was right: as often as said, or far less often."""
    chance = np.random.default_rng(seed)
    said = chance.uniform(0.3, 0.99, rows)
    return said, (chance.random(rows) < (said if honest else said**3)).astype(float)


@pytest.mark.parametrize("honest", [True, False])
def test_what_is_claimed_afterwards_is_what_happens(honest: bool) -> None:
    found = calibrated(*drawn(800, honest=honest))
    said, right = drawn(4_000, honest=honest, seed=1)
    after = reliability(found.applied(said), right)
    assert after["ece"] < 0.05
    assert after["claimed"] == pytest.approx(after["accuracy"], abs=0.04)
    if not honest:
        assert reliability(said, right)["ece"] > 0.15


def test_too_few_rows_teach_nothing_and_little_is_trusted() -> None:
    found = calibrated(np.full(FEWEST - 1, 0.99), np.ones(FEWEST - 1))
    assert found == Calibration() and found.rows == 0
    assert found.applied(np.array([0.9]))[0] < 0.7


def test_weights_stand_for_rows_that_were_not_drawn() -> None:
    said, right = np.full(200, 0.8), np.r_[np.ones(100), np.zeros(100)]
    mostly_wrong = calibrated(said, right, np.r_[np.full(100, 0.1), np.full(100, 1.9)])
    assert (
        mostly_wrong.applied(np.array([0.8]))[0] < calibrated(said, right).applied(np.array([0.8]))[0] - 0.2
    )


def test_the_table_counts_every_row_once_and_weighs_the_distance() -> None:
    said = np.array([0.75] * 30 + [0.95] * 30 + [1.0] * 10)
    right = np.array([1.0] * 15 + [0.0] * 15 + [1.0] * 40)
    found = reliability(said, right)
    assert [(band["low"], band["rows"]) for band in found["table"]] == [(0.7, 30), (0.9, 40)]
    assert found["measured_on"] == 70
    assert found["ece"] == pytest.approx((30 * 0.25 + 40 * abs(1 - 38.5 / 40)) / 70, abs=1e-3)


def test_a_handful_of_rows_measures_nothing() -> None:
    assert reliability(np.array([0.9] * 5), np.ones(5)) == {"measured_on": 0}
