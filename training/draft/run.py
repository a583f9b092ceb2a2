"""Runs the verbs of `foretell spec`."""

import argparse
import textwrap
from pathlib import Path
from typing import Final

from schemas import spec_file
from schemas.atomic import atomic_file
from schemas.errors import EXIT_OK, OutputError, SpecError
from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from stream_app.kernel.layout import Layout
from stream_app.offline.folder import SPEC, read_folder
from training.draft.advice import found, reviews
from training.draft.draft import Known, draft
from training.draft.findings import Finding, findings
from training.draft.names import named
from training.draft.text import GUESSED_CURRENCY, is_untouched, written
from training.draft.words import spec_words

_WIDTH: Final = 120
_NAMELESS: Final = "mine"


def init(args: argparse.Namespace) -> int:
    """Draft a spec for the folder that the arguments name, write it and say what to review; return the exit code.

    Raises:
        InputError: the folder cannot be used, or the currency is none.
        OutputError: a spec is there that somebody has changed, or the place cannot be written to.
    """
    progress: Progress = getattr(args, "progress", SILENT)
    out: Path = args.out or args.folder / SPEC
    folder = read_folder(args.folder)
    check_place(out, force=args.force)
    drafted = draft(folder, _known(args), progress)
    text = written(drafted)
    spec_file.parse(text, f"the draft for {out}")
    with atomic_file(out) as part:
        part.write_text(text, encoding="utf-8")
    lines = [f"Wrote {out}.", *found(drafted), "Review:", *(f"- {line}" for line in reviews(drafted))]
    beside = f"{args.folder}" if out == args.folder / SPEC else f"{out} --data {args.folder}"
    _say([*lines, f"Next: read {out}, then foretell spec check {beside}"])
    return EXIT_OK


def check(args: argparse.Namespace) -> int:
    """Say whether a spec is right, what it asks, and what does not fit the data; return the exit code.

    Raises:
        SpecError: the spec is wrong.
        InputError: the folder cannot be used.
    """
    path, data = (args.spec / SPEC, args.spec) if args.spec.is_dir() else (args.spec, args.data)
    spec = spec_file.load(path)
    layout = Layout(spec).check()
    _say([_size(path, layout)])
    _say_pairs(list(spec_words(spec)))
    if data is None:
        return EXIT_OK
    seen = list(findings(read_folder(args.data or data), spec))
    _say([_verdict(data, seen), *(f"- {'WRONG: ' if item.wrong else ''}{item.sentence}" for item in seen)])
    return SpecError.exit_code if any(item.wrong for item in seen) else EXIT_OK


def check_place(out: Path, *, force: bool) -> None:
    """Refuse to replace a spec that somebody has written or changed.

    Raises:
        OutputError: there is one, and no ``force``.
    """
    if force or not out.is_file():
        return
    try:
        text = out.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    if not is_untouched(text):
        message = (
            f"Expected no spec or an unchanged draft at {out}, found one that was written or changed by hand; "
            "keep it, choose another place with --out, or replace it with --force."
        )
        raise OutputError(message)


def _known(args: argparse.Namespace) -> Known:
    """Return what arguments and an earlier spec of the folder tell."""
    before, guessed = _before(args.folder / SPEC)
    return Known(
        name=before.name if before else named(args.folder.resolve().name, "data_") or _NAMELESS,
        currency=args.currency or (before.currency if before and not guessed else None),
        rates=before.rates if before and before.currency == (args.currency or before.currency) else {},
        utc_offset_minutes=before.utc_offset_minutes if before else 0,
        horizon_days=args.horizon_days,
    )


def _before(path: Path) -> tuple[Spec | None, bool]:
    """Return an earlier spec, and whether a draft guessed its currency."""
    try:
        spec = spec_file.load(path)
    except SpecError:
        return None, False
    return spec, GUESSED_CURRENCY in path.read_text(encoding="utf-8")


def _size(path: Path, layout: Layout) -> str:
    return (
        f"{path} is right: a row takes {layout.row_width * 4:,} bytes a customer, {len(layout.column)} features, "
        f"{len(layout.inputs)} of them seen by the network, state layout {layout.hash}."
    )


def _verdict(data: Path, seen: list[Finding]) -> str:
    if not seen:
        return f"It fits the log in {data}."
    wrong = sum(item.wrong for item in seen)
    refused = f"{wrong} with which training refuses" if wrong else "none with which training refuses"
    return f"Against the log in {data}, {len(seen)} {'thing' if len(seen) == 1 else 'things'} to look at, {refused}:"


def _say(lines: list[str]) -> None:
    for line in lines:
        indent = "  " if line.startswith("- ") else ""
        print(textwrap.fill(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))  # noqa: T201  (a command prints)


def _say_pairs(pairs: list[tuple[str, str]]) -> None:
    width = max(len(label) for label, _ in pairs)
    for label, text in pairs:
        told = textwrap.fill(
            text,
            _WIDTH,
            initial_indent=f"{label:<{width}}  ",
            subsequent_indent=" " * (width + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        print(told)  # noqa: T201  (a command prints)
