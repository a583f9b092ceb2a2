"""The model card of a bundle (Mitchell et al. 2019), as Markdown: what it is for, what it knows, how good it is."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from schemas.spec import PROTECTED, Spec
from stream_app.bundle import Manifest
from training.evaluate import MODELS, headline
from training.report.meaning import meaning
from training.report.tables import MEASURES, interval, number

_WHAT: Final = (
    "One multi-task network ({network}, layers of {layers}), learned by Foretell {version}. The whole of what was "
    "measured is in `manifest.json` and `report.html`."
)
_USE: Final = (
    "It answers, for one customer at one moment, the questions below from that customer's own event log. Its scores "
    "are meant to rank and to alert; a decision that matters to a customer needs a person, and the law of the place."
)
_MEASURED: Final = (
    "The headline of each task with its 95 % interval, by drawing customers; the test rows were looked at once. “of "
    "oracle” is the share of what can be known at all, where simulated data tells it."
)
_LIMITS: Final = """\
- It knows customers as they were in the data above; measure it anew when these change (`foretell train`, then
  `foretell compare`).
- Intervals are those of drawing other customers of the same time, not of another time or bank.
- Customers who are unlike those it learned from are taken for the most similar ones: inputs stay within what it has
  seen.
"""


def card(manifest: Manifest) -> bytes:
    """Return the model card of a bundle; the same for the same manifest."""
    spec = manifest.spec
    parts = [
        f"# Model card: {spec.name}",
        _what(manifest),
        "## Intended use",
        _USE,
        *_questions(spec),
        "## Data",
        *_data(manifest),
        "## Measures at test rows",
        _MEASURED,
        *_table(*_measures(manifest)),
        "## Calibration",
        *_table(("task", "rows", "method", "calibration error (ECE)", "95 %"), list(_calibration(manifest))),
        "## Protected attributes",
        *_protected(spec),
        *_fairness(manifest),
        "## Limits",
        _LIMITS,
    ]
    return "\n\n".join(part for part in parts if part).encode()


def _what(manifest: Manifest) -> str:
    recipe = manifest.data["recipe"]
    layers = " and ".join(map(str, recipe["layers"]))
    return _WHAT.format(network=recipe["network"], layers=layers, version=manifest.versions.get("foretell", ""))


def _questions(spec: Spec) -> Iterator[str]:
    for task in spec.tasks:
        meant = meaning(task, spec)
        yield f"- **{task.name}**: {meant.question} {meant.rule} Asked for: {meant.asked}"


def _data(manifest: Manifest) -> Iterator[str]:
    data = manifest.data
    yield (
        f"{data['transactions']:,} transactions of {data['customers']:,} customers from {data['first'][:10]} to "
        f"{data['last'][:10]}; {data['rows']:,} rows, split by {data['split']} (seed {data['seed']}). "
        f"{len(data['teachers'])} of {len(manifest.spec.tasks)} tasks were taught by trees as well as by labels."
    )
    sides = ("train", "validation", "calibration", "test")
    rows = [(task, *(f"{counts[side]:,}" for side in sides)) for task, counts in data["labels"].items()]
    yield from _table(("labels", *sides), rows)


def _measures(manifest: Manifest) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    models = [model for model in MODELS if model not in {"network", "oracle"}]
    head = ("task", "rows", "tested", "measure", "network", "95 %", *models, "of oracle")
    lines = []
    for task in manifest.spec.tasks:
        name = headline(task.learned_as)[0]
        for kind, entry in manifest.metrics.get(task.name, {}).items():
            others = (number(entry.get(model, {}).get(name)) for model in models)
            told = number(entry["network"].get(name)), interval(entry, "network")
            lines.append(
                (task.name, kind, f"{entry['rows']:,}", MEASURES[name], *told, *others, _share(entry.get("oracle", {})))
            )
    return head, lines


def _share(oracle: dict[str, Any]) -> str:
    return f"{oracle['share_of_gain']:.0%}" if "share_of_gain" in oracle else "–"


def _calibration(manifest: Manifest) -> Iterator[tuple[str, ...]]:
    for task in manifest.spec.tasks:
        method = str(manifest.calibration.get(task.name, {}).get("method", "none"))
        for kind, entry in manifest.metrics.get(task.name, {}).items():
            low, high = entry.get("others", {}).get("ece", (None, None))
            sure = "–" if low is None else f"{number(low)} to {number(high)}"
            yield task.name, kind, method, number(entry["network"].get("ece")), sure


def _protected(spec: Spec) -> Iterator[str]:
    there = [attribute for attribute in spec.attributes if attribute.name in PROTECTED]
    if not there:
        yield f"The data holds none of {', '.join(PROTECTED)}."
    for attribute in there:
        yield f"- **{attribute.name}**: {'an input of the network' if attribute.is_input else 'kept from the network'}."


def _fairness(manifest: Manifest) -> Iterator[str]:
    """Return the largest differences of decisions between protected groups, where any were measured."""
    rows = [
        (
            task.name,
            kind,
            attribute,
            number(found["demographic_parity_difference"]),
            number(found["equalized_odds_difference"]),
        )
        for task in manifest.spec.tasks
        for kind, entry in manifest.metrics.get(task.name, {}).items()
        for attribute, found in entry.get("fairness", {}).items()
    ]
    if rows:
        yield from _table(("task", "rows", "by", "demographic parity difference", "equalized odds difference"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [head, ["---"] * len(head), *rows]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
