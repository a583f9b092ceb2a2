"""`foretell explain`: why a score is what it is, feature by feature."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stream_app import settings

if TYPE_CHECKING:
    from schemas.explanation import Explanation, TaskExplanation

_EPILOG: Final = """\
The log is replayed up to the score's record, so what is explained is the very score that went out. Contributions are
those of integrated gradients, on the scale of log-odds (of a probability) or of the log (of an amount): they add up to
the difference between the answer and that for a customer who is average in all that the network sees.

example:
  foretell explain transactions-0-20005 --bundle bank-bundle --log bank
  foretell explain transactions-0-20005 --bundle bank-bundle --log log.parquet --task churn --language zh
"""
_SHOWN: Final = 8


def register(verbs: Any) -> None:  # noqa: ANN401  (argparse names the type only privately)
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("explain", help="say why a score is what it is", epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("score", metavar="SCORE_ID", help="score_id of a score or an alert")
    parser.add_argument("--log", type=Path, required=True, metavar="DIR|FILE", help="folder or captured topic")
    parser.add_argument("--task", metavar="NAME", help="of one task only (default: of all)")
    parser.add_argument("--top", type=int, default=_SHOWN, metavar="N", help=f"features to show (default {_SHOWN})")
    parser.add_argument("--language", choices=("en", "zh"), help="of the words (default: zh where the locale says so)")
    parser.add_argument("--json", action="store_true", help="all of it, as one JSON object")
    settings.add_flags(parser, "bundle", "bundles")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print an explanation; return the exit code."""
    from schemas import codec
    from stream_app.commands.portrait import language
    from stream_app.commands.shelf import shelf_of
    from stream_app.offline.explaining import explain
    from stream_app.offline.log import open_log

    shelf = shelf_of(settings.from_args(args))
    if args.task is not None:
        shelf.first.spec.task(args.task)
    words = args.language or language(os.environ)
    found = explain(open_log(args.log), shelf, args.score, words)
    print(codec.encode(found).decode() if args.json else "\n".join(_told(found, args.task, args.top)))
    return 0


def _told(found: "Explanation", task: str | None, top: int) -> Iterator[str]:
    yield f"{found.score_id}: customer {found.customer_id}, bundle {found.bundle}"
    for name, answer in found.tasks.items():
        if task in {None, name}:
            yield ""
            yield from _task(name, answer, top)


def _task(name: str, found: "TaskExplanation", top: int) -> Iterator[str]:
    of = f" ({found.class_})" if found.class_ is not None else ""
    yield f"{name}{of}: {found.score:,.6g}, where an average customer has {found.reference_score:,.6g}"
    shown = found.reasons[:top]
    total = sum(abs(reason.contribution) for reason in found.reasons) or 1.0
    for reason in shown:
        yield f"  {reason.contribution:+9.4f}  {abs(reason.contribution) / total:4.0%}  {reason.text}"
    rest = sum(reason.contribution for reason in found.reasons[top:])
    if found.reasons[top:]:
        yield f"  {rest:+9.4f}        {len(found.reasons) - top} others"
    yield f"  {found.answer - found.reference:+9.4f}        in all: from {found.reference:+.4f} to {found.answer:+.4f}"
