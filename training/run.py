"""Runs `foretell train`: read, learn, write, and tell how good it is."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from schemas import spec_file
from schemas.atomic import atomic_file
from schemas.errors import EXIT_OK, OutputError
from schemas.progress import SILENT, Progress
from stream_app.bundle import MANIFEST, Manifest
from stream_app.offline.folder import read_folder
from training.learn import learn
from training.prepare import Options
from training.recipe import QUICK, TAUGHT
from training.report.summary import SUMMARY_HEAD, summary_rows

_ASKED: Final = ("epochs", "layers", "network", "weights")
"""What of the recipe can be said on the command line."""


def run(args: argparse.Namespace) -> int:
    """Train on the folder that the arguments name, print a table of measures and return the exit code.

    Raises:
        InputError: folder, log or spec cannot be used.
        TrainingError: nothing can be learned from it.
        OutputError: ``--out`` or ``--report`` is taken or cannot be written.
    """
    progress: Progress = getattr(args, "progress", SILENT)
    check_out(args.out, force=args.force)
    folder = read_folder(args.folder)
    spec = spec_file.load(args.spec) if args.spec else folder.spec
    usual: Literal["customer", "time"] = "time" if spec.training.test_from else "customer"
    recipe = QUICK if args.quick else TAUGHT
    asked = {name: getattr(args, name) for name in _ASKED if getattr(args, name) is not None}
    options = Options(
        args.seed,
        args.split or usual,
        replace(recipe, **asked),
        tuple(args.allow_leak),
        not args.quick,
        args.memory << 20,
    )
    learned = learn(folder, spec, args.out, options, progress, args.samples)
    if args.report:
        with atomic_file(args.report) as part:
            part.write_bytes(learned.report)
    print("\n".join(_told(learned.bundle.manifest, args.out, learned.bundle.short)))  # noqa: T201  (a command prints)
    return EXIT_OK


def check_out(out: Path, *, force: bool) -> None:
    """Refuse a place where writing a bundle would destroy something.

    Raises:
        OutputError: ``out`` is a file, or holds something that is no bundle, or one without ``force``.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    is_bundle = (out / MANIFEST).is_file()
    if is_bundle and force:
        return
    found = "a previous bundle" if is_bundle else "something else"
    remedy = "add --force to replace it, or choose another place" if is_bundle else "choose another place with --out"
    message = f"Expected nothing at {out}, found {found}; {remedy}."
    raise OutputError(message)


def _told(manifest: Manifest, out: Path, short: str) -> list[str]:
    lines = [SUMMARY_HEAD, *summary_rows(manifest)]
    if not any(line[-1] for line in lines[1:]):  # no oracle
        lines = [line[:-1] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text_columns = {0, 1, 3}
    table = [
        "  ".join(
            cell.ljust(width) if column in text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return [*table, "", f"Wrote {out}: bundle {short}, report in {out / 'report.html'}"]
