"""`foretell compare`: two bundles side by side."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stream_app.offline.comparing import Comparison, Measure

_EPILOG: Final = """\
Measures are those of each bundle's own test rows, with their 95 % intervals: they can be compared where both were
trained on the same data, split by the same seed. Nothing is computed; `foretell train` has written it all into the
bundles.

example:
  foretell compare bank-bundle other-bundle
"""


def register(verbs: Any) -> None:  # noqa: ANN401  (argparse names the type only privately)
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("compare", help="put two bundles side by side", epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("a", type=Path, metavar="A", help="a bundle")
    parser.add_argument("b", type=Path, metavar="B", help="another one")
    parser.add_argument("--json", action="store_true", help="all of it, as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a comparison; return the exit code."""
    from schemas import codec
    from stream_app import bundle
    from stream_app.offline.comparing import compare

    found = compare(bundle.load(args.a), bundle.load(args.b))
    print(codec.encode(found).decode() if args.json else "\n".join(_told(found)))
    return 0


def _told(found: "Comparison") -> Iterator[str]:
    facts = [(fact.name, _text(fact.a), _text(fact.b)) for fact in found.facts]
    yield from _table([("", "A", "B"), *facts])
    yield ""
    if not found.same_data:
        yield "Trained or tested on other data: the measures below are of different rows."
    head = ("task", "rows", "measure", "A", "95 %", "B", "95 %", "better")
    yield from _table([head, *(_line(measure) for measure in found.measures)])


def _line(measure: "Measure") -> tuple[str, ...]:
    sure = (_interval(measure.interval_a), _interval(measure.interval_b))
    better = measure.better.upper()
    told = f"{measure.a:.4f}", sure[0], f"{measure.b:.4f}", sure[1]
    return (measure.task, measure.rows, measure.measure, *told, better)


def _interval(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{found[0]:.4f} to {found[1]:.4f}"


def _text(value: Any) -> str:  # noqa: ANN401  (whatever a manifest holds)
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
