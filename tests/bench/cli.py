"""The command: which scenarios, how often, what comes out."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tests.bench import startup
from tests.bench.baselines.run import LEAST_SHARE, baseline, name_of
from tests.bench.drain import drain
from tests.bench.figures import Report, Sample, collected, machine, slower, speed, table
from tests.bench.generator import Workload
from tests.bench.growth import growth
from tests.bench.latency import latency, warm_up
from tests.bench.learning import learning
from tests.bench.million import million
from tests.bench.passthrough import NAME as PASSTHROUGH
from tests.bench.passthrough import passthrough
from tests.bench.place import Place, opened
from tests.bench.rebuild import rebuild
from tests.bench.replay import replayed
from tests.bench.stages import stages

MODES: Final = ("exactly_once", "at_least_once")
WARM_RATE: Final = 5_000
LEAST_PASSTHROUGH: Final = 200_000
"""Events/s without decoding: where a machine does less, its latencies tell of it and not of us."""


class Sizes(NamedTuple):
    """How much is measured."""

    records: int
    baseline_records: int
    customers: tuple[int, ...]
    rates: tuple[int, ...]
    seconds: float
    warm_s: float
    million: int
    bank: int


QUICK: Final = Sizes(200_000, 20_000, (20_000,), (5_000,), 10.0, 30.0, 0, 300)
FULL: Final = Sizes(
    1_000_000, 60_000, (20_000, 200_000, 1_000_000), (1_000, 5_000, 20_000), 30.0, 90.0, 1_000_000, 2_000
)


def _passthrough(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from passthrough(place, Workload(20_000, sizes.records, 1.1))


def _drain(place: Place, sizes: Sizes) -> Iterator[Sample]:
    for delivery in MODES:
        for customers in sizes.customers:
            for zipf in (1.1, 0.0) if len(sizes.customers) > 1 else (1.1,):
                yield from drain(place, Workload(customers, sizes.records, zipf), delivery)


def _baselines(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from baseline(place, Workload(20_000, sizes.baseline_records, 1.1), "engineer")
    yield from baseline(place, Workload(20_000, sizes.baseline_records // 4, 1.1), "tutorial")


def _latency(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from warm_up(place, Workload(20_000, 0, 1.1), WARM_RATE, sizes.warm_s)
    for delivery in MODES:
        for rate in sizes.rates:
            yield from latency(place, Workload(20_000, 0, 1.1), delivery, rate, sizes.seconds)


def _partitions(place: Place, sizes: Sizes) -> Iterator[Sample]:
    for partitions in (4, 16, 64) if len(sizes.customers) > 1 else ():
        work = Workload(20_000, sizes.records, 1.1, partitions)
        for sample in drain(place, work, MODES[0]):
            yield sample._replace(name=f"{partitions} partitions: {sample.name}")


def _startup(place: Place, _: Sizes) -> Iterator[Sample]:
    yield from startup.startup(place)


def _rebuild(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from rebuild(place, Workload(20_000, sizes.records, 1.1))


def _replay(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from replayed(place, Workload(20_000, sizes.records, 1.1))


def _stages(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from stages(place.bundle, Workload(20_000, max(sizes.records // 2, 60_000), 1.1, partitions=1))


def _growth(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from growth(place, max(sizes.records // 5, 40_000))


def _million(place: Place, sizes: Sizes) -> Iterator[Sample]:
    if sizes.million:
        yield from million(place, sizes.million, WARM_RATE, sizes.seconds)


def _learning(place: Place, sizes: Sizes) -> Iterator[Sample]:
    yield from learning(place.folder / "learning", sizes.bank)


SCENARIOS: Final[dict[str, Callable[[Place, Sizes], Iterator[Sample]]]] = {
    "passthrough": _passthrough,
    "drain": _drain,
    "baselines": _baselines,
    "latency": _latency,
    "replay": _replay,
    "rebuild": _rebuild,
    "stages": _stages,
    "startup": _startup,
    "partitions": _partitions,
    "growth": _growth,
    "million": _million,
    "learning": _learning,
}


def ratios(samples: list[Sample]) -> tuple[list[Sample], list[str]]:
    """Return what follows from the rates of one run, and why a ratio is void."""
    rate = {sample.name: sample.value for sample in samples if sample.unit == "events/s"}
    limit, engineer = rate.get(PASSTHROUGH), rate.get(name_of("engineer"))
    ours = {name: value for name, value in rate.items() if name.startswith("drain")}
    found, notes = list[Sample](), list[str]()
    if limit:
        found += [Sample(f"{name} / pass-through", value / limit, "", "higher") for name, value in ours.items()]
    if limit and engineer and engineer < LEAST_SHARE * limit:
        notes.append(
            f"void: Faust the engineer way reached {engineer / limit:.2%} of the pass-through, "
            f"expected {LEAST_SHARE:.1%}"
        )
    elif limit and engineer:
        found += [Sample(f"{name} / Faust", value / engineer, "", "higher") for name, value in ours.items()]
    if limit and limit < LEAST_PASSTHROUGH:
        notes.append(f"void: latencies beside a pass-through of {limit:,.0f}/s, expected {LEAST_PASSTHROUGH:,}/s")
    return found, notes


def main() -> int:
    """Measure, print and write; return 1 where something has become slower than in the report to compare with."""
    args = _parser().parse_args()
    sizes = QUICK if args.quick else FULL
    if args.records:
        sizes = sizes._replace(records=args.records, baseline_records=min(args.records, sizes.baseline_records))
    if args.seconds:
        sizes = sizes._replace(seconds=args.seconds)
    if args.million:
        sizes = sizes._replace(million=args.million)
    samples, notes = list[Sample](), list[str]()
    with tempfile.TemporaryDirectory() as temporary, opened(Path(temporary), args.bundle) as place:
        for _ in range(args.runs or (1 if args.quick else 5)):
            ran = list[Sample]()
            for name in args.only or SCENARIOS:
                ran.append(Sample(f"machine before {name}", speed(), "M logarithms/s"))
                for sample in SCENARIOS[name](place, sizes):
                    print(f"{sample.name}: {sample.value:,.4g} {sample.unit}", flush=True)
                    ran.append(sample)
            found, void = ratios(ran)
            samples += ran + found
            notes += void
    options = {name: str(value) for name, value in vars(args).items()}
    report = Report(machine(), options, collected(samples), tuple(notes))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    print(f"\n{table(report)}\n\nwritten to {args.out}")
    worse = slower(msgspec.json.decode(args.compare.read_bytes(), type=Report), report) if args.compare else []
    for line in worse:
        print(f"slower: {line}")
    return int(bool(worse))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most five minutes")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--runs", type=int, help="how often (default 5, with --quick 1)")
    parser.add_argument("--records", type=int, help="of a drain")
    parser.add_argument("--seconds", type=float, help="of a measurement of latency")
    parser.add_argument("--million", type=int, metavar="N", help="customers of the scenario of that name")
    parser.add_argument("--bundle", type=Path, help="of the built-in bank spec; default: random weights")
    parser.add_argument("--out", type=Path, default=Path(".cache/bench/report.json"))
    parser.add_argument("--compare", type=Path, metavar="REPORT", help="tell what is slower than there")
    return parser
