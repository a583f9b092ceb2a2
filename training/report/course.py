"""The part of the page about how training went."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.arrays import Floats
from training.history import History
from training.report.chart import Axis, Chart, legend, up_to
from training.report.figures import figure
from training.report.markup import Html, joined, tag

HUES: Final = 8
"""Colours that the page has for tasks; further tasks begin again."""
_MOST: Final = 2.0
"""Losses above so much of what the prior loses lie at the edge of the picture."""


def course(history: History, tasks: list[str]) -> Html:
    """Return the part about the epochs: the losses that the network was fitted by and chosen by."""
    return tag(
        "section",
        tag("h2", "Training"),
        tag("p", _told(history)),
        tag("div", _total(history), _by_task(history, tasks), class_="figures"),
        id="training",
    )


def _told(history: History) -> str:
    return (
        f"{len(history.total)} passes over the training rows. Kept are the weights after pass {history.best + 1} "
        "(upright line), where the weighted loss on the validation rows was smallest. All tasks are learned together."
    )


def _total(history: History) -> Html:
    losses = {"training": history.training, "validation": history.total}
    lowest, highest = (limit(limit(values) for values in losses.values()) for limit in (min, max))
    reach = max(highest - lowest, 1e-6)
    chart = Chart(_epochs(history), Axis("weighted loss", lowest - 0.05 * reach, highest + 0.05 * reach))
    _mark(chart, history, lowest - reach, highest + reach)
    keys = [("prior solid", "training"), ("network", "validation")]
    for class_, name in keys:
        chart.line(_points(losses[name]), class_, name)
    alt = f"Weighted loss by epoch: training ends at {history.training[-1]:.3f}, validation at {history.total[-1]:.3f}."
    return figure("Loss", "of all tasks, weighted by λ", joined(chart.svg(alt), legend(keys)))


def _by_task(history: History, tasks: list[str]) -> Html:
    losses = np.array(history.validation).reshape(len(history.validation), len(tasks))
    highest = max(1.0, float(np.nanmax(losses, initial=0.0)))
    chart = Chart(_epochs(history), up_to(min(highest, _MOST), "validation loss / loss of the prior"))
    _mark(chart, history, 0.0, highest)
    chart.line(np.array([[1.0, 1.0], [len(losses), 1.0]]), "ideal", "the prior")
    keys = [(f"hue{index % HUES}", task) for index, task in enumerate(tasks)]
    for (class_, task), points in zip(keys, losses.T, strict=True):
        chart.line(_points(points), class_, task)
    kept = ", ".join(f"{task} {loss:.2f}" for task, loss in zip(tasks, losses[history.best], strict=True))
    alt = f"Each task's validation loss as a share of what its prior loses, by epoch. Where it was kept: {kept}."
    return figure("Loss of each task", "1 is what the prior loses", joined(chart.svg(alt), legend(keys)))


def _epochs(history: History) -> Axis:
    last = max(len(history.total), 2)
    step = max(round(last / 6), 1)
    return Axis("pass", 1.0, float(last), marks=tuple((float(k), str(k)) for k in range(1, last + 1, step)))


def _points(values: Sequence[float] | Floats) -> Floats:
    return np.column_stack([np.arange(1.0, len(values) + 1), np.asarray(values, np.float64)])


def _mark(chart: Chart, history: History, low: float, high: float) -> None:
    kept = history.best + 1.0
    chart.line(np.array([[kept, low], [kept, high]]), "kept", "kept")
