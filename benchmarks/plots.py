"""Pictures of results, as PNG and SVG."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "bulkseed"

from matplotlib import pyplot as plt  # noqa: E402  # after the backend is chosen
from matplotlib.figure import Figure  # noqa: E402  # likewise

from benchmarks.quota import Course  # noqa: E402  # likewise

BLUE, RED, GREY = "#2a6fb0", "#c8553d", "#b8bec4"


def bars(rounds: list[dict[str, dict[str, float]]], path: Path) -> None:
    """Draw secrets a second of every client, the median of all rounds, on a logarithmic scale."""
    rates = {name: statistics.median(one[name]["per_second"] for one in rounds) for name in rounds[0]}
    names = sorted(rates, key=lambda name: rates[name])
    figure, axes = plt.subplots(figsize=(8, 0.45 * len(names)), layout="constrained")
    colours = [BLUE if name.startswith("bulkseed") else GREY for name in names]
    drawn = axes.barh(names, [rates[name] for name in names], color=colours)
    axes.bar_label(drawn, [f"{rates[name]:,.0f}" for name in names], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(right=max(rates.values()) * 3)
    axes.set_xlabel("secrets a second on one core, logarithmic")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def courses(measured: Sequence[Course], path: Path) -> None:
    """Draw for each client what was accepted and refused in every second, and what was lost."""
    size = (8, 1.5 * len(measured))
    figure, rows = plt.subplots(len(measured), sharex=True, figsize=size, layout="constrained")
    end = math.ceil(max(max(one.accepted + one.refused) for one in measured)) + 1
    for axes, one in zip(rows, measured, strict=True):
        times, colours = [one.accepted, one.refused], [BLUE, RED]
        labels = ["accepted", "refused"]
        axes.hist(times, bins=range(end + 1), stacked=True, color=colours, label=labels, rwidth=0.9)
        axes.axhline(one.limit, color="black", linewidth=0.8, linestyle=":")
        axes.set_ylim(0, 3 * one.limit)  # what is refused can be a hundred times that
        lost = one.secrets - len(one.accepted)
        axes.set_title(f"{one.client}: {lost:,} of {one.secrets:,} lost", loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    rows[0].legend(frameon=False, ncols=2, fontsize=8, loc="upper right")
    rows[-1].set_xlabel("seconds; the dotted line is the quota, columns may be cut off above")
    figure.supylabel("requests a second", fontsize=9)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG, without a date so that nothing changes in vain."""
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)
