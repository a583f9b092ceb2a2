"""Draws what one task was answered at its test rows of one kind."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np

from training.arrays import Flags, Floats, Ints
from training.evaluate import Sheet
from training.measures import pr_auc, roc_auc
from training.report import curves
from training.report.chart import Axis, Chart, legend, short, up_to
from training.report.markup import Html, joined, tag
from training.report.tables import percent

NAMES: Final = {
    "network": "network",
    "lightgbm": "LightGBM",
    "linear": "linear model",
    "prior": "prior",
    "oracle": "oracle",
}
DIAGONAL: Final = np.array([[0.0, 0.0], [1.0, 1.0]])
_BEHIND: Final = ("oracle", "prior", "linear", "lightgbm", "network")
"""The order of drawing: the network lies on top."""
_TOP: Final = 0.1
_HALF: Final = 0.5
Curve = Callable[[Floats, Flags], Floats]
_Found = TypeVar("_Found")


def figures(sheet: Sheet, entry: dict[str, Any]) -> list[Html]:
    """Return the pictures of a sheet; ``entry`` is what was measured on it."""
    if sheet.output.kind == "value":
        return _of_values(sheet)
    return _of_classes(sheet, entry) if sheet.output.classes else _of_yes_and_no(sheet, entry)


def figure(title: str, note: str, picture: Html) -> Html:
    """Return a picture with its title and what to see in it."""
    return tag("figure", tag("figcaption", tag("b", title), " ", tag("span", note)), picture)


def money(sheet: Sheet) -> Floats:
    """Return the true amounts of a value task, float64 [n]."""
    return np.expm1(sheet.target)


def _of_yes_and_no(sheet: Sheet, entry: dict[str, Any]) -> list[Html]:
    positive = sheet.target > _HALF
    chance = {model: scores[:, 0] for model, scores in sheet.comparable.items()}

    def each(found: Callable[[Floats, Flags], _Found]) -> dict[str, _Found]:
        return {model: found(score, positive) for model, score in chance.items()}

    drawn: list[Html] = []
    if positive.any() and not positive.all():
        drawn += [
            _roc(each(curves.roc), each(roc_auc)),
            _precision(each(curves.precision_recall), each(pr_auc)),
            _gain(each(curves.gain), "yes"),
        ]
    pairs = {model: (chance[model], positive) for model in ("linear", "network")}
    return [*drawn, _calibration(pairs, entry["network"]["ece"], "probability of yes", "share of yes")]


def _of_classes(sheet: Sheet, entry: dict[str, Any]) -> list[Html]:
    code = sheet.target.astype(np.int64)
    some = curves.occurring(code, sheet.output.width)
    drawn: list[Html] = []
    if some:
        areas, precisions = (_mean_of(area, sheet.comparable, code, some) for area in (roc_auc, pr_auc))
        mean = ", mean of the classes"
        drawn += [
            _roc(_mean_curves(curves.roc, sheet, code), areas, mean),
            _precision(_mean_curves(curves.precision_recall, sheet, code, steps=True), precisions, mean),
            _gain(_mean_curves(curves.gain, sheet, code), "rows of a class"),
        ]
    pairs = {
        model: (sheet.scores[model].max(axis=1), sheet.scores[model].argmax(axis=1) == code)
        for model in ("linear", "network")
    }
    said = "probability of the chosen class"
    return [*drawn, _calibration(pairs, entry["network"]["ece"], said, "share that was right")]


def _of_values(sheet: Sheet) -> list[Html]:
    true = money(sheet)
    drawn = [_deciles(sheet.scores["network"][:, 0], true)]
    if true.sum() > 0.0:
        ranked = {model: curves.concentration(scores[:, 0], true) for model, scores in sheet.comparable.items()}
        drawn.append(_lorenz(ranked | {"perfect": curves.concentration(true, true)}))
    return drawn


def _roc(drawn: dict[str, Floats], areas: dict[str, float], of: str = "") -> Html:
    x, y = Axis("false positive rate"), Axis("true positive rate")
    picture = _lines(f"ROC curve{of}", x, y, drawn, {model: f"area {area:.3f}" for model, area in areas.items()})
    return figure("ROC", f"area {areas['network']:.3f}{of}", picture)


def _precision(drawn: dict[str, Floats], precisions: dict[str, float], of: str = "") -> Html:
    x, y = Axis("recall"), Axis("precision")
    height = float(drawn["prior"][-1, 1])
    drawn = drawn | {"prior": np.array([[0.0, height], [1.0, height]])}
    told = {model: f"average {value:.3f}" for model, value in precisions.items()}
    picture = _lines(f"Precision over recall{of}", x, y, drawn, told)
    return figure("Precision and recall", f"average precision {precisions['network']:.3f}{of}", picture)


def _gain(drawn: dict[str, Floats], of_what: str) -> Html:
    x, y = Axis("share of rows, highest scores first"), Axis(f"share of all {of_what}")
    found = {model: curves.at(points, _TOP) for model, points in drawn.items()}
    told = {model: f"{value:.0%} in the first tenth" for model, value in found.items()}
    note = f"the first tenth holds {found['network']:.0%}: lift {found['network'] / _TOP:.1f}"
    return figure("Gain", note, _lines("Cumulative gain", x, y, drawn, told))


def _calibration(pairs: dict[str, tuple[Floats, Flags]], ece: float, said: str, found: str) -> Html:
    groups = {model: curves.calibration(*pair) for model, pair in pairs.items()}
    highest = min(max(float(lines[:, [1, 4]].max()) for lines in groups.values()), 1.0)
    x, y = up_to(highest, said), up_to(highest, found)
    chart = Chart(x, y)
    chart.line(DIAGONAL * x.high, "ideal", "what is said is found")
    for model, lines in groups.items():
        if model == "network":
            chart.spans(lines[:, [1, 3, 4]], model)
        chart.line(lines[:, 1:3], model, NAMES[model])
    network = groups["network"]
    chart.dots(network[:, 1:3], "network", [f"{n:,.0f} rows: said {a:.1%}, found {b:.1%}" for n, a, b, *_ in network])
    alt = f"Calibration: {found} over {said}, in tenths of the rows. Expected calibration error {ece:.3f}."
    return figure("Calibration", f"tenths of the rows; ECE {ece:.3f}", chart.svg(alt))


def _deciles(said: Floats, true: Floats) -> Html:
    lines = curves.deciles(said, true)
    number = np.arange(1, len(lines) + 1)
    marks = tuple((float(k), str(k)) for k in number)
    x = Axis("tenth of the rows, by prediction", 0.5, len(lines) + 0.5, marks=marks)
    chart = Chart(x, up_to(float(lines.max()), "mean amount", short))
    chart.spans(np.column_stack([number, lines[:, 2:]]), "found")
    for column, class_, words in ((1, "found", "actual"), (0, "network", "predicted")):
        points = np.column_stack([number, lines[:, column]])
        chart.line(points, class_, words)
        chart.dots(points, class_, [f"{words} {value:,.0f}" for value in lines[:, column]])
    ratio = percent(float(said.sum()), float(true.sum()))
    keys = [("network", "predicted"), ("found", "actual"), ("found span", "actual, 10th to 90th percentile")]
    alt = f"Predicted and actual mean amount in tenths of the rows. All predictions are {ratio} of the truth."
    note = f"tenths of the rows; all predictions: {ratio} of the truth"
    return figure("Predicted and actual", note, joined(chart.svg(alt), legend(keys)))


def _lorenz(drawn: dict[str, Floats]) -> Html:
    ginis = {model: curves.gini(points) for model, points in drawn.items()}
    x, y = Axis("share of rows, highest predictions first"), Axis("share of all money")
    told = {model: f"Gini {value:.3f}" for model, value in ginis.items()}
    picture = _lines("Share of the money over share of the rows", x, y, drawn, told)
    note = f"Gini {ginis['network']:.3f}, {percent(ginis['network'], ginis['perfect'])} of what perfect order gives"
    keys = [("perfect", "perfect order")]
    return figure("Concentration", note, joined(picture, legend(keys)))


def _lines(title: str, x: Axis, y: Axis, drawn: dict[str, Floats], told: dict[str, str]) -> Html:
    """Return a picture of one line a model, and what is told of each."""
    chart = Chart(x, y)
    for model in ("perfect", *_BEHIND):
        if model in drawn:
            chart.line(curves.thin(drawn[model]), model, f"{NAMES.get(model, model)}: {told[model]}")
    said = "; ".join(f"{NAMES.get(model, model)} {text}" for model, text in told.items())
    return chart.svg(f"{title}. {said}.")


def _mean_curves(curve: Curve, sheet: Sheet, code: Ints, *, steps: bool = False) -> dict[str, Floats]:
    scores = sheet.comparable
    return {model: curves.mean_of_classes(curve, found, code, steps=steps) for model, found in scores.items()}


def _mean_of(
    area: Callable[[Floats, Flags], float], scores: dict[str, Floats], code: Ints, some: list[int]
) -> dict[str, float]:
    return {model: float(np.mean([area(found[:, k], code == k) for k in some])) for model, found in scores.items()}
