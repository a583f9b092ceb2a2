"""Writes what a training found as one self-contained HTML page."""

from dataclasses import dataclass
from html import escape
from typing import Any, Final

import msgspec

from stream_app.bundle import Manifest
from training.arrays import Floats
from training.evaluate import MODELS, headline
from training.figures import loss_curves, reliability_diagram
from training.history import History

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #d5dce3; }
table { border-collapse: collapse; margin: .7rem 0; } th, td { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #1c2733; }
tbody tr:nth-child(even) { background: #f2f5f8; } td { font-variant-numeric: tabular-nums; }
pre { background: #f2f5f8; padding: .8rem; overflow-x: auto; font-size: 12px; } .note { color: #5a6875; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } img { max-width: 100%; }
"""
_LABELS: Final = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "ece": "calibration error (ECE)",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy_best": "accuracy at best-F1 threshold",
    "precision_best": "precision at best-F1 threshold",
    "recall_best": "recall at best-F1 threshold",
    "f1_best": "F1 at best-F1 threshold",
    "spearman": "Spearman",
    "mae": "mean absolute error (money)",
    "mae_log": "mean absolute error of log(1 + x)",
    "mse_log": "mean squared error of log(1 + x)",
}
_WORDS: Final = {"linear": "linear model"}


@dataclass(frozen=True)
class Story:
    """What a report tells: the manifest, how training went, and reliability by task (see ``measures.reliability``)."""

    manifest: Manifest
    history: History
    reliability: dict[str, Floats]


def html(story: Story) -> bytes:
    """Return the report."""
    manifest = story.manifest
    title = f"Foretell: {escape(manifest.spec.name)}"
    body = [
        f"<h1>{title}</h1>",
        _summary(manifest),
        *(_task(story, task.name, task.kind) for task in manifest.spec.tasks),
        "<h2>Training</h2>",
        _image(loss_curves(story.history, [task.name for task in manifest.spec.tasks]), "loss curves"),
        "<h2>Data</h2>",
        _facts(manifest.data),
        "<h2>Bundle</h2>",
        _facts({"layout": manifest.layout, "parity": manifest.parity, "versions": manifest.versions}),
        "<h2>Spec</h2>",
        f"<pre>{escape(_pretty(manifest.spec))}</pre>",
    ]
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return (page + "\n".join(body) + "</html>\n").encode()


def summary_rows(manifest: Manifest) -> list[tuple[str, ...]]:
    """Return a line per task and row kind, with the columns of ``SUMMARY_HEAD``."""
    lines = []
    for task in manifest.spec.tasks:
        name, _ = headline(task.kind)
        for row_kind, entry in manifest.metrics.get(task.name, {}).items():
            values = [_number(entry[model].get(name)) for model in ("network", "linear", "prior")]
            share = entry.get("oracle", {}).get("share_of_gain")
            told = "" if share is None else f"{share:.0%}"
            lines.append((task.name, row_kind, f"{entry['rows']:,}", _LABELS[name], *values, told))
    return lines


SUMMARY_HEAD: Final = ("task", "rows", "tested", "measure", "network", "linear", "prior", "of oracle")


def _summary(manifest: Manifest) -> str:
    note = (
        "Measured on customers (or a time) that the network has never seen, with the very file that serves. "
        "“event” rows stand right after a transaction, “tick” rows at a cut in time. "
        "“of oracle” is the share of the gain over the prior that the best possible prediction reaches."
    )
    return f'<p class="note">{note}</p>' + _table(SUMMARY_HEAD, summary_rows(manifest))


def _task(story: Story, name: str, kind: str) -> str:
    parts = [f"<h2>{escape(name)} <small>({kind})</small></h2>"]
    for row_kind, entry in story.manifest.metrics.get(name, {}).items():
        models = [model for model in MODELS if model in entry]
        measures = [measure for measure in _LABELS if measure in entry["network"]]
        lines = [(_LABELS[item], *(_number(entry[model].get(item)) for model in models)) for item in measures]
        facts = {key: value for key, value in entry.items() if key not in MODELS}
        told = ", ".join(f"{key} {_short(value)}" for key, value in facts.items())
        parts.append(f"<h3>{row_kind} rows</h3><p>{escape(told)}</p>")
        parts.append(_table(("", *(_WORDS.get(model, model) for model in models)), lines))
    if name in story.reliability:
        parts.append(_image(reliability_diagram(story.reliability[name]), "reliability"))
    calibration = ", ".join(f"{key} {_short(value)}" for key, value in story.manifest.calibration.get(name, {}).items())
    return "\n".join(parts) + f'<p class="note">Calibration: {escape(calibration)}</p>'


def _table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"


def _facts(facts: dict[str, Any]) -> str:
    return f"<pre>{escape(_pretty(facts))}</pre>"


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _image(address: str, words: str) -> str:
    return f'<figure><img src="{address}" alt="{words}"></figure>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4f}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_short(item)}" for key, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
