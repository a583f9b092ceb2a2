"""The part of the page about one task: what it means, and how well it was answered."""

from typing import Any, Final

import numpy as np

from schemas.spec import Task
from training.arrays import Flags, Floats, Ints
from training.evaluate import MODELS, Sheet, headline
from training.measures import f1_scores, pr_auc, roc_auc
from training.report import curves
from training.report.chart import legend
from training.report.figures import NAMES, figures, money
from training.report.groups import group_tables
from training.report.markup import Html, joined, tag
from training.report.meaning import meaning
from training.report.story import Story
from training.report.tables import (
    LESS_IS_BETTER,
    MEASURES,
    Column,
    confusion,
    interval,
    marked,
    number,
    percent,
    share_bar,
    table,
    words,
)

KINDS: Final = {"binary": "yes or no", "multiclass": "one of several", "value": "an amount"}
_ROWS: Final = {
    "event": "Right after a transaction",
    "tick": "As of a cut in time",
    "record": "At a customer's first record",
}
_HALF: Final = 0.5
_FIRST: Final = (0.01, 0.05, 0.10, 0.20)
_TENTH: Final = 0.1


def task_section(story: Story, task: Task) -> Html:
    """Return the part about a task."""
    sheets = story.sheets.get(task.name, {})
    entries = story.manifest.metrics.get(task.name, {})
    parts = [_rows(task, sheet, kind, entries[kind]) for kind, sheet in sheets.items()]
    if not parts:
        parts = [tag("p", "No test row has a label: nothing was measured.", class_="note")]
    head = tag("h2", task.name, " ", tag("small", KINDS[task.kind]))
    return tag("section", head, _meaning(story, task), _legend(sheets), *parts, id=place(task))


def place(task: Task) -> str:
    """Return the place on the page where a task is told."""
    return f"task-{task.name}"


def _meaning(story: Story, task: Task) -> Html:
    meant = meaning(task, story.manifest.spec)
    facts = {
        "Label": meant.rule,
        "Asked for": meant.asked,
        "No label for": meant.masked,
        "Bands": _bands(story, task),
        "Learned from": _learned(story, task),
    }
    items = [tag("div", tag("dt", name), tag("dd", text)) for name, text in facts.items() if text]
    return joined(tag("p", meant.question, class_="question"), tag("dl", *items, class_="facts"))


def _bands(story: Story, task: Task) -> str:
    bands = story.manifest.bands.get(task.name, ())
    told = [item.name if item.at_least is None else f"{item.name} from {item.at_least:,.6g} on" for item in bands]
    return "; ".join(told)


def _learned(story: Story, task: Task) -> str:
    counts = story.manifest.data["labels"][task.name]
    fit = story.manifest.calibration[task.name]
    if "reason" in fit:
        calibrated = f"not calibrated: {fit['reason']}"
    else:
        calibrated = f"calibrated by {fit['method']}, gain {fit['gain']:.3f}, shift {fit['shift']:.3f}"
        calibrated += f", bend {fit['bend']:.3f}" if "bend" in fit else ""
        if "knots" in fit:
            calibrated = f"calibrated by {fit['method']}, a table of {len(fit['knots'])} places"
    share = story.manifest.data["teachers"].get(task.name)
    by = "" if share is None else f" Taught by trees{f' and a linear model ({share:.0%})' if share else ''}."
    return (
        f"{counts['train']:,} labels, with {counts['validation']:,} to validate on, {counts['calibration']:,} to "
        f"calibrate on and {counts['test']:,} to test on. Weight λ = {task.weight:g} in the loss; {calibrated}.{by}"
    )


def _legend(sheets: dict[str, Sheet]) -> Html:
    models = [model for model in MODELS if any(model in sheet.comparable for sheet in sheets.values())]
    return legend((model, NAMES[model]) for model in models)


def _rows(task: Task, sheet: Sheet, kind: str, entry: dict[str, Any]) -> Html:
    tables = {"binary": _of_yes_and_no, "multiclass": _of_classes, "value": _of_values}[sheet.output.kind](sheet)
    return tag(
        "section",
        tag("h3", _ROWS[kind], " ", tag("small", f"{kind} rows")),
        tag("p", _told(sheet, entry)),
        tag("div", *figures(sheet, entry), class_="figures"),
        tag("div", _measures(kind, sheet, entry), *tables, *group_tables(task, sheet, entry), class_="tables"),
        class_=f"kind {sheet.output.kind}",
    )


def _told(sheet: Sheet, entry: dict[str, Any]) -> str:
    rows = f"{len(sheet.rows):,} test rows"
    if sheet.output.kind == "value":
        rows += f": {entry['mean']:,.2f} on average, half of them below {entry['median']:,.2f}."
    elif sheet.output.kind == "binary":
        rows += f", {entry['positives']:,} of them yes ({entry['share']:.2%})."
    else:
        rows += f" of {sum(share > 0 for share in entry['shares'].values())} classes."
    oracle, name = entry.get("oracle", {}), headline(sheet.output.learned_as)[0]
    if "share_of_gain" in oracle:
        rows += (
            f" The oracle, which answers {_all_or(oracle['rows'], len(sheet.rows))}, has {MEASURES[name]} "
            f"{number(oracle[name])}; the "
            f"network reaches {oracle['share_of_gain']:.0%} of its gain over the prior."
        )
    return rows


