"""Alert rules against a slow, obvious oracle: threshold, hysteresis, cooldown, suppression, and what forgets them."""

from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas import spec_file
from schemas.spec import Rule
from stream_app.bundle import Bundle
from stream_app.kernel.kernel import CUSTOMER, DUPLICATE, FORGET, NOTHING, SCORED, TICK, TRANSACTION
from stream_app.steps import alerts
from stream_app.steps.alerts import Rules
from stream_app.steps.stages import Batch, Fired, Read
from stream_app.steps.texts import Texts
from tests.bundles import random_bundle
from tests.chunks import NOON

SPEC = spec_file.parse(
    """
name = "ruled"
currency = "EUR"
types = [{ name = "other" }]
tasks = [
  { name = "churn", kind = "binary", label = "inactive", horizon_days = 60 },
  { name = "preference", kind = "multiclass", label = "outcome_within", horizon_days = 90, classes = ["none", "loan"] },
]
rules = [
  { name = "plain", task = "churn", threshold = 0.6 },
  { name = "hysteresis", task = "churn", threshold = 0.6, rearm = 0.3 },
  { name = "cooled", task = "churn", threshold = 0.6, rearm = 0.5, cooldown_hours = 2 },
  { name = "below", task = "preference", class = "loan", direction = "below", threshold = 0.2, rearm = 0.4 },
  { name = "feature", feature = "count", threshold = 5.0, rearm = 2.0, cooldown_hours = 1.5 },
]
""",
    "here",
)
HOUR_MS = 3_600_000
CUSTOMERS = 3


@cache
def bundle() -> Bundle:
    with TemporaryDirectory() as folder:
        return random_bundle(Path(folder) / "bundle", SPEC)


@dataclass(frozen=True)
class Item:
    """One item: what it is, whose, when, and what the rules look at."""

    op: int = TRANSACTION
    customer: int = 0
    time: int = NOON
    verdict: int = SCORED
    churn: float = 0.0
    loan: float = 0.9
    count: float = 0.0
    eligible: bool = True


@dataclass
class Memory:
    """What a rule remembers of a customer."""

    armed: bool = True
    last: int | None = None
    suppressed: int = 0


@dataclass
class Oracle:
    """The rules in plain Python, a memory per customer and rule."""

    memory: dict[tuple[int, str], Memory] = field(default_factory=dict)

    def take(self, item: Item) -> list[tuple[str, int]]:
        if item.op == FORGET:
            self.memory = {key: value for key, value in self.memory.items() if key[0] != item.customer}
        if item.verdict != SCORED:
            return []
        fired = []
        for rule in SPEC.rules:
            value = looked_at(rule, item)
            if value is None:
                continue
            memory = self.memory.setdefault((item.customer, rule.name), Memory())
            rearm = rule.threshold if rule.rearm is None else rule.rearm
            holds = value >= rule.threshold if rule.direction == "above" else value <= rule.threshold
            back = value <= rearm if rule.direction == "above" else value >= rearm
            if holds:
                cooling = memory.last is not None and item.time - memory.last < rule.cooldown_hours * HOUR_MS
                if memory.armed and not cooling:
                    fired.append((rule.name, memory.suppressed))
                    self.memory[item.customer, rule.name] = Memory(armed=False, last=item.time)
                else:
                    memory.suppressed += 1
            elif back:
                memory.armed = True
        return fired


def looked_at(rule: Rule, item: Item) -> float | None:
    if rule.feature:
        return item.count
    if not item.eligible:
        return None
    return item.churn if rule.task == "churn" else item.loan


