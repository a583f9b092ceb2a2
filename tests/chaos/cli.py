"""The command: one campaign, from its seed to its verdict."""

import argparse
import gc
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from schemas.errors import ForetellError
from stream_app import kafka
from tests.chaos import campaign, inspection
from tests.chaos.faults.known import FAULTS
from tests.chaos.options import MINUTES, RATE, SHORT_RATE, Options
from tests.chaos.plan import plan
from tests.chaos.scene import settings_told, staged
from tests.chaos.tally import Tally
from tests.chaos.verdict import Verdict
from tests.kit import java, require

STOPPED = 2
_EPILOG = """\
exit codes: 0 all was as it must be, 1 something was not, 2 it could not be played to its end

example:
  python -m tests.chaos --seed 7
  python -m tests.chaos --seed 7 --faults kill,redis-tail --minutes 2 --out build/chaos
"""


def main(arguments: list[str] | None = None) -> int:
    """Play a campaign; return the exit code."""
    args = _parser().parse_args(arguments)
    kafka.quieten()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))  # what was started and mounted is to go with us
    missing = java.missing_kafka() or require.missing_redis()
    if missing:
        print(f"chaos: there is {missing}", file=sys.stderr)
        return STOPPED
    kept = args.out is not None
    out = Path(args.out).resolve() if kept else Path(tempfile.mkdtemp(prefix="foretell-chaos-"))
    if not inspection.free(out):
        print(f"chaos: Expected an empty folder, found {out} with files in it; name another one.", file=sys.stderr)
        return STOPPED
    options = _options(args, out)
    try:
        verdict = _run(options)
    except ForetellError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return STOPPED
    print(verdict.text())
    (out / "verdict.json").write_text(json.dumps(verdict.as_json(), indent=1) + "\n", encoding="utf-8")
    if kept or not verdict.good:
        print(f"logs, captured log and verdict.json are in {out}")
    else:
        shutil.rmtree(out)
    return 0 if verdict.good else 1


def _run(options: Options) -> Verdict:
    begun, tally, rounds = time.monotonic(), Tally(), plan(options)
    print(f"seed {options.seed}: {len(rounds)} rounds; settings: {settings_told(options)}")
    poisoned = any(strike.name == "poison" for item in rounds for strike in item.strikes)
    with staged(options, tally, poisoned=poisoned) as scene:
        campaign.play(scene, rounds)
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)  # millions of small objects that all live on
        checked = inspection.inspect(scene, poisoned=poisoned)
    return Verdict(options, settings_told(options), tally, checked, time.monotonic() - begun)


def _options(args: argparse.Namespace, out: Path) -> Options:
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 31)
    return Options(
        seed=seed,
        out=out,
        minutes=args.minutes,
        records=args.records,
        rate=args.rate or (SHORT_RATE if args.short else RATE),
        partitions=args.partitions,
        faults=tuple(name for name in args.faults.split(",") if name),
        delivery=args.delivery,
        session_timeout_ms=args.session_timeout_ms,
        named=not args.unnamed,
        short=args.short,
        without=args.without,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Play faults against real servers and workers, and prove that nothing is lost, doubled or wrong.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="every decision follows from it (default: a random one, printed)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of faults, about (default 8)")
    parser.add_argument("--records", type=int, default=0, help="go on until so many were acknowledged")
    parser.add_argument("--rate", type=int, default=0, help=f"records a second (default {RATE})")
    parser.add_argument("--partitions", type=int, default=4, help="of the input topic (default 4)")
    parser.add_argument("--faults", default="", metavar="A,B", help=f"of {', '.join(FAULTS)} (default: all)")
    parser.add_argument("--delivery", choices=("exactly_once", "at_least_once"), default="exactly_once")
    parser.add_argument("--session-timeout-ms", type=int, default=4_000, help="of the workers (default 4000)")
    parser.add_argument("--unnamed", action="store_true", help="no worker is a static member of the group")
    parser.add_argument("--out", metavar="DIR", help="an empty folder for logs, the captured log and verdict.json")
    parser.add_argument("--short", action="store_true", help="a handful of the most telling faults")
    parser.add_argument("--without", default="", metavar="NAME", help="switch a protection off (tests.kit.unprotected)")
    return parser
