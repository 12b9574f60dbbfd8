"""Making a confidence mean what it says, and saying how far it is off.

Platt's two numbers on the log-odds of the likeliest topic, drawn towards "as it is" where there is little to learn from; and the
reliability table with its expected calibration error, by rows whose topic is known and was held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.records import Json

FEWEST = 20  # rows below which nothing is learned from them, and nothing is claimed
PRIOR_ROWS = 3.0  # that speak for leaving the log-odds as they are
EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Calibration:
    """confidence = σ(slope · log-odds + shift). `rows`: how many it was learned from; 0 means that it was learned from nothing."""

    slope: float = 0.35
    shift: float = 0.0
    rows: int = 0

    def applied(self, shares: Numbers) -> Numbers:
        return _sigmoid(self.slope * _log_odds(shares) + self.shift)


UNCALIBRATED = Calibration()


def calibrated(shares: Numbers, right: Numbers, weight: Numbers | None = None) -> Calibration:
    """Learned from the shares of the likeliest topics and how often those were right (0 to 1 each); by Newton's method."""
    if len(shares) < FEWEST:
        return UNCALIBRATED
    odds, weight = _log_odds(shares), np.ones(len(shares)) if weight is None else weight
    features = np.column_stack([odds, np.ones(len(odds))])
    found = start = np.array([1.0, 0.0])
    for _ in range(25):
        said = _sigmoid(features @ found)
        slope = features.T @ (weight * (said - right)) + PRIOR_ROWS * (found - start)
        bend = (features * (weight * said * (1 - said))[:, None]).T @ features + PRIOR_ROWS * np.eye(2)
        found = found - np.linalg.solve(bend, slope)
    return Calibration(max(0.05, float(found[0])), float(found[1]), len(shares))


def reliability(confidence: Numbers, right: Numbers) -> Json:
    """{measured_on, accuracy, claimed, ece, table: [{low, high, rows, claimed, right}]}; only `measured_on` below 20 rows.

    `ece`, the expected calibration error, is the mean distance of claimed and right over the bands, weighted by rows.
    """
    if len(confidence) < FEWEST:
        return {"measured_on": 0}
    table = [_band(confidence, right, low, high) for low, high in pairwise(EDGES)]
    off = sum(band["rows"] * abs(band["claimed"] - band["right"]) for band in table if band["rows"])
    return {
        "measured_on": len(confidence),
        "accuracy": round(float(np.mean(right)), 4),
        "claimed": round(float(np.mean(confidence)), 4),
        "ece": round(off / len(confidence), 4),
        "table": [band for band in table if band["rows"]],
    }


def _band(confidence: Numbers, right: Numbers, low: float, high: float) -> Json:
    inside = (confidence >= low) & ((confidence < high) | (high == 1.0))
    rows = int(inside.sum())
    return {
        "low": low,
        "high": high,
        "rows": rows,
        "claimed": round(float(confidence[inside].mean()), 4) if rows else 0.0,
        "right": round(float(right[inside].mean()), 4) if rows else 0.0,
    }


def _log_odds(shares: Numbers) -> Numbers:
    bounded = np.clip(shares, 1e-6, 1 - 1e-6)
    return np.log(bounded / (1 - bounded))


def _sigmoid(values: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))
