"""Figures of the report, as SVG in data addresses: the page needs no other file."""

import base64
import io
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from training.arrays import Floats
from training.history import History
from training.measures import BINS

_SETTINGS: Final[Any] = {
    "svg.hashsalt": "foretell",  # the same ids every time, so that the same training gives the same report
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def loss_curves(history: History, tasks: list[str]) -> str:
    """Draw the weighted losses, and each task's validation loss as a share of its prior's; mark the kept epoch."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        epochs = np.arange(1, len(history.total) + 1)
        left.plot(epochs, history.training, label="training", color="#8a9bab")
        left.plot(epochs, history.total, label="validation", color="#1f6fb2")
        left.set(title="weighted loss", xlabel="epoch")
        for index, task in enumerate(tasks):
            right.plot(epochs, [losses[index] for losses in history.validation], label=task)
        right.axhline(1.0, color="#1c2733", linewidth=0.8, linestyle=":")
        right.set(title="validation loss / loss of the prior", xlabel="epoch")
        for axes in (left, right):
            axes.axvline(history.best + 1, color="#c0392b", linewidth=0.8)
            axes.legend(frameon=False, fontsize=8)
        return _address(figure)


def reliability_diagram(bins: Floats) -> str:
    """Draw the share of hits over confidence, and how many rows each bin holds."""
    count, said, found = bins.T
    some = count > 0
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#1c2733", linewidth=0.8, linestyle=":")
        axes.bar((np.arange(BINS) + 0.5) / BINS, count / max(count.max(), 1.0), width=0.9 / BINS, color="#dfe6ec")
        axes.plot(said[some], found[some], marker="o", color="#1f6fb2")
        axes.set(xlabel="said", ylabel="found (bars: rows)", xlim=(0, 1), ylim=(0, 1), title="calibration on test rows")
        return _address(figure)


def _address(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode()
