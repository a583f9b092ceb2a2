"""Logs for the kernel's tests, drawn by Hypothesis or by a seed, and the comparison of features with the reference.

``python -m tests.properties.kernel_cases ITEMS SPEC …`` prints the digest of each spec's seeded log.
"""

import hashlib
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

import msgspec
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.accepted import EARLIEST_MS, LATEST_MS
from schemas.spec_file import bank, parse
from stream_app.kernel import kernel
from stream_app.kernel.layout import Layout
from stream_app.kernel.plan import split_time
from stream_app.kernel.rolling import Rolling
from tests.properties.reference import DAY_MS, HOUR_MS, Item, Value

CUSTOMERS: Final = 3
OFFSETS: Final = (0, 330, -480)
SMALL: Final = """
name = "small"
currency = "EUR"
window_hours = [1, 3, 24]
window_days = [1, 30]
decay_days = [0.5, 30, 365]
score_on_customer = true
types = [{ name = "pay" }, { name = "fee", initiator = "bank" }, { name = "other" }]
attributes = [
  { name = "income", kind = "number" },
  { name = "level", kind = "category", values = ["low", "high"] },
  { name = "score", kind = "number", at_most = 1000 },
]
tasks = [{ name = "churn", kind = "binary", label = "inactive", horizon_days = 30 }]
"""


RECURRING: Final = """
name = "recurring"
currency = "EUR"
window_hours = [24]
window_days = [7]
decay_days = [30]
due_every = ["month", "7d", "31d"]
types = [{ name = "rent" }, { name = "fee", initiator = "bank" }, { name = "pay" }, { name = "other" }]
tasks = [{ name = "churn", kind = "binary", label = "inactive", horizon_days = 30 }]
"""


@lru_cache
def rolling(name: str, utc_offset_minutes: int = 0) -> Rolling:
    """Return the rolling features of the spec ``small``, ``recurring`` or ``bank`` at an offset."""
    spec = bank() if name == "bank" else parse({"small": SMALL, "recurring": RECURRING}[name], "the tests")
    return Rolling.of(msgspec.structs.replace(spec, utc_offset_minutes=utc_offset_minutes))


