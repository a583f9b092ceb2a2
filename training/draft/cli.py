"""The verb `foretell spec`: draft a spec from the data, and say whether one is right."""

import argparse
from pathlib import Path

_INIT = """\
It reads transactions, customers and outcomes of an interchange folder and writes DIR/scorer.toml: types (interest and
fees are guessed to be the bank's), attributes, tasks that the log is long and rich enough for, bands and alert rules.
Comments say what was found and why it was chosen; what is guessed is marked "review". A draft that nobody has changed
is replaced; a spec that somebody has written or changed only with --force.

example:
  foretell spec init mine
"""
_CHECK = """\
It says in words what the spec asks, how large a row is, and what does not fit the log beside it: types that the spec
does not know, attributes that are missing, tasks with too little to learn from. The exit code is 3 where training
would refuse.

examples:
  foretell spec check mine
  foretell spec check scorer.toml --data mine
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb ``spec`` and what it can do."""
    parser = subparsers.add_parser(
        "spec",
        help="draft and check a spec",
        description="Draft a spec from the data, and say whether one is right.",
        epilog="example:\n  foretell spec init mine\n  foretell spec check mine",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add = _verb(verbs, "init", "draft a spec from the data", _INIT).add_argument
    add("folder", type=Path, metavar="DIR", help="interchange folder, as `foretell data` writes it")
    add("--out", type=Path, metavar="FILE", help="where to write (default: scorer.toml in the folder)")
    add("--currency", metavar="CODE", help="base currency (default: that of the log, or of the spec that is there)")
    add("--horizon-days", type=_whole, metavar="DAYS", help="horizon of all tasks (default: chosen from the data)")
    add("--force", action="store_true", help="replace a spec that somebody has written or changed")
    check = _verb(verbs, "check", "say whether a spec is right, and what it asks", _CHECK)
    check.add_argument("spec", type=Path, metavar="FILE|DIR", help="a spec, or a folder with data and scorer.toml")
    check.add_argument("--data", type=Path, metavar="DIR", help="folder to hold a spec FILE against")


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, epilog: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run, action=name)
    return parser


def _run(args: argparse.Namespace) -> int:
    from training.draft import run  # noqa: PLC0415  (loads pyarrow and numba: not for the sake of a help text)

    return run.check(args) if args.action == "check" else run.init(args)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"expected a whole number of at least 1, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)
