"""The verb `foretell demo`."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from schemas.errors import ForetellError
from stream_app.commands.arguments import count, positive

_SHOWING: Final = ("rich",)
_LEARNING: Final = ("onnx", "sklearn", "tensorflow", "tf2onnx")
_EPILOG: Final = """\
Simulates a bank and trains a network on it, or takes your own log and bundle (--data with --bundle). Starts a broker
and a store of its own on free ports of this machine, and a worker between them (at_least_once); publishes the log, at
first slowly enough to be watched; compares all that comes with a replay, byte for byte; stops everything. Without a
terminal it prints lines. The folder of a former demo is replaced, no other.

examples:
  foretell demo
  foretell demo --data bank --bundle bank-bundle --out bank-demo
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "demo",
        help="watch a bank's customers being scored live (needs the extra)",
        description="Watch a bank's customers being scored live, from nothing.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--out", type=Path, default=Path("foretell-demo"), metavar="DIR", help="folder to write (default foretell-demo)"
    )
    add("--data", type=Path, metavar="DIR", help="your own interchange folder, with --bundle")
    add("--bundle", type=Path, metavar="DIR", help="your own bundle, with --data")
    add("--plain", action="store_true", help="lines instead of a picture, on a terminal as well")
    add("--record", type=Path, metavar="FILE", help="keep a picture of the busiest moment (.svg)")
    add("--rate", type=positive, default=2500.0, metavar="N", help="records a second, to be watched (default 2500)")
    add("--pace-seconds", type=positive, default=45.0, metavar="S", help="for so long (default 45), then at full speed")
    own = parser.add_argument_group("the simulated bank")
    own.add_argument("--seed", type=_whole, default=1, help="the same seed gives the same bank (default 1)")
    own.add_argument("--customers", type=count, default=1500, help="how many (default 1500)")
    own.add_argument("--months", type=_months, default=18, help="length of the log (default 18)")
    own.add_argument("--epochs", type=count, default=8, help="most passes of the training (default 8)")
    parser.set_defaults(run=_run, refuse=parser.error)


def _run(args: argparse.Namespace) -> int:
    if (args.data is None) != (args.bundle is None):
        args.refuse("--data and --bundle belong together: give both, or neither")
    wanted = _SHOWING if args.data else (*_SHOWING, *_LEARNING)
    lacking = [name for name in wanted if find_spec(name) is None]
    if lacking:
        message = f"Expected the extra `demo`, found no {lacking[0]}; run pip install 'foretell[demo]'."
        raise ForetellError(message)
    from stream_app.embedded import missing  # noqa: PLC0415  (what loads slowly is not for the sake of a help text)

    if problem := missing():
        raise ForetellError(problem)
    from training.demo import run  # noqa: PLC0415  (as above)

    return run.run(args)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        message = f"expected a whole number, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _months(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) >= 3):  # noqa: PLR2004  (the simulator's least)
        message = f"expected a whole number of at least 3, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)
