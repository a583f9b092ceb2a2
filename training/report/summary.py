"""How good the network is, in one table: on the page, and as lines of text for a terminal."""

from typing import Any, Final

from schemas.spec import Task
from stream_app.bundle import Manifest
from training.evaluate import headline
from training.report.figures import NAMES
from training.report.markup import Html, joined, tag
from training.report.story import Story
from training.report.tables import MEASURES, Column, interval, marked, number, table, words
from training.report.task import place

SUMMARY_HEAD: Final = ("task", "rows", "tested", "measure", "network", "linear", "prior", "of oracle")
_NOTE: Final = (
    "“event” rows stand right after a transaction, “tick” rows at a cut in time: production scores both. The prior "
    "knows nothing but how frequent each answer is. The linear model (logistic regression, or ridge for amounts) sees "
    "the same inputs as the network. A bar is the gain over the prior, as a share of the way to a perfect answer."
)
_NOTE_ON_ORACLE: Final = (
    " The oracle knows the truth behind simulated data, but not chance: nobody can predict better. “of oracle” is the "
    "network's share of the oracle's gain over the prior."
)


def summary_rows(manifest: Manifest) -> list[tuple[str, ...]]:
    """Return a line per task and row kind, with the columns of ``SUMMARY_HEAD``."""
    lines = []
    for task in manifest.spec.tasks:
        name, _ = headline(task.learned_as)
        for row_kind, entry in manifest.metrics.get(task.name, {}).items():
            values = [number(entry[model].get(name)) for model in ("network", "linear", "prior")]
            lines.append((task.name, row_kind, f"{entry['rows']:,}", MEASURES[name], *values, _of_oracle(entry)))
    return lines


def summary(story: Story) -> Html:
    """Return the headline: what was learned from, and how good it is."""
    with_oracle = any(_of_oracle(entry) for kinds in story.manifest.metrics.values() for entry in kinds.values())
    return tag(
        "section",
        tag("p", _learned_from(story), class_="lead"),
        _tiles(story),
        tag("p", _verdict(story.manifest), class_="lead"),
        _keys(with_oracle=with_oracle),
        _table(story.manifest, with_oracle=with_oracle),
        tag("p", _NOTE + (_NOTE_ON_ORACLE if with_oracle else ""), class_="note"),
        id="summary",
    )


def better_than(manifest: Manifest, model: str) -> tuple[int, int]:
    """Return in how many lines of the summary the network is better than another model, and of how many."""
    better = lines = 0
    for task in manifest.spec.tasks:
        name, sign = headline(task.learned_as)
        for entry in manifest.metrics.get(task.name, {}).values():
            lines += 1
            better += sign * entry["network"].get(name, 0.0) > sign * entry[model].get(name, 0.0)
    return better, lines


def _learned_from(story: Story) -> str:
    data, census = story.manifest.data, story.census
    count = len(story.manifest.spec.tasks)
    asked = f"{count} tasks" if count > 1 else "one task"
    tested = (
        f"what came from {census.cut} on, which it has never seen"
        if census.cut
        else f"{census.customers['test']:,} of these customers, whom it has never seen"
    )
    return (
        f"One network for {asked}, from {data['transactions']:,} transactions of {data['customers']:,} customers "
        f"between {data['first'][:10]} and {data['last'][:10]}. It is measured on {tested}, with "
        "the very file that serves."
    )


def _tiles(story: Story) -> Html:
    data, census = story.manifest.data, story.census
    facts = {
        "customers": f"{data['customers']:,}",
        "transactions": f"{data['transactions']:,}",
        "months": f"{len(census.months):,}",
        "rows to learn from and to test on": f"{data['rows']:,}",
        "customers to test on": f"{census.customers['test']:,}",
    }
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()), class_="tiles")


def _verdict(manifest: Manifest) -> Html:
    linear, lines = better_than(manifest, "linear")
    prior, _ = better_than(manifest, "prior")
    return joined(
        "The network is better than the linear model in ",
        tag("b", f"{linear} of {lines}"),
        " lines of this table, and better than the prior in ",
        tag("b", f"{prior} of {lines}"),
        ".",
    )


def _keys(*, with_oracle: bool) -> Html:
    models = {"network": "network", "linear": "linear model"} | ({"oracle": "oracle"} if with_oracle else {})
    keys = [tag("li", tag("i", class_=f"swatch {model}"), name) for model, name in models.items()]
    return tag("ul", *keys, class_="legend")


def _table(manifest: Manifest, *, with_oracle: bool) -> Html:
    columns = [words("task"), words("rows"), Column("gain over the prior", "gain"), words("measure")]
    models = _compared(manifest)
    names = [*(NAMES[model] for model in models), "prior", *(["oracle", "of oracle"] if with_oracle else [])]
    rows = [
        _line(task, row_kind, entry, models, with_oracle=with_oracle)
        for task in manifest.spec.tasks
        for row_kind, entry in manifest.metrics.get(task.name, {}).items()
    ]
    caption = "How good the network is at test rows"
    shown = [*columns, *(Column(name) for name in (*names, "network, 95 %", "tested"))]
    return table(caption, shown, rows, class_="summary")


def _compared(manifest: Manifest) -> list[str]:
    """Return the models that have measures of their own, but for prior and oracle."""
    found = {model for kinds in manifest.metrics.values() for entry in kinds.values() for model in entry}
    return [model for model in ("network", "lightgbm", "linear") if model in found or model != "lightgbm"]


def _line(task: Task, row_kind: str, entry: dict[str, Any], models: list[str], *, with_oracle: bool) -> list[str]:
    name, sign = headline(task.learned_as)
    compared = [entry.get(model, {}).get(name) for model in models]
    head = [tag("a", task.name, href=f"#{place(task)}"), row_kind, _bar(entry, name, sign), MEASURES[name]]
    of_oracle = [number(entry.get("oracle", {}).get(name)), _of_oracle(entry)] if with_oracle else []
    sure = interval(entry, "network")
    prior = number(entry["prior"].get(name))
    return [*head, *marked(compared, sign), prior, *of_oracle, sure, f"{entry['rows']:,}"]


def _bar(entry: dict[str, Any], name: str, sign: int) -> Html:
    """Return how far network, linear model and oracle are on the way from the prior to a perfect answer."""
    prior, perfect = entry["prior"].get(name, 0.0), 1.0 if sign > 0 else 0.0
    compared = {model: entry[model].get(name, prior) for model in ("network", "linear")}
    if entry.get("oracle", {}).get("rows") == entry["rows"]:
        compared["oracle"] = entry["oracle"].get(name, prior)
    way = perfect - prior
    gains = {model: max((found - prior) / way, 0.0) if way else 0.0 for model, found in compared.items()}
    said = ", ".join(f"{model} {gain:.0%}" for model, gain in gains.items())
    filled = tag("i", class_="filled", style=f"width:{100 * gains.pop('network'):.1f}%")
    marks = [tag("i", class_=f"mark {model}", style=f"left:{100 * gain:.1f}%") for model, gain in gains.items()]
    return tag("span", filled, *marks, class_="meter", role="img", aria_label=said, title=said)


def _of_oracle(entry: dict[str, Any]) -> str:
    share = entry.get("oracle", {}).get("share_of_gain")
    return "" if share is None else f"{share:.0%}"