@dataclass(frozen=True)
class Move:
    """A time relative to a customer's newest item: some ms away, or that many tiles ahead and ms off an edge."""

    ms: int
    tiles: int = 0
    width: int = 0

    def place(self, newest: int, utc_offset_minutes: int) -> int:
        """Return the epoch ms, within what is accepted."""
        time = newest + self.ms
        if self.width:
            shift = utc_offset_minutes * 60_000
            time = ((newest + shift) // self.width + self.tiles) * self.width - shift + self.ms
        return min(max(time, EARLIEST_MS), LATEST_MS - 1)


@dataclass(frozen=True)
class Draft:
    """An item whose time and id are still relative; ``again`` = k repeats the k-th last id, 0 takes a new one."""

    op: Literal["transaction", "customer", "forget", "tick"]
    customer: int
    move: Move
    kind: int
    amount: float
    balance: float | None
    again: int
    attributes: dict[str, Value] = field(default_factory=dict)


OPS: Final = ("transaction",) * 20 + ("tick",) * 3 + ("customer",) * 2 + ("forget",)
_STEPS: Final = (HOUR_MS, 23 * HOUR_MS, DAY_MS, 29 * DAY_MS, 30 * DAY_MS, 31 * DAY_MS, 62 * DAY_MS)
JUMPS: Final = (*_STEPS, *(-step for step in _STEPS), 63 * DAY_MS, 400 * DAY_MS, 4000 * DAY_MS)
HOUR_TILES: Final = (0, -25, -24, -23, -22, -2, -1, 1, 2, 23, 24, 25)
DAY_TILES: Final = (0, -31, -30, -29, -28, -2, -1, 1, 2, 28, 29, 30, 31, 62, 63)
AMOUNTS: Final = (1e12, -1e12, 0.0, -0.0, 0.01, -0.01, -19.99, 1e-19, -1e-30, 5e-324, 123_456_789.12)
STARTS: Final = (
    EARLIEST_MS,  # 1990-01-01T00:00Z
    1_709_164_799_999,  # 2024-02-28T23:59:59.999Z, before a leap day
    1_706_659_200_000,  # 2024-01-31T00:00Z, whose anniversary February does not have
    1_703_980_800_000,  # 2023-12-31T00:00Z, a Sunday
    LATEST_MS - 90 * DAY_MS,
)


def moves() -> st.SearchStrategy[Move]:
    """Draw moves: the same ms, around it, ahead, late, far, and around the edges of tiles."""
    return st.one_of(
        st.builds(Move, st.sampled_from((0, 1, -1))),
        st.builds(Move, st.integers(0, 2 * HOUR_MS)),
        st.builds(Move, st.integers(-30 * HOUR_MS, 30 * HOUR_MS)),
        st.builds(Move, st.integers(-40 * DAY_MS, 70 * DAY_MS)),
        st.builds(Move, st.sampled_from(JUMPS)),
        st.builds(Move, st.integers(-1, 1), st.sampled_from(HOUR_TILES), st.just(HOUR_MS)),
        st.builds(Move, st.integers(-1, 1), st.sampled_from(DAY_TILES), st.just(DAY_MS)),
    )


def amounts() -> st.SearchStrategy[float]:
    """Draw amounts: cents, the largest and the smallest, and any other."""
    return st.one_of(
        st.integers(-500_000, 500_000).map(lambda cents: cents / 100),
        st.sampled_from(AMOUNTS),
        st.floats(-1e12, 1e12),
    )


def attributes() -> st.SearchStrategy[dict[str, Value]]:
    """Draw what a customer record of either spec says; names that a spec lacks are left out on encoding."""
    numbers = st.sampled_from((None, 0.0, 1.0, 54_321.5, 1e12))
    return st.fixed_dictionaries(
        {},
        optional={
            "income": numbers,
            "score": st.sampled_from((None, 0.0, 999.9)),
            "level": st.sampled_from((None, "low", "high")),
            "risk_level": st.sampled_from((None, "low", "medium", "high")),
            "has_loan": st.sampled_from((None, "no", "yes")),
        },
    )


def logs(features: Rolling, most: int) -> st.SearchStrategy[list[Item]]:
    """Draw logs of several customers mixed, of at most that many items."""
    draft = st.builds(
        Draft,
        st.sampled_from(OPS),
        st.integers(0, CUSTOMERS - 1),
        moves(),
        st.integers(0, len(features.layout.spec.types) - 1),
        amounts(),
        st.none() | amounts(),
        st.sampled_from((0, 0, 0, 0, 0, 0, 1, 2, 7, 8, 9)),
        attributes(),
    )
    start = st.sampled_from(STARTS) | st.integers(EARLIEST_MS, LATEST_MS - 800 * DAY_MS)
    return st.builds(build, st.just(features.layout), start, st.lists(draft, min_size=1, max_size=most))


def seeded_log(features: Rolling, size: int, seed: int = 0) -> list[Item]:
    """Return a log in which everything happens, always the same for a seed."""
    rng = random.Random(seed)  # noqa: S311  (a test's)
    numbers: tuple[Value, ...] = (None, 0.0, 12_345.6)
    drafts = []
    for _ in range(size):
        move = rng.choices(
            (
                Move(0),
                Move(round(rng.expovariate(1 / (5 * HOUR_MS)))),
                Move(-round(rng.expovariate(1 / (20 * HOUR_MS)))),
                Move(rng.randint(-1, 1), rng.choice(HOUR_TILES), HOUR_MS),
                Move(rng.randint(-1, 1), rng.choice(DAY_TILES), DAY_MS),
                Move(rng.choice(JUMPS[:-1])),
            ),
            (5, 60, 10, 5, 5, 1),
        )[0]
        amount = rng.choices((round(rng.gauss(0, 200), 2), rng.choice(AMOUNTS)), (20, 1))[0]
        attribute: dict[str, Value] = {name: rng.choice(numbers) for name in ("income", "score")}
        attribute["level"] = rng.choice((None, "low", "high"))
        drafts.append(
            Draft(
                rng.choices(("transaction", "tick", "customer", "forget"), (300, 30, 20, 1))[0],
                rng.randrange(CUSTOMERS),
                move,
                rng.randrange(len(features.layout.spec.types)),
                amount,
                rng.choice((None, amount / 3)),
                rng.choice((0,) * 20 + (1, 7, 8, 9)),
                {name: value for name, value in attribute.items() if rng.random() < 0.7},
            )
        )
    return build(features.layout, 1_600_000_000_000, drafts)


HABITS: Final = (0, HOUR_MS, *(k * DAY_MS for k in (1, 1, 1, 2, 2, 3, 7, 28, 29, 31, 100, -1, -30, -95, -96, -97)))


def habits(size: int, seed: int = 0) -> list[Item]:
    """Return a log of customers who do the same again after days, weeks and months, for the spec ``recurring``."""
    rng = random.Random(seed)  # noqa: S311  (a test's)
    time, items = rng.choice(STARTS), list[Item]()
    for n in range(size):
        time = max(time + rng.choice((*HABITS, DAY_MS, 2 * DAY_MS, 7 * DAY_MS)), EARLIEST_MS)
        op: Literal["transaction", "tick"] = rng.choice(("transaction", "transaction", "transaction", "tick"))
        items.append(Item(op, rng.randrange(CUSTOMERS), min(time, LATEST_MS - 1), rng.randrange(4), -20.0, None, n + 1))
    return items


def build(layout: Layout, start: int, drafts: Sequence[Draft]) -> list[Item]:
    """Give drafts their times and ids."""
    names = {item.name for item in layout.spec.attributes}
    newest = dict.fromkeys(range(CUSTOMERS), start)
    accepted: dict[int, list[int]] = {customer: [] for customer in range(CUSTOMERS)}
    result = []
    for draft in drafts:
        customer = draft.customer
        time = draft.move.place(newest[customer], layout.spec.utc_offset_minutes)
        ids = accepted[customer]
        repeated = 0 < draft.again <= len(ids)
        transaction = ids[-draft.again] if repeated else len(ids) + 1
        if draft.op == "transaction":
            newest[customer] = max(newest[customer], time)
            if not repeated or draft.again > 8:
                ids.append(transaction)
        given = {name: value for name, value in draft.attributes.items() if name in names}
        result.append(Item(draft.op, customer, time, draft.kind, draft.amount, draft.balance, transaction, given))
    return result


def encode(layout: Layout, items: Sequence[Item]) -> kernel.Items:
    """Return items as the kernel's arrays; customer k has row k."""
    ops = {"transaction": kernel.TRANSACTION, "customer": kernel.CUSTOMER, "forget": kernel.FORGET, "tick": kernel.TICK}
    hour, ms = split_time(np.array([item.time for item in items], np.int64), layout.spec.utc_offset_minutes)
    # An odd factor maps ids one to one onto 48 bits that fill both halves.
    hashes = [item.transaction * 0x9E3779B97F4A7C15 % 2**48 for item in items]
    records = [_attributes(layout, item) for item in items if item.op == "customer"]
    return kernel.Items(
        op=np.array([ops[item.op] for item in items], np.int64),
        row=np.array([item.customer for item in items], np.int64),
        hour=hour,
        ms=ms,
        kind=np.array([item.kind for item in items], np.int64),
        amount=np.array([item.amount for item in items], np.float64),
        balance=np.array([np.nan if item.balance is None else item.balance for item in items], np.float64),
        id_hash=np.array([divmod(number, 2**24) for number in hashes], np.int64).reshape(-1, 2),
        attributes=np.array(records, np.float64).reshape(len(records), len(layout.spec.attributes)),
        read_customers=np.array([layout.spec.score_on_customer], np.int64),
    )


def _attributes(layout: Layout, item: Item) -> list[float]:
    row = []
    for attribute in layout.spec.attributes:
        value = item.attributes.get(attribute.name)
        if attribute.name not in item.attributes:
            row.append(kernel.UNCHANGED)
        elif value is None:
            row.append(kernel.UNKNOWN)
        else:
            row.append(float(attribute.values.index(value)) if isinstance(value, str) else value)
    return row


@dataclass(frozen=True)
class Result:
    """Rows and features after a log; what was not scored has zeros for features."""

    state: NDArray[np.float32]
    features: NDArray[np.float32]
    verdict: NDArray[np.int64]

    def digest(self) -> str:
        """Return the sha256 of all bytes."""
        parts = (self.state, self.features, self.verdict)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def run(features: Rolling, items: Sequence[Item], cuts: Sequence[int] = ()) -> Result:
    """Take a log from empty rows, in chunks that end at ``cuts``."""
    state = features.empty(CUSTOMERS)
    edges = sorted({0, *cuts, len(items)})
    chunks = [features.step(state, encode(features.layout, items[a:b])) for a, b in pairwise(edges)]
    out = np.concatenate([chunk[0] for chunk in chunks])
    verdict = np.concatenate([chunk[1] for chunk in chunks])
    out[verdict != kernel.SCORED] = 0
    return Result(state, out, verdict)


def digest(name: str, size: int) -> str:
    """Return the digest of a spec's seeded log."""
    features = rolling(name, 330)
    return run(features, seeded_log(features, size)).digest()


if __name__ == "__main__":
    for spec in sys.argv[2:]:
        sys.stdout.write(digest(spec, int(sys.argv[1])) + "\n")
