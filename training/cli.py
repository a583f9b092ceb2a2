"""The verb `foretell train`."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import ForetellError
from training.matrix import BOUND
from training.recipe import NETWORKS, TAUGHT, WEIGHTS

_EXTRA = ("fairlearn", "lightgbm", "onnx", "sklearn", "tensorflow", "tf2onnx")

_EXAMPLE = """\
example:
  foretell data simulate --out bank
  foretell train bank --out bank-bundle

For each task trees are grown, which teach the network and are then thrown away; --quick leaves them out.
The bundle holds the network (model.onnx), what it was trained on and how well it did (manifest.json, report.html).
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb ``train``; without the extra it answers what to install, whatever is asked of it."""
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        parser = subparsers.add_parser(
            "train", help="learn a bundle (needs the extra)", add_help=False, prefix_chars="\0"
        )
        parser.add_argument("ignored", nargs="*")
        parser.set_defaults(run=_refuse, missing=missing)
        return
    parser = subparsers.add_parser(
        "train",
        help="learn a bundle from an interchange folder",
        description="Learn a bundle from an interchange folder: samples by replay, one network for all tasks, report.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="interchange folder, as `foretell data` writes it")
    add("--out", type=Path, required=True, metavar="BUNDLE", help="folder to write the bundle to")
    add("--spec", type=Path, metavar="FILE", help="spec to use instead of the folder's scorer.toml")
    add("--seed", type=_whole, default=1, help="the same seed gives the same network on the same machine (default 1)")
    add(
        "--split",
        choices=("customer", "time"),
        help="how test rows are set aside (default: time where the spec has test_from, else customer)",
    )
    add("--quick", action="store_true", help="without teachers: in a tenth of the time, and not as good")
    add("--epochs", type=_whole, help="most passes over the training rows (default 20)")
    widths = ",".join(map(str, TAUGHT.layers))
    add("--layers", type=_widths, metavar="W,W", help=f"widths of the shared layers (default {widths}; quick 128,64)")
    add("--network", choices=NETWORKS, help=f"what lies between inputs and heads (default {NETWORKS[0]})")
    add("--weights", choices=WEIGHTS, help=f"what tasks count for while they are learned (default {WEIGHTS[0]})")
    add(
        "--memory",
        type=_whole,
        default=BOUND >> 20,
        metavar="MIB",
        help=f"features of more MiB are in a temporary file, for the same network (default {BOUND >> 20})",
    )
    add("--samples", type=Path, metavar="FILE", help="write the samples as Parquet to this place too, part by part")
    add("--report", type=Path, metavar="FILE", help="write the report to this place too")
    add(
        "--allow-leak",
        action="append",
        default=[],
        metavar="FEATURE",
        help="accept an input that alone tells a label (may be repeated)",
    )
    add("--force", action="store_true", help="replace a previous bundle")
    parser.set_defaults(run=_run)


def _refuse(args: argparse.Namespace) -> int:
    message = f"Expected the extra `train`, found no {args.missing[0]}; run pip install 'foretell[train]'."
    raise ForetellError(message)


def _run(args: argparse.Namespace) -> int:
    from training import run  # noqa: PLC0415  (loads pyarrow and numba: not for the sake of a help text)

    return run.run(args)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"expected a whole number of at least 1, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _widths(text: str) -> tuple[int, ...]:
    """Parse widths of layers; multiples of 16, so that no bit depends on the batch."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 and int(part) % 16 == 0 for part in parts):
        message = f"expected widths that are multiples of 16, such as 64 or 128,64, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return tuple(int(part) for part in parts)
