"""What leaves: messages that say what was scored, bands on the emitted six decimals, alerts, dead letters."""

import hashlib
import json
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from schemas import spec_file
from schemas.accepted import Reason, Rejection
from schemas.messages import Score
from stream_app.bundle import Bundle
from stream_app.kernel.kernel import CUSTOMER, SCORED, TICK, TRANSACTION
from stream_app.steps import encode, numbers
from stream_app.steps.encode import LARGEST_DEAD_LETTER, ScoreEncoder, Scores
from stream_app.steps.stages import Batch, Chunk, Fired, Read
from stream_app.steps.texts import Texts
from tests.bundles import random_bundle
from tests.chunks import NOON, chunk

SPEC = spec_file.parse(
    r"""
name = "banded"
currency = "EUR"
types = [{ name = "other" }]
rules = [{ name = "alarm", task = "churn", threshold = 0.6, severity = "high" }]
[[tasks]]
name = "churn"
kind = "binary"
label = "inactive"
horizon_days = 60
bands = [{ name = "low" }, { name = "medium", at_least = 0.2 }, { name = "high", at_least = 0.6 }]
[[tasks]]
name = "preference"
kind = "multiclass"
label = "outcome_within"
horizon_days = 90
classes = ["none", "a \"loan\" é"]
[[tasks]]
name = "value"
kind = "value"
label = "outflow"
horizon_days = 60
""",
    "here",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose bands are those of the spec."""
    made = random_bundle(tmp_path_factory.mktemp("encode") / "bundle", SPEC)
    assert [band.at_least for band in made.manifest.bands["churn"]] == [None, 0.333333, 0.666667]
    return made


def encoded(
    bundle: Bundle, values: list[list[float]], op: int = TRANSACTION, *, eligible: bool = True, name: str = "c"
) -> tuple[Scores, Chunk]:
    n, layout = len(values), bundle.rolling.layout
    whole = np.zeros(n, np.int64)
    batch = Batch(
        record=np.arange(n),
        op=np.full(n, op, np.int64),
        customers=Texts.of([name.encode()] * n),
        transaction_ids=Texts.of([b"t-%d" % k if op == TRANSACTION else b"" for k in range(n)]),
        time_ms=np.full(n, NOON, np.int64),
        kind=whole,
        amount=np.zeros(n),
        balance=np.zeros(n),
        id_hash=np.ones((n, 2), np.int64),
        attributes=np.zeros((0, 0)),
    )
    read = Read(
        rows=whole,
        verdict=np.full(n, SCORED, np.int64),
        scored=np.arange(n),
        features=np.zeros((n, layout.feature_width), np.float32),
        eligible=np.full((n, 3), eligible, np.bool_),
    )
    records = chunk(*[b"{}"] * n, first_offset=40)
    scores = numbers.six_decimals(np.array(values, np.float32).reshape(n, 4))
    return ScoreEncoder(bundle, "transactions", 0)(batch, read, scores, records), records


def messages(scores: Scores) -> list[Score]:
    content = scores.messages.tobytes()
    return [msgspec.json.decode(content[a:b], type=Score) for a, b in pairwise(scores.starts)]


def test_a_score_says_what_was_scored_by_which_bundle(bundle: Bundle) -> None:
    [score] = messages(encoded(bundle, [[0.25, 0.75, 0.25, 1234.5]])[0])
    assert (score.score_id, score.kind, score.transaction_id) == ("transactions-0-40", "transaction", "t-0")
    assert (score.customer_id, score.time, score.late) == ("c", NOON, False)
    assert (score.bundle, score.layout) == (bundle.sha256[:16], bundle.manifest.layout)
    assert list(score.tasks) == ["churn", "preference", "value"]


def test_each_kind_of_task_has_its_own_fields(bundle: Bundle) -> None:
    loan = 'a "loan" é'
    scores, _ = encoded(bundle, [[0.25, 0.25, 0.75, 1234.5]])
    assert msgspec.json.decode(scores.messages.tobytes())["tasks"] == {
        "churn": {"eligible": True, "score": 0.25, "band": "low"},
        "preference": {
            "eligible": True,
            "score": 0.75,
            "choice": loan,
            "probabilities": {"none": 0.25, loan: 0.75},
        },
        "value": {"eligible": True, "score": 1234.5},
    }


def test_a_task_that_is_not_asked_says_only_that(bundle: Bundle) -> None:
    scores, _ = encoded(bundle, [[0.9, 0.25, 0.75, 1.0]], eligible=False)
    assert json.loads(scores.messages.tobytes())["tasks"] == {
        name: {"eligible": False} for name in ("churn", "preference", "value")
    }


@pytest.mark.parametrize("name", ["c", "é𝄞\u2028", '"\\', "\x01\n\x7f", "x" * 256, "transactions-0-1"])
def test_a_tick_names_the_customer_in_its_id_and_no_transaction(bundle: Bundle, name: str) -> None:
    [score] = messages(encoded(bundle, [[0.1, 0.5, 0.5, 0.0]], TICK, name=name)[0])
    assert (score.score_id, score.kind, score.transaction_id) == (f"transactions-0-40-{name}", "tick", None)
    assert score.customer_id == name


def test_a_customer_record_gives_a_score_of_its_own_kind(bundle: Bundle) -> None:
    [score] = messages(encoded(bundle, [[0.1, 0.5, 0.5, 0.0]], CUSTOMER)[0])
    assert (score.score_id, score.kind, score.transaction_id) == ("transactions-0-40", "customer", None)


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (0.0, "low"),
        (0.3333324, "low"),
        (0.3333326, "medium"),  # below the bound as a float, at it in six decimals
        (0.333333, "medium"),
        (0.6666664, "medium"),
        (0.6666666, "high"),
        (1.0, "high"),
    ],
)
def test_bands_are_decided_on_the_emitted_six_decimals(bundle: Bundle, score: float, band: str) -> None:
    [message] = messages(encoded(bundle, [[score, 0.5, 0.5, 0.0]])[0])
    task = message.tasks["churn"]
    assert task.band == band
    bounds = {item.name: item.at_least or 0.0 for item in bundle.manifest.bands["churn"]}
    assert task.score is not None
    assert task.score >= bounds[band]


def test_the_first_of_equally_probable_classes_is_chosen(bundle: Bundle) -> None:
    [message] = messages(encoded(bundle, [[0.0, 0.49999999, 0.5, 0.0]])[0])
    assert message.tasks["preference"].choice == "none"


def test_the_largest_numbers_of_a_network_stay_numbers(bundle: Bundle) -> None:
    values = [[0.0, 1.0, 0.0, x] for x in (3e38, -3e38, np.inf, 1e12, -1e-7)]
    scores = [item.tasks["value"].score for item in messages(encoded(bundle, values)[0])]
    assert scores == pytest.approx([9.2e12, -9.2e12, 9.2e12, 999_999_995_904.0, 0.0])


def test_messages_agree_with_the_columns(bundle: Bundle) -> None:
    rng = np.random.default_rng(1)
    values: NDArray[np.float64] = rng.random((50, 4))
    scores, _ = encoded(bundle, values.tolist())
    for k, message in enumerate(messages(scores)):
        probabilities = message.tasks["preference"].probabilities
        assert probabilities is not None
        found = [message.tasks["churn"].score, *probabilities.values(), message.tasks["value"].score]
        assert found == scores.values[k].tolist()


def test_no_scored_item_gives_no_message(bundle: Bundle) -> None:
    scores, _ = encoded(bundle, [])
    assert (len(scores.messages), scores.starts.tolist()) == (0, [0])


def test_an_alert_names_its_score_and_its_rule(bundle: Bundle) -> None:
    scores, records = encoded(bundle, [[0.1, 0.5, 0.5, 0.0], [0.7, 0.5, 0.5, 0.0]])
    fired = Fired(np.array([1]), np.array([0]), np.array([0.7]), np.array([3]))
    [alert] = encode.alerts(fired, [()], scores, records)
    assert msgspec.to_builtins(alert) == {
        "alert_id": "transactions-0-41-alarm",
        "score_id": "transactions-0-41",
        "customer_id": "c",
        "time": NOON,
        "rule": "alarm",
        "task": "churn",
        "score": 0.7,
        "threshold": 0.6,
        "severity": "high",
        "suppressed": 3,
        "bundle": bundle.short,
    }


def test_the_score_id_of_an_alert_is_that_of_the_message(bundle: Bundle) -> None:
    for op in (TRANSACTION, CUSTOMER, TICK):
        scores, records = encoded(bundle, [[0.7, 0.5, 0.5, 0.0]], op, name="é")
        assert encode.score_id(scores, 0, records) == messages(scores)[0].score_id


def letter(value: bytes | None, key: bytes | None = b"c", detail: str = "why") -> encode.DeadLetter:
    [found] = encode.dead_letters(
        [Rejection(1, Reason.AMOUNT, detail)], chunk(b"{}", value, keys=[None, key], first_offset=6)
    )
    return found


@pytest.mark.parametrize("value", [b"", b"\xff\0", None, b"x" * LARGEST_DEAD_LETTER])
@pytest.mark.parametrize("key", [b"c", b"", b"\xff", None])
def test_a_dead_letter_is_the_record_unchanged_with_reason_and_place(value: bytes | None, key: bytes | None) -> None:
    found = letter(value, key)
    assert (found.key, found.value) == (key, value)
    assert dict(found.headers) == {
        "reason": b"amount",
        "detail": b"why",
        "topic": b"transactions",
        "partition": b"0",
        "offset": b"7",
    }


def test_a_larger_record_is_cut_to_64_kib_with_its_length_and_sha256() -> None:
    value = bytes(range(256)) * 257
    found = letter(value)
    assert found.value == value[:65_536]
    headers = dict(found.headers)
    assert (headers["length"], headers["sha256"]) == (b"65792", hashlib.sha256(value).hexdigest().encode())


def test_a_long_detail_is_cut_between_characters() -> None:
    detail = dict(letter(b"", detail="x" + "é" * 1000).headers)["detail"]
    assert len(detail) == 1023
    assert detail.decode() == "x" + "é" * 511
