"""The heavy work of a demo, each piece in a process of its own that tells how far it is.

    python -m training.demo.jobs JOB

A job is one line of JSON, and so is each line of news on standard output. What else libraries print there is none.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import EXIT_OK, ForetellError

_EVERY_S: Final = 0.1


class Simulate(msgspec.Struct, frozen=True, tag=True):
    """Write the interchange folder of a simulated bank."""

    out: str
    seed: int
    customers: int
    months: int


class Train(msgspec.Struct, frozen=True, tag=True):
    """Learn a bundle from an interchange folder."""

    data: str
    out: str
    seed: int
    epochs: int


class Rehearse(msgspec.Struct, frozen=True, tag=True):
    """Replay a folder and choose whom to watch; the result is written beside the replay's files."""

    data: str
    bundle: str
    out: str
    partitions: int
    paced: int


Job = Simulate | Train | Rehearse


class Step(msgspec.Struct, frozen=True, tag=True):
    """So much of a part of the work is done."""

    part: str
    done: int
    total: int
    text: str = ""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It cannot be done, for a reason that is told in one sentence."""

    sentence: str
    exit_code: int


News = Step | Failed
_news: Final = msgspec.json.Decoder(News)


def news(line: bytes) -> News | None:
    """Return what a line of a job's output tells, None where it is no news."""
    try:
        told: News = _news.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return told


class Teller:
    """Progress as lines of news, some a second."""

    def __init__(self) -> None:
        """Tell nothing yet."""
        self._part, self._told_s = "", 0.0

    def step(self, phase: str, done: int, total: int, text: str = "") -> None:
        """Tell how far it is, if that is news."""
        now = time.monotonic()
        if phase != self._part or done >= total or now - self._told_s >= _EVERY_S:
            self._part, self._told_s = phase, now
            _tell(Step(phase, done, total, text))


def run(job: Job) -> None:
    """Do a job.

    Raises:
        ForetellError: it cannot be done.
    """
    match job:
        case Simulate():
            from training.datasets.simulator import BankSimulator  # noqa: PLC0415  (each job loads what it needs alone)

            BankSimulator(job.seed, job.customers, job.months).write(Path(job.out), Teller())
        case Train():
            _train(job)
        case Rehearse():
            from training.demo.rehearsal import rehearse  # noqa: PLC0415  (as above)

            rehearse(job, Teller())


def _train(job: Train) -> None:
    from stream_app.offline.folder import read_folder  # noqa: PLC0415  (as in `run`)
    from training.learn import learn  # noqa: PLC0415
    from training.prepare import Options  # noqa: PLC0415
    from training.quiet import quiet  # noqa: PLC0415
    from training.recipe import QUICK  # noqa: PLC0415

    teller = Teller()
    teller.step("loading TensorFlow", 0, 1)
    with quiet():
        from training import trainer  # noqa: F401, PLC0415  (it takes its time, and who waits is to know for what)
    folder = read_folder(Path(job.data))
    learn(folder, folder.spec, Path(job.out), Options(seed=job.seed, recipe=replace(QUICK, epochs=job.epochs)), teller)


def main(argument: str) -> int:
    """Do the job that is written in an argument; return the exit code."""
    try:
        run(msgspec.json.decode(argument, type=Job))
    except ForetellError as error:
        _tell(Failed(str(error), error.exit_code))
        return error.exit_code
    return EXIT_OK


def _tell(told: News) -> None:
    print(msgspec.json.encode(told).decode(), flush=True)  # noqa: T201  (another process reads it)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