def staged(items: list[Item]) -> tuple[Batch, Read, NDArray[np.float64]]:
    n, scored = len(items), [item for item in items if item.verdict == SCORED]
    layout = bundle().rolling.layout
    features = np.zeros((len(scored), layout.feature_width), np.float32)
    features[:, layout.column["count"]] = [item.count for item in scored]
    verdict = np.array([item.verdict for item in items], np.int64)
    whole = np.zeros(n, np.int64)
    batch = Batch(
        record=np.arange(n),
        op=np.array([item.op for item in items], np.int64),
        customers=Texts.of([b"%d" % item.customer for item in items]),
        transaction_ids=Texts.of([b"t"] * n),
        time_ms=np.array([item.time for item in items], np.int64),
        kind=whole,
        amount=np.zeros(n),
        balance=np.zeros(n),
        id_hash=np.ones((n, 2), np.int64),
        attributes=np.zeros((0, 0)),
    )
    read = Read(
        rows=np.array([item.customer for item in items], np.int64),
        verdict=verdict,
        scored=np.flatnonzero(verdict == SCORED),
        features=features,
        eligible=np.array([[item.eligible] * 2 for item in scored], np.bool_).reshape(-1, 2),
    )
    scores = np.array([[item.churn, 1 - item.loan, item.loan] for item in scored], np.float64).reshape(-1, 3)
    return batch, read, scores


def fired(items: list[Item], matrix: NDArray[np.float32] | None = None) -> list[list[tuple[str, int]]]:
    """Return for each item the rules that fired, each with its suppressions."""
    matrix = bundle().rolling.empty(CUSTOMERS) if matrix is None else matrix
    rules = Rules.of(bundle())
    batch, read, scores = staged(items)
    found: Fired = alerts.fire(batch, read, matrix, scores, rules)
    told: list[list[tuple[str, int]]] = [[] for _ in items]
    for item, rule, suppressed in zip(found.item.tolist(), found.rule.tolist(), found.suppressed.tolist(), strict=True):
        told[int(read.scored[item])].append((rules.names[rule], suppressed))
    return told


def of_rule(name: str, items: list[Item]) -> list[int | None]:
    """Return for each item how many suppressions the rule told when it fired, None where it did not."""
    return [dict(found).get(name) for found in fired(items)]


def churns(*values: float, step_ms: int = 0) -> list[Item]:
    return [Item(churn=value, time=NOON + k * step_ms) for k, value in enumerate(values)]


def test_a_rule_fires_at_its_threshold_exactly_and_not_below() -> None:
    assert of_rule("plain", churns(0.599999, 0.6)) == [None, 0]


def test_a_rule_that_fired_is_silent_until_the_value_has_come_back() -> None:
    assert of_rule("hysteresis", churns(0.7, 0.8, 0.4, 0.7, 0.300001, 0.7, 0.3, 0.7)) == [0, *[None] * 6, 3]


def test_without_rearm_the_threshold_itself_arms_again() -> None:
    assert of_rule("plain", churns(0.6, 0.6, 0.599999, 0.6)) == [0, None, None, 1]


def test_a_cooldown_is_over_at_its_last_millisecond() -> None:
    values = churns(0.7, 0.1, 0.7, 0.1, 0.7)
    times = [0, 1, 2 * HOUR_MS - 1, 2 * HOUR_MS - 1, 2 * HOUR_MS]
    items = [Item(churn=item.churn, time=NOON + time) for item, time in zip(values, times, strict=True)]
    assert of_rule("cooled", items) == [0, None, None, None, 1]


def test_a_rule_below_fires_at_or_below_and_is_armed_again_above() -> None:
    items = [Item(loan=value) for value in (0.21, 0.2, 0.1, 0.39, 0.1, 0.4, 0.2)]
    assert of_rule("below", items) == [None, 0, None, None, None, None, 2]


def test_a_task_that_is_not_asked_neither_fires_nor_arms_nor_counts() -> None:
    items = churns(0.7, 0.1, 0.9, 0.7)
    items[1] = Item(churn=0.1, eligible=False)
    items[2] = Item(churn=0.9, eligible=False)
    assert of_rule("hysteresis", items) == [0, None, None, None]
    assert of_rule("hysteresis", [*items, *churns(0.1, 0.9)])[-1] == 1


def test_a_rule_on_a_feature_does_not_ask_for_eligibility() -> None:
    assert of_rule("feature", [Item(count=5, eligible=False)]) == [0]


