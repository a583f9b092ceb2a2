"""The parts of the page about the data and about the bundle."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from training.drift import LARGE, MODERATE
from training.report.census import PARTS
from training.report.chart import Axis, Chart, short, up_to
from training.report.figures import figure
from training.report.markup import Html, tag
from training.report.story import Story
from training.report.tables import Column, share_bar, table, words

_MOST_MARKS: Final = 4
_GAP: Final = 0.1
"""Between two bars, as a share of a bar's place."""


def data_section(story: Story) -> Html:
    """Return the part about what was learned from."""
    data = story.manifest.data
    told = (
        f"{data['transactions']:,} transactions of {data['customers']:,} customers from {data['first'][:10]} to "
        f"{data['last'][:10]}, {data['records']:,} customer records and {data['outcomes']:,} outcomes. "
        f"{data['rows']:,} rows were drawn (seed {data['seed']}), {_split(story)}. {_accepted(data['refused'])}"
    )
    tables = [_labels(story), _types(story), *_refused(data["refused"]), *_drift(data["drift"])]
    return tag(
        "section",
        tag("h2", "Data"),
        tag("p", told),
        tag("div", _months(story), class_="figures"),
        tag("div", *tables, class_="tables"),
        id="data",
    )


def bundle_section(story: Story) -> Html:
    """Return the part about what the bundle is made of, with the spec folded."""
    manifest, parity = story.manifest, story.manifest.parity
    first, last = parity["same_bits_for_batches"]
    facts = {
        "State layout": manifest.layout,
        "Network": f"{manifest.feature_width} columns in, {sum(item.width for item in manifest.outputs)} columns out",
        "Export": (
            f"differs from the trained network by at most {parity['largest_difference']:.2g} ({parity['tolerance']:g} "
            f"is accepted), and gives the same bits for every batch of {first} to {last} rows"
        ),
        "Trained with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }
    items = [tag("div", tag("dt", name), tag("dd", text)) for name, text in facts.items()]
    sums = manifest.data["sha256"]
    items += [tag("div", tag("dt", name), tag("dd", "sha256 ", tag("code", digest))) for name, digest in sums.items()]
    return tag(
        "section",
        tag("h2", "Bundle"),
        tag("dl", *items, class_="facts"),
        tag("details", tag("summary", "The spec"), tag("pre", _pretty(manifest.spec), tabindex="0")),
        id="bundle",
    )


def _split(story: Story) -> str:
    if story.census.cut:
        return f"split by time: test rows lie at or after {story.census.cut}, labels to learn from were settled before"
    return "split by customer: nobody stands on two sides"


def _drift(found: Mapping[str, Any]) -> list[Html]:
    if not found:
        return []
    rows = [(name, f"{value:.3f}") for name, value in found["inputs"].items()]
    rows += [(f"score of {task}", f"{value:.3f}") for task, value in found["scores"].items()]
    caption = (
        "How far test rows lie from training rows: population stability index, the inputs that moved most. "
        f"{found['large']} of {found['of']} are at {LARGE:g} or above (large), {found['moderate']} more at {MODERATE:g}"
    )
    return [table(caption, [words("column"), Column("PSI")], rows)]


def _accepted(refused: Mapping[str, int]) -> str:
    if not refused:
        return "No record was refused."
    return f"{sum(refused.values()):,} records were refused, as the stream would do, and are in none of these numbers."


def _months(story: Story) -> Html:
    counts = story.census.months
    names, heights = list(counts), np.array(list(counts.values()), np.float64)
    number = np.arange(len(names), dtype=np.float64)
    x = Axis("month", 0.0, float(len(names)), marks=_marks(names))
    chart = Chart(x, up_to(float(heights.max()), "transactions", short))
    bars = np.column_stack([number + _GAP, number + 1.0 - _GAP, heights])
    chart.bars(bars, "network", [f"{name}: {count:,}" for name, count in counts.items()])
    alt = f"Transactions a month from {names[0]} to {names[-1]}: {heights.min():,.0f} to {heights.max():,.0f}."
    return figure("Transactions a month", f"{heights.min():,.0f} to {heights.max():,.0f}", chart.svg(alt))


def _marks(months: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Return which of the months are written below their bars: Januaries, as years, where there are several."""
    januaries = [k for k, name in enumerate(months) if name.endswith("-01")]
    places, end = (januaries, -3) if len(januaries) > 1 else (list(range(len(months))), None)
    return tuple((k + 0.5, months[k][:end]) for k in places[:: -(-len(places) // _MOST_MARKS)])


def _labels(story: Story) -> Html:
    labels, people = story.manifest.data["labels"], story.census.customers
    rows = [[task, *(f"{counts[part]:,}" for part in PARTS)] for task, counts in labels.items()]
    last = [tag("b", "customers with any"), *(f"{people[part]:,}" for part in PARTS)]
    return table("Labelled rows of each task", [words("task"), *(Column(part) for part in PARTS)], [*rows, last])


def _types(story: Story) -> Html:
    counts = story.census.types
    total = max(sum(counts.values()), 1)
    initiators = {item.name: item.initiator for item in story.manifest.spec.types}
    most_first = sorted(counts.items(), key=lambda pair: -pair[1])
    rows = [(name, initiators[name], share_bar(count / total), f"{count:,}") for name, count in most_first]
    columns = [words("type"), words("initiated by"), Column("share", "gain"), Column("transactions")]
    return table("Types of transactions", columns, rows)


def _refused(refused: Mapping[str, int]) -> list[Html]:
    rows = [(reason, f"{count:,}") for reason, count in sorted(refused.items())]
    return [table("Refused records", [words("reason"), Column("records")], rows)] if rows else []


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
