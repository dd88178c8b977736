"""Pictures of results, as PNG and SVG."""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "bulkseed"

from matplotlib import pyplot as plt  # noqa: E402  # after the backend is chosen
from matplotlib.figure import Figure  # noqa: E402  # likewise


def bars(rounds: list[dict[str, dict[str, float]]], path: Path) -> None:
    """Draw secrets a second of every client, the median of all rounds, on a logarithmic scale."""
    rates = {name: statistics.median(one[name]["per_second"] for one in rounds) for name in rounds[0]}
    names = sorted(rates, key=lambda name: rates[name])
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    colours = ["#2a6fb0" if name.startswith("bulkseed") else "#b8bec4" for name in names]
    drawn = axes.barh(names, [rates[name] for name in names], color=colours)
    axes.bar_label(drawn, [f"{rates[name]:,.0f}" for name in names], padding=4)
    axes.set_xscale("log")
    axes.set_xlim(right=max(rates.values()) * 3)
    axes.set_xlabel("secrets a second on one core, logarithmic")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG, without a date so that nothing changes in vain."""
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)
