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

    rows = len(chart.labels) if chart.kind == "bars" else 5
    size = (6.6, max(3.0, min(9.0, 1.5 + 0.3 * rows)))
    figure = Figure(figsize=size, dpi=140, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    {"bars": _bars, "histogram": _histogram, "curve": _curve}[chart.kind](axes, chart)
    figure.suptitle(_safe(chart.title, 60), x=0.02, ha="left", color=INK, fontsize=13)
    axes.tick_params(colors=INK, labelsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _bars(axes: Any, chart: Chart) -> None:
    places = range(len(chart.labels))
    (name, shares), *others = chart.series
    drawn = [axes.barh(places, [value or 0 for value in shares], color=BAR, height=0.62, label=name)]
    if others:
        targets = [
            (place, value) for place, value in zip(places, others[0][1], strict=True) if value is not None
        ]
        ends = [v for _, v in targets], [p for p, _ in targets]
        axes.plot(
            *ends, "|", color="white", markersize=17, markeredgewidth=6
        )  # an edge that parts it from the bar
        drawn += axes.plot(*ends, "|", color=LINE, markersize=16, markeredgewidth=3, label=others[0][0])
        axes.figure.legend(handles=drawn, frameon=False, fontsize=10, loc="outside upper right", ncols=2)
    axes.set_yticks(list(places), [_safe(label) for label in chart.labels])
    axes.invert_yaxis()
    axes.set_xlabel(chart.y_label, color=INK)
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def _histogram(axes: Any, chart: Chart) -> None:
    _, values = chart.series[0]
    heights = [value or 0 for value in values]
    drawn = axes.bar(range(len(heights)), heights, color=BAR, width=0.9)
    axes.bar_label(drawn, fmt="%d", color=INK, fontsize=10)
    axes.yaxis.set_major_locator(_whole_numbers())
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
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel(chart.y_label, color=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.legend(frameon=False, fontsize=10)


def _whole_numbers() -> Any:
    """Ticks at whole numbers: there is no half an answer, and no step 2.5."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10])


def _safe(text: str, longest: int = LONGEST_LABEL) -> str:
    """Names of others as plain text: `$` would start a formula, and a long one would push the picture away."""
    flat = " ".join(text.split()).replace("$", r"\$")
    return flat if len(flat) <= longest else flat[: longest - 1].rstrip("\\") + "…"
