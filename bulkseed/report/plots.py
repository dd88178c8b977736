"""Numbers → plots, as SVG to stand inside a page.

Matplotlib draws with colours that stand for CSS variables, so the page's style decides about light and dark.
Each plot is drawn twice, for a wide and a narrow page: text keeps its size on a phone. The same numbers give
the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullLocator

from bulkseed.humanize import axis_unit, duration, milliseconds
from bulkseed.report.attempts import AnswerKind, LatencyFigures
from bulkseed.report.timeline import WIDTHS, Slot, Timeline

COLOURS = {
    "ink": "#000001",
    "grid": "#000002",
    "accepted": "#000003",
    "sent": "#000004",
    "quota": "#000005",
    "throttled": "#000006",
    "failed": "#000007",
    "lost": "#000008",
    "refused": "#000009",
    "retries": "#00000a",
}
"""CSS variable → the colour that stands for it while Matplotlib draws."""

TROUBLES = {
    AnswerKind.THROTTLED: "throttled",
    AnswerKind.FAILED: "failed",
    AnswerKind.LOST: "lost",
    AnswerKind.REFUSED: "refused",
}
"""What is shown of the attempts that were not accepted, and in which colour."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read out, searched and set in the page's font
    "font.size": 12,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": COLOURS["grid"],
    "xtick.color": COLOURS["grid"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.color": COLOURS["grid"],
    "ytick.labelcolor": COLOURS["ink"],
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
}


DAY = 86400


class Size(NamedTuple):
    """A plot's name among the variants, its size in CSS pixels, and how many ticks have room."""

    name: str
    width: int
    height: int
    ticks: int


SIZES = (Size("wide", 880, 280, 9), Size("narrow", 340, 260, 4))


def rate(timeline: Timeline, alternative: str) -> str:
    """Draw what was accepted and sent a second, against the quota."""

    def draw(axes: Axes, size: Size) -> None:
        accepted = [slot.kinds[AnswerKind.ACCEPTED] / slot.seconds for slot in _slots(timeline)]
        axes.stairs(accepted, _edges(timeline), fill=True, color=COLOURS["accepted"])
        sent = [slot.attempts / slot.seconds for slot in _slots(timeline)]
        axes.stairs(sent, _edges(timeline), color=COLOURS["sent"], baseline=None)
        for stretch in timeline.stretches:
            if stretch.limit:
                ends = (stretch.offset, stretch.offset + stretch.seconds)
                axes.plot(ends, (stretch.limit, stretch.limit), color=COLOURS["quota"], linestyle="--")
        axes.set_ylabel("attempts a second")
        _draw_time(axes, timeline, size)

    return _draw("rate", alternative, draw)


def troubles(timeline: Timeline, alternative: str) -> str:
    """Draw what was not accepted, stacked by kind, and the retries."""

    def draw(axes: Axes, size: Size) -> None:
        below = [0] * len(_slots(timeline))
        for kind, colour in TROUBLES.items():
            if not any(slot.kinds[kind] for slot in _slots(timeline)):
                continue
            top = [low + slot.kinds[kind] for low, slot in zip(below, _slots(timeline), strict=True)]
            axes.stairs(top, _edges(timeline), baseline=below, fill=True, color=COLOURS[colour])
            below = top
        retries = [slot.retries for slot in _slots(timeline)]
        axes.stairs(retries, _edges(timeline), color=COLOURS["retries"], baseline=None)
        axes.set_ylabel(f"attempts in {duration(timeline.width)}")
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        _draw_time(axes, timeline, size)

    return _draw("troubles", alternative, draw)


def histogram(latencies: LatencyFigures, alternative: str) -> str:
    """Draw how many answers took how long, on a logarithmic scale, with the percentiles."""

    def draw(axes: Axes, size: Size) -> None:
        edges = [part.low for part in latencies.bins] + [latencies.bins[-1].high]
        axes.stairs([part.answers for part in latencies.bins], edges, fill=True, color=COLOURS["accepted"])
        axes.set_xscale("log")
        for number, share in enumerate((50, 90, 99)):
            at = max(latencies.percentiles[share], 1)  # the axis has no 0
            axes.axvline(at, color=COLOURS["ink"], linestyle=":")
            _label(axes, f"{share} %", at, 1.0 - number * 0.08)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if size.name == "wide" else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylabel("answers")

    return _draw("histogram", alternative, draw)


def _slots(timeline: Timeline) -> list[Slot]:
    return [slot for stretch in timeline.stretches for slot in stretch.slots]


def _edges(timeline: Timeline) -> list[int]:
    starts = [
        stretch.offset + number * timeline.width
        for stretch in timeline.stretches
        for number in range(len(stretch.slots))
    ]
    return [*starts, timeline.seconds]


def _draw_time(axes: Axes, timeline: Timeline, size: Size) -> None:
    """Draw what the plots over time share: the axis, and where a run begins."""
    unit, name = axis_unit(timeline.seconds)
    least = timeline.seconds / size.ticks
    step = next((width for width in WIDTHS if width >= least), math.ceil(least / DAY) * DAY)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
    axes.set_xlabel(f"{name} at work")
    axes.set_xlim(0, timeline.seconds)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    room = timeline.seconds / size.ticks / 1.5
    for stretch in timeline.stretches[1:]:
        axes.axvline(stretch.offset, color=COLOURS["ink"], linestyle=":", linewidth=0.8)
    for stretch in timeline.stretches:
        if stretch.seconds >= room and len(timeline.stretches) > 1:
            _label(axes, f"run {stretch.run}", stretch.offset, 1.0)


def _label(axes: Axes, text: str, at: float, height: float) -> None:
    """Write beside a vertical line; `height` is a share of the plot's."""
    frame = axes.get_xaxis_transform()
    axes.annotate(text, (at, height), (4, 0), frame, "offset points", va="top")


def _draw(name: str, alternative: str, draw: Callable[[Axes, Size], None]) -> str:
    """Return the variants of a plot, wide first, with its text `alternative`."""
    variants = []
    for size in SIZES:
        # What a user has set up for plots of their own does not change this page.
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE | {"svg.hashsalt": f"{name}-{size.name}"})
            figure = Figure(figsize=(size.width / 72, size.height / 72))
            draw(figure.add_subplot(), size)
            drawn = io.BytesIO()
            figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        variants.append(_for_a_page(drawn.getvalue(), size.name, alternative))
    return "".join(variants)


def _for_a_page(svg: bytes, variant: str, alternative: str) -> str:
    """Return the drawing without what only a file needs, and with the page's colours and font."""
    text = svg.decode()
    root = ET.fromstring(svg)  # noqa: S314  # Matplotlib's own
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        if f"#{element.get('id')}" not in text:
            element.attrib.pop("id", None)
        if style := element.get("style"):
            style = re.sub(r"font-family: [^;]+(; )?", "", style)
            element.set("style", re.sub(r"#[0-9a-f]{6}", lambda match: _VARIABLES[match[0]], style))
    root.remove(root[0])  # its style sheet, which would reach the whole page
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "class": variant,
        "role": "img",
        "aria-label": alternative,
    }
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
