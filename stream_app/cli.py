"""The command `foretell`. Verbs of other packages come through the entry points `foretell.commands`."""

import argparse
import gc
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from schemas.errors import EXIT_INTERRUPTED, EXIT_OK, ForetellError
from stream_app.commands import COMMANDS, OFFLINE
from stream_app.console import Bar

_REPLAY = """\
The log is an interchange folder or a captured topic (one Parquet file). Results are the same bytes in every run and for
any --chunk. Files appear whole at the end, or not at all.

example:
  foretell replay bank --bundle bundle --out scores.parquet --alerts alerts.parquet --dead-letters dead.parquet
"""
_BUNDLE = """\
example:
  foretell bundle verify bundle
"""
_EXITS = """\
exit codes: 0 done, 2 wrong usage, 3 input that cannot be used, 4 a bundle that cannot be used, 5 nothing to learn or
no exact export, 6 a place that cannot be written to, 130 interrupted
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code. What the operator must act on is one sentence on stderr."""
    bar = Bar()
    try:
        args = _parser().parse_args(arguments)
        args.progress = bar
        code: int = args.run(args)
        bar.end()
        sys.stdout.flush()
    except ForetellError as error:
        bar.end()
        print(f"foretell: {_redacted(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nforetell: interrupted; nothing half-written was left.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as in `foretell … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in its buffer goes nowhere
        return EXIT_OK
    return code


def _redacted(text: str) -> str:
    from stream_app.logs import redact  # noqa: PLC0415  (only where something has gone wrong)

    return redact(text)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="foretell", description="Score a stream of customer events.", epilog=_EXITS, formatter_class=raw
    )
    parser.add_argument("--version", action="version", version=f"foretell {metadata.version('foretell')}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for entry in sorted(metadata.entry_points(group="foretell.commands"), key=lambda entry: entry.name):
        entry.load()(verbs)
    for command in (*COMMANDS, *OFFLINE):
        command.register(verbs)
    replay = verbs.add_parser("replay", help="score an event log", epilog=_REPLAY, formatter_class=raw)
    replay.add_argument("log", type=Path, help="interchange folder, or a captured topic (.parquet)")
    replay.add_argument("--bundle", type=Path, required=True, help="folder that `foretell train` wrote")
    replay.add_argument(
        "--bundles",
        type=Path,
        metavar="DIR",
        help="whose sub-folders the log may activate (default: where the bundle is)",
    )
    replay.add_argument("--out", type=Path, required=True, metavar="FILE", help="scores (.parquet)")
    replay.add_argument("--alerts", type=Path, metavar="FILE", help="alerts (.parquet)")
    replay.add_argument("--dead-letters", type=Path, metavar="FILE", help="refused records (.parquet)")
    replay.add_argument("--partitions", type=_positive, default=1, help="spread a folder over this many (default 1)")
    replay.add_argument("--chunk", type=_positive, default=4096, help="records at once (default 4096)")
    replay.set_defaults(run=_replay)
    bundle = verbs.add_parser("bundle", help="look at a bundle", epilog=_BUNDLE, formatter_class=raw)
    actions = bundle.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, text, run in (("show", "say what is in a bundle", _show), ("verify", "check every byte", _verify)):
        action = actions.add_parser(
            name, help=text, epilog=f"example:\n  foretell bundle {name} bundle", formatter_class=raw
        )
        action.add_argument("bundle", type=Path, help="folder that `foretell train` wrote")
        action.set_defaults(run=run)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"expected a whole number of at least 1, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _replay(args: argparse.Namespace) -> int:
    # numba and onnxruntime load slowly: not for the sake of a help text
    from stream_app.offline.replay import Options, Outputs, replay_files  # noqa: PLC0415

    outputs = Outputs(args.out, args.alerts, args.dead_letters)
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)  # chunks make many short-lived objects; full collections would walk numba's
    sys.setswitchinterval(
        1e-4
    )  # decoding ahead would hold back scoring for 5 ms after each step that left the interpreter
    options = Options(args.partitions, args.bundles, args.chunk)
    summary = replay_files(args.log, args.bundle, outputs, options, args.progress)
    _print_table(
        [
            ("records", f"{summary.records:,}"),
            ("scores", f"{summary.scores:,} in {args.out}"),
            ("alerts", _counts(summary.alerts)),
            ("dead letters", _counts(summary.dead_letters)),
            ("unknown types", f"{summary.unknown_types:,} (taken as other)"),
            ("unknown values", f"{summary.unknown_values:,} of customer records (ignored)"),
            ("customers", f"{summary.customers:,}"),
            ("start-up", f"{summary.start_s:.2f} s until the first {summary.first_records:,} records were done"),
            ("steady", f"{summary.records_per_s:,.0f} records/s over {summary.steady_s:.2f} s"),
        ]
    )
    return EXIT_OK


def _show(args: argparse.Namespace) -> int:
    from stream_app import bundle  # noqa: PLC0415

    loaded = bundle.load(args.bundle)
    manifest, layout = loaded.manifest, loaded.rolling.layout
    rows: list[tuple[str, str]] = [
        ("bundle", loaded.sha256),
        ("spec", f"{manifest.spec.name}, {len(manifest.spec.types)} types, base currency {manifest.spec.currency}"),
        ("state layout", f"{manifest.layout}, {layout.row_width * 4} bytes a customer, {len(layout.column)} features"),
    ]
    for task in manifest.spec.tasks:
        bands = ", ".join(
            f"{b.name} >= {b.at_least:g}" for b in manifest.bands.get(task.name, ()) if b.at_least is not None
        )
        rows.append(
            (f"task {task.name}", f"{task.kind}, {task.label}, {task.horizon_days:g} d{'; ' + bands if bands else ''}")
        )
    rows += [
        (f"rule {rule.name}", f"{rule.task or rule.feature} {rule.direction} {rule.threshold:g}")
        for rule in manifest.spec.rules
    ]
    rows += [(name, _short(value)) for name, value in manifest.data.items()]
    rows += [(f"file {name}", digest) for name, digest in manifest.files.items()]
    _print_table(rows)
    return EXIT_OK


def _verify(args: argparse.Namespace) -> int:
    from stream_app import bundle  # noqa: PLC0415
    from stream_app.steps.predict import Predictor  # noqa: PLC0415

    loaded = bundle.load(args.bundle)
    Predictor.of(loaded)
    print(f"{args.bundle}: whole and unchanged, bundle {loaded.sha256}, state layout {loaded.manifest.layout}")
    return EXIT_OK


def _counts(counter: dict[str, int]) -> str:
    parts = ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items()))
    return f"{sum(counter.values()):,}{' (' + parts + ')' if parts else ''}"


def _short(value: Any) -> str:  # noqa: ANN401  (whatever the manifest holds)
    return str(value)


def _print_table(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")
