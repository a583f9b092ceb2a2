"""Tables and numbers as HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from training.arrays import Floats
from training.report.markup import Html, joined, tag

MEASURES: Final = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "ece": "calibration error (ECE)",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy_best": "accuracy at the best-F1 threshold",
    "precision_best": "precision at the best-F1 threshold",
    "recall_best": "recall at the best-F1 threshold",
    "f1_best": "F1 at the best-F1 threshold",
    "gini": "Gini",
    "spearman": "Spearman",
    "mae": "mean absolute error (money)",
    "mae_log": "mean absolute error of log(1 + x)",
    "mse_log": "mean squared error of log(1 + x)",
}
"""Measures by the names that the manifest gives them."""
LESS_IS_BETTER: Final = frozenset({"log_loss", "ece", "mae", "mae_log", "mse_log"})
_EXACT, _LARGE = 100, 1000
_FEW: Final = 3
"""Classes whose names fit side by side above a confusion matrix."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, and the class of its cells, which decides how they stand."""

    name: str
    class_: str | None = "number"


def words(name: str) -> Column:
    """Return a column of texts."""
    return Column(name, None)


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], class_: str | None = None) -> Html:
    """Return a table that can be scrolled where it is too wide; its first column says what each row is about."""
    head = tag("tr", *(tag("th", column.name, scope="col", class_=column.class_) for column in columns))
    body = [
        tag(
            "tr",
            tag("th", first, scope="row"),
            *(tag("td", text, class_=column.class_) for column, text in zip(columns[1:], rest, strict=True)),
        )
        for first, *rest in rows
    ]
    return _scrolled(caption, head, body, class_)


def confusion(classes: Sequence[str], matrix: Floats, caption: str) -> Html:
    """Return a confusion matrix, [actual, predicted]; the deeper a cell's colour, the larger its share of the row."""
    turned = "turned" if len(classes) > _FEW else None
    names = [tag("th", tag("span", name), scope="col", class_=turned) for name in classes]
    head = tag("tr", tag("th", "actual ↓ predicted →", scope="col"), *names)
    body = []
    for name, counts in zip(classes, matrix, strict=True):
        cells = [_heat(count, count / max(counts.sum(), 1.0)) for count in counts]
        body.append(tag("tr", tag("th", name, scope="row"), *cells))
    return _scrolled(caption, head, body, "confusion")


def marked(values: Sequence[float | None], sign: int) -> list[str]:
    """Return numbers, the best of which is bold; ``sign`` is 1 where more is better, -1 where less is."""
    known = [sign * value for value in values if value is not None]
    best = max(known) if len(set(known)) > 1 else None
    return [
        tag("b", number(value)) if value is not None and sign * value == best else number(value) for value in values
    ]


def number(value: float | None) -> str:
    """Write a measured number."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:,.3f}" if abs(value) < _EXACT else f"{value:,.1f}" if abs(value) < _LARGE else f"{value:,.0f}"


def interval(entry: dict[str, Any], model: str, of: str = "") -> str:
    """Write the 95 % interval of a model's headline measure, or of the network's minus it (``_difference``)."""
    found = entry["intervals"].get(model, {})
    low, high = (found.get(f"{end}{of}") for end in ("low", "high"))
    if low is None or high is None or low == high == 0.0:
        return "–"
    return f"{number(low)} to {number(high)}"


def percent(part: float, whole: float) -> str:
    """Write a part of a whole in percent."""
    return f"{part / whole:.1%}" if whole > 0.0 else "–"


def share_bar(share: float) -> Html:
    """Return a share as a bar and in percent."""
    filled = tag("i", class_="filled found", style=f"width:{100 * share:.1f}%")
    return joined(tag("span", filled, class_="meter"), f" {share:.1%}")


def _scrolled(caption: str, head: Html, body: Sequence[Html], class_: str | None) -> Html:
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body), class_=class_)
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _heat(count: float, share: float) -> Html:
    return tag("td", f"{count:,.0f}", tag("small", f"{share:.0%}"), class_="number", style=f"--heat:{50 * share:.0f}%")