def _all_or(some: int, rows: int) -> str:
    return "all of them" if some == rows else f"{some:,} of them"


def _measures(kind: str, sheet: Sheet, entry: dict[str, Any]) -> Html:
    rows = []
    for name in (name for name in MEASURES if name in entry["network"]):
        *compared, prior = (entry[model].get(name) for model in sheet.scores)
        at_half = " from 0.5 on" if f"{name}_best" in entry["network"] else ""
        best = marked(compared, -1 if name in LESS_IS_BETTER else 1)
        rows.append((MEASURES[name] + at_half, *best, number(prior), _sure(entry, name)))
    name = headline(sheet.output.learned_as)[0]
    rows.append((f"{MEASURES[name]}, 95 %", *(interval(entry, model) for model in sheet.scores), ""))
    rows.append(("network minus it, 95 %", *(interval(entry, model, "_difference") for model in sheet.scores), ""))
    columns = [words("measure"), *(Column(NAMES[model]) for model in sheet.scores), Column("network, 95 %")]
    return table(f"Measures, {kind} rows", columns, rows)


def _sure(entry: dict[str, Any], name: str) -> str:
    found = entry.get("others", {}).get(name)
    return f"{number(found[0])} to {number(found[1])}" if found else ""


def _of_yes_and_no(sheet: Sheet) -> list[Html]:
    scores, found = sheet.scores["network"][:, 0], sheet.thresholds["network"]
    threshold = _HALF if found is None else found
    code = (sheet.target > _HALF).astype(np.int64)
    caption = f"Yes from {threshold:.3f} on, where F1 is largest on the validation rows"
    matrix = _matrix(code, (scores >= threshold).astype(np.int64), 2)
    return [*_first(scores, code == 1), confusion(("no", "yes"), matrix, f"Confusion. {caption}")]


def _first(scores: Floats, positive: Flags) -> list[Html]:
    """Return what the rows with the highest scores hold; nothing where no row or every row is a yes."""
    if not positive.any() or positive.all():
        return []
    curve, rows = curves.gain(scores, positive), []
    for share in _FIRST:
        found = curves.at(curve, share)
        hit = found * positive.mean() / share
        rows.append((f"first {share:.0%}", f"{hit:.1%}", f"{found:.1%}", f"{found / share:.1f}"))
    columns = [words("rows"), Column("yes among them"), Column("of all yes"), Column("lift")]
    return [table("The rows with the network's highest scores", columns, rows)]


def _of_classes(sheet: Sheet) -> list[Html]:
    code, said = sheet.target.astype(np.int64), sheet.scores["network"].argmax(axis=1)
    caption = "Confusion. The class with the highest probability is predicted"
    matrix = _matrix(code, said, sheet.output.width)
    return [_by_class(sheet, code, said), confusion(sheet.output.classes, matrix, caption)]


def _of_values(sheet: Sheet) -> list[Html]:
    true = float(money(sheet).sum())
    sums = [
        (NAMES[model], f"{scores.sum():,.0f}", percent(float(scores.sum()), true))
        for model, scores in sheet.scores.items()
    ]
    columns = [words("model"), Column("sum of all rows"), Column("of the truth")]
    return [table("Totals", columns, [*sums, ("truth", f"{true:,.0f}", percent(true, true))])]


def _by_class(sheet: Sheet, code: Ints, said: Ints) -> Html:
    scores = sheet.scores["network"]
    decided = f1_scores(said, code, sheet.output.width)
    some = curves.occurring(code, sheet.output.width)
    rows = []
    for k, name in enumerate(sheet.output.classes):
        mine = code == k
        ranked = [roc_auc(scores[:, k], mine), pr_auc(scores[:, k], mine)]
        lift = f"{curves.at(curves.gain(scores[:, k], mine), _TENTH) / _TENTH:.1f}" if k in some else "–"
        measured = [number(float(value)) for value in (*ranked, *(part[k] for part in decided))]
        rows.append((name, share_bar(float(mine.mean())), f"{mine.sum():,}", *measured[:2], lift, *measured[2:]))
    names = ("rows", "ROC AUC", "PR AUC", "lift, first 10%", "precision", "recall", "F1")
    columns = [words("class"), Column("share", "gain"), *(Column(name) for name in names)]
    return table("The network, each class against all others", columns, rows)


def _matrix(code: Ints, said: Ints, width: int) -> Floats:
    return np.bincount(code * width + said, minlength=width * width).reshape(width, width).astype(np.float64)
