"""The verb `foretell benchmark`."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import ForetellError

_SETS = ("taiwan", "online-retail", "berka", "simulated")
_EXTRA = ("fairlearn", "lightgbm", "optuna", "sklearn", "tensorflow", "tf2onnx")
_EXAMPLE = """\
example:
  foretell benchmark online-retail --source "Online Retail.xlsx" --out retail-benchmark

What each model answered is kept in --out, so that a benchmark that was stopped goes on where it was. The test rows are
looked at when the table is made, and nothing is chosen by them. --search looks for the trees' parameters and for the
network's recipe on validation rows; without it those in the package are taken.
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb ``benchmark``."""
    parser = subparsers.add_parser(
        "benchmark",
        help="hold the network against tuned LightGBM on public data (needs the extra)",
        description="Hold the network against tuned LightGBM, linear models and networks of one task each.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("set", choices=_SETS, help="which data; `simulated` needs no source")
    add("--source", type=Path, metavar="PATH", help="file or folder of the data, as `foretell data` takes it")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for what is computed, and for table.json")
    add("--quick", action="store_true", help="one fold and one seed, no networks of one task: some minutes")
    add("--curve", action="store_true", help="learn from a tenth, a quarter and half of the customers as well")
    add("--search", action="store_true", help="look for parameters first: up to two hours")
    add("--trials", type=_whole, default=50, help="trials of each search (default 50)")
    add("--minutes", type=_whole, default=120, help="the searches' budget (default 120)")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        message = f"Expected the extra `train`, found no {missing[0]}; run pip install 'foretell[train]'."
        raise ForetellError(message)
    from training.benchmark import run  # noqa: PLC0415  (loads pyarrow and numba: not for the sake of a help text)

    return run.run(args)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"expected a whole number of at least 1, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)
