"""The tables about groups: segments, protected attributes, and what the article claims."""

from typing import Any, Final

import numpy as np

from schemas.spec import Task
from training.evaluate import Sheet, headline
from training.fairness import RATES
from training.measures import best_f1_threshold, f1_scores
from training.report.figures import NAMES
from training.report.markup import Html
from training.report.tables import MEASURES, Column, number, table, words

CLAIMS: Final = {"credit_risk": (0.90, 0.85), "preference": (0.85, 0.80)}
"""Accuracy and recall that the article reports of its case, by task; it gives no data."""
_HALF: Final = 0.5
_RATES: Final = dict(zip(RATES, ("told yes", "of true yes", "of true no"), strict=True))


def group_tables(task: Task, sheet: Sheet, entry: dict[str, Any]) -> list[Html]:
    """Return the tables of a sheet, of which there may be none; ``entry`` is what was measured on it."""
    return [*_claims(task, sheet, entry), *_segments(sheet, entry), *_fairness(entry)]


def _claims(task: Task, sheet: Sheet, entry: dict[str, Any]) -> list[Html]:
    """Return what the article claims beside what was measured, and what can be known at all."""
    if task.name not in CLAIMS or sheet.output.kind == "value":
        return []
    suffix = "" if sheet.output.classes else "_best"
    rows = [("the article", *(f"{claim:.2f}" for claim in CLAIMS[task.name]), "–", "–")]
    for model in sheet.scores:
        found = entry[model]
        names = (f"accuracy{suffix}", f"recall{suffix}", f"precision{suffix}", f"f1{suffix}")
        told = [number(found.get(name)) for name in names]
        if model == "network":
            told = [f"{value}{_reach(entry, name)}" for value, name in zip(told, names, strict=True)]
        rows.append((NAMES[model], *told))
    if "oracle" in sheet.comparable:
        rows.append(("oracle, at its own best", *_of_oracle(sheet)))
    columns = [words("who"), *(Column(name) for name in ("accuracy", "recall", "precision", "F1"))]
    return [table("What the article claims of its case, and what was measured here (95 %)", columns, rows)]


def _of_oracle(sheet: Sheet) -> list[str]:
    """Return what the best possible answers reach, at the threshold that suits these very rows."""
    code, best = sheet.target.astype(np.int64), sheet.best
    if sheet.output.classes:
        said = best.argmax(axis=1)
        precision, recall, f1 = (np.nanmean(values) for values in f1_scores(said, code, best.shape[1]))
    else:
        said = (best[:, 0] >= best_f1_threshold(best[:, 0], sheet.target > _HALF)).astype(np.int64)
        precision, recall, f1 = (values[1] for values in f1_scores(said, code, 2))
    return [number(float(value)) for value in ((said == code).mean(), recall, precision, f1)]


def _reach(entry: dict[str, Any], name: str) -> str:
    found = entry["others"].get(name)
    return f" ({number(found[0])} to {number(found[1])})" if found else ""


def _segments(sheet: Sheet, entry: dict[str, Any]) -> list[Html]:
    name = headline(sheet.output.learned_as)[0]
    rows = [
        (f"{segment}: {group}", f"{found['rows']:,}", number(found.get(name)), number(found.get("ece")))
        for segment, groups in entry.get("segments", {}).items()
        for group, found in groups.items()
    ]
    columns = [words("segment"), Column("rows"), Column(MEASURES[name]), Column("ECE")]
    return [table("The network by segment", columns, rows)] if rows else []


def _fairness(entry: dict[str, Any]) -> list[Html]:
    tables = []
    for attribute, found in entry.get("fairness", {}).items():
        rows = [
            (group, f"{rates['rows']:,}", *(number(rates.get(name)) for name in RATES))
            for group, rates in found["groups"].items()
        ]
        caption = (
            f"Decisions by {attribute}: demographic parity difference "
            f"{number(found['demographic_parity_difference'])}, equalized odds difference "
            f"{number(found['equalized_odds_difference'])}"
        )
        tables.append(table(caption, [words(attribute), Column("rows"), *map(Column, _RATES.values())], rows))
    return tables
