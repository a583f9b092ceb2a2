"""What the tests of bad operation share: payments, what a worker says of itself, and how it ends."""

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from tests.chunks import NOON
from tests.integration import live
from tests.kit.evidence import differences
from tests.kit.kafka import Kafka
from tests.kit.processes import Ended, Foretell
from tests.kit.records import Message
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
QUICK: Final = {"FORETELL_SESSION_TIMEOUT_MS": "4000", "FORETELL_FLUSH_MS": "200"}
STOPS_IN_S: Final = 10.0
LOGGED_IN_S: Final = 15.0
_CUSTOMERS: Final = 60
_STEP_MS: Final = 30_000
_DAY_MS: Final = 86_400_000
_NEVER_TOLD: Final = re.compile(r"customer-\d{4}|payment-\d-\d{6}|\w+s-password|guessed-it|right-one")


def payments(count: int, seed: int = 0) -> list[Message]:
    """Return records with ids that stand in no log by chance; one in thirty is no JSON."""
    rng, time_ms, found = random.Random(seed), NOON + seed * _DAY_MS, list[Message]()  # noqa: S311  (no secrets)
    for number in range(count):
        time_ms += rng.randrange(_STEP_MS)
        customer = f"customer-{rng.randrange(_CUSTOMERS):04}"
        value = json.dumps(
            {
                "transaction_id": f"payment-{seed}-{number:06}",
                "customer_id": customer,
                "time": time_ms,
                "amount": round(rng.gauss(0, 300), 2),
                "type": rng.choice(["salary", "groceries", "fee"]),
            }
        )
        found.append((customer.encode(), value.encode()[: 60 if number % 30 == 7 else None]))
    return found


def says(worker: Foretell, *texts: str, seconds: float = 30.0) -> str:
    """Wait until a worker is not ready and says so in a sentence that has these texts; return the sentence.

    The sentence says what was expected, what was found, and what to do; it stands in the log as well.
    """
    found: list[str] = []

    def told() -> bool:
        found[:] = [problem for problem in problems(worker) if all(text in problem for text in texts)]
        return bool(found)

    worker.wait_until(told, f"not to be ready, saying {texts}", seconds)
    sentence = found[0]
    assert [part in sentence for part in ("Expected ", " found", ";")] == [True] * 3, sentence
    worker.wait_until(lambda: sentence in worker.output, f"the log to say {sentence!r}", LOGGED_IN_S)
    return sentence


def problems(worker: Foretell) -> list[str]:
    """Return why a worker is not ready, as its page says; nothing where it is or does not answer."""
    if worker.status("/health/ready") != 503:
        return []
    found: list[str] = json.loads(worker.page("/health/ready"))["problems"]
    return found


def stays_unready(worker: Foretell, seconds: float) -> bool:
    """Return whether a worker was not ready at any time of a while, also not for a moment."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if worker.status("/health/ready") != 503:
            return False
        time.sleep(0.01)
    return True


def halt(worker: Foretell, number: signal.Signals = signal.SIGTERM) -> Ended:
    """Tell a worker to stop, as ``kill`` or Ctrl-C does; return how it ended."""
    start = time.monotonic()
    os.kill(worker.pid, number)
    code = worker.wait(30)
    return Ended(time.monotonic() - start, code)


def in_time(ended: Ended) -> bool:
    """Return whether a worker stopped as it should: with exit code 0, and within ten seconds."""
    return ended.code == 0 and ended.seconds < STOPS_IN_S


def faults(kafka: Kafka, topics: Topics, bundle: Bundle) -> list[str]:
    """Return where the output differs from a replay of the input, which all must have been taken in."""
    shelf = Shelf(bundle)
    wanted, found = live.expected(kafka, topics, shelf), live.seen(kafka, topics, shelf)
    assert min(len(wanted.scores), len(wanted.alerts), len(wanted.letters)) > 0
    return differences(wanted, found)


def told_too_much(folder: Path) -> list[str]:
    """Return the ids, keys and passwords that the processes of a test have written into their logs."""
    logs = sorted(folder.glob("foretell-*.log"))
    assert logs, f"no logs in {folder}"
    return [found for log in logs for found in _NEVER_TOLD.findall(log.read_text(encoding="utf-8"))]


def metrics(worker: Foretell) -> dict[str, float]:
    """Return a worker's metrics by name and labels."""
    lines = [line.rsplit(" ", 1) for line in worker.page("/metrics").splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}
