"""Charts as PNG: bars against targets, a histogram, a curve. Drawn off the event loop by the relay; no numbers are made here.

White on a card of its own, so that it reads in dark mode too; series differ by shape and hatching, not by colour alone.
matplotlib is imported at the first chart: it costs a second that `web` need not spend to start.
"""

from __future__ import annotations

import io
from typing import Any

from bot.views.kit import Chart

INK, BAR, LINE, GRID = "#1d1c1d", "#2563a8", "#b4540a", "#d9d9d9"
MARKERS = ("o", "s", "^", "D")
STYLES = ("-", "--", ":", "-.")
LONGEST_LABEL = 26


def png(chart: Chart) -> bytes:
    """The picture. Synchronous and about a tenth of a second: call it in a thread."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = len(chart.labels) if chart.kind == "bars" else 8
    figure = Figure(
        figsize=(8, max(3.2, min(9.0, 1.4 + 0.32 * rows))), dpi=110, layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    {"bars": _bars, "histogram": _histogram, "curve": _curve}[chart.kind](axes, chart)
    axes.set_title(_safe(chart.title, 90), color=INK, fontsize=13, loc="left", pad=10)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _bars(axes: Any, chart: Chart) -> None:
    places = range(len(chart.labels))
    (name, shares), *others = chart.series
    axes.barh(places, [value or 0 for value in shares], color=BAR, height=0.62, label=name)
    if others:
        targets = [
            (place, value) for place, value in zip(places, others[0][1], strict=True) if value is not None
        ]
        axes.plot(
            [v for _, v in targets],
            [p for p, _ in targets],
            "|",
            color=LINE,
            markersize=16,
            markeredgewidth=3,
            label=others[0][0],
        )
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.set_yticks(list(places), [_safe(label) for label in chart.labels])
    axes.invert_yaxis()
    axes.set_xlabel(chart.y_label, color=INK)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def _histogram(axes: Any, chart: Chart) -> None:
    _, values = chart.series[0]
    heights = [value or 0 for value in values]
    drawn = axes.bar(range(len(heights)), heights, color=BAR, width=0.9)
    axes.bar_label(drawn, fmt="%d", color=INK, fontsize=9)
    axes.set_xticks(range(len(heights)), [_safe(label) for label in chart.labels])
    axes.set_ylabel(chart.y_label, color=INK)


def _curve(axes: Any, chart: Chart) -> None:
    steps = [
        float(label) if label.replace(".", "", 1).isdigit() else place
        for place, label in enumerate(chart.labels)
    ]
    for index, (name, values) in enumerate(chart.series):
        points = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None]
        axes.plot(
            [step for step, _ in points],
            [value for _, value in points],
            STYLES[index % len(STYLES)],
            marker=MARKERS[index % len(MARKERS)],
            color=(BAR, LINE)[index % 2],
            markersize=4,
            label=_safe(name),
        )
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel(chart.y_label, color=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.legend(frameon=False, fontsize=9)


def _safe(text: str, longest: int = LONGEST_LABEL) -> str:
    """Names of others as plain text: `$` would start a formula, and a long one would push the picture away."""
    flat = " ".join(text.split()).replace("$", r"\$")
    return flat if len(flat) <= longest else flat[: longest - 1].rstrip("\\") + "…"