def test_duplicates_and_customer_records_do_not_enter_the_memory() -> None:
    others = [Item(churn=0.1, verdict=DUPLICATE), Item(op=CUSTOMER, churn=0.1, verdict=NOTHING)]
    assert of_rule("plain", [*churns(0.7), *others, *churns(0.7)]) == [0, None, None, None]


def test_a_forgotten_customer_starts_anew_and_no_other_does() -> None:
    forget = Item(op=FORGET, verdict=NOTHING)
    other = Item(customer=1, churn=0.7)
    assert of_rule("cooled", [*churns(0.7), other, forget, *churns(0.7), other]) == [0, 0, None, 0, None]


def test_a_tick_fires_and_arms_as_any_other_score() -> None:
    items = [Item(op=TICK, churn=value) for value in (0.7, 0.1, 0.7)]
    assert of_rule("plain", items) == [0, None, 0]


def test_only_the_memory_of_the_rules_is_written() -> None:
    matrix = np.full((CUSTOMERS, bundle().rolling.layout.row_width), 3.0, np.float32)
    start = bundle().rolling.layout.sections["alerts"].start
    fired(churns(0.7, 0.1, 0.9), matrix)
    assert (matrix[:, :start] == 3.0).all()
    assert (matrix[1:] == 3.0).all()


def test_the_memory_of_times_is_exact_at_the_ends_of_time() -> None:
    for first in (631_152_000_000, 7_258_118_400_000 - 3 * HOUR_MS):
        items = [
            Item(churn=c, time=first + ms) for c, ms in ((0.7, 1), (0.1, 2), (0.7, 2 * HOUR_MS), (0.7, 2 * HOUR_MS + 1))
        ]
        assert of_rule("cooled", items) == [0, None, None, 1]


STEPS = st.sampled_from(
    [0, 1, HOUR_MS // 2, HOUR_MS, 90 * 60_000, 2 * HOUR_MS, 2 * HOUR_MS - 1, -HOUR_MS, 400 * 24 * HOUR_MS]
)
VALUES = st.sampled_from([0.0, 0.2, 0.3, 0.300001, 0.4, 0.5, 0.599999, 0.6, 0.9])


@st.composite
def histories(draw: st.DrawFn) -> list[Item]:
    items, time = [], NOON
    for _ in range(draw(st.integers(1, 40))):
        time += draw(STEPS)
        op = draw(st.sampled_from([TRANSACTION] * 6 + [TICK, TICK, FORGET, CUSTOMER]))
        verdict = SCORED
        if op == FORGET:
            verdict = NOTHING
        elif draw(st.integers(0, 9)) == 0:
            verdict = DUPLICATE if op == TRANSACTION else NOTHING
        items.append(
            Item(
                op=op,
                customer=draw(st.integers(0, CUSTOMERS - 1)),
                time=time,
                verdict=verdict,
                churn=draw(VALUES),
                loan=draw(VALUES),
                count=draw(st.sampled_from([0.0, 2.0, 4.0, 5.0])),
                eligible=draw(st.sampled_from([True, True, True, False])),
            )
        )
    return items


@given(histories())
def test_every_history_fires_as_in_plain_python(items: list[Item]) -> None:
    oracle = Oracle()
    assert fired(items) == [oracle.take(item) for item in items]


@given(histories(), st.integers(1, 40))
def test_no_cut_changes_an_alert_or_the_memory(items: list[Item], size: int) -> None:
    whole, cut = bundle().rolling.empty(CUSTOMERS), bundle().rolling.empty(CUSTOMERS)
    told = [fired(items[k : k + size], cut) for k in range(0, len(items), size)]
    assert fired(items, whole) == list(chain.from_iterable(told))
    assert whole.tobytes() == cut.tobytes()


def test_counts_stop_where_float32_does() -> None:
    matrix = bundle().rolling.empty(CUSTOMERS)
    fired(churns(0.7), matrix)
    start = bundle().rolling.layout.sections["alerts"].start
    matrix[0, start + 3] = 16_777_215
    fired(churns(0.7, 0.7, 0.7), matrix)
    assert matrix[0, start + 3] == 16_777_216
