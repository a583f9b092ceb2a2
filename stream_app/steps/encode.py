"""Scores, alerts and rejections to the bytes that leave: messages for the three output topics."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import codec
from schemas.accepted import Reason, Rejection
from schemas.messages import Alert, AlertReason
from stream_app.bundle import Bundle
from stream_app.kernel import kernel
from stream_app.steps.numbers import IS_TICK, IS_TRANSACTION, KIND, LATE, OFFSET, TASKS, TIME, Outputs, number
from stream_app.steps.stages import Batch, Chunk, Fired, Read, Whole
from stream_app.steps.texts import Texts, readable
from stream_app.steps.writer import Program, Writer

LARGEST_DEAD_LETTER: Final = 65_536
_LONGEST_DETAIL: Final = 1024
_KINDS: Final = {kernel.TRANSACTION: 0, kernel.CUSTOMER: 1, kernel.TICK: 2}


@dataclass(frozen=True, slots=True)
class Scores:
    """The scored items of a batch, as columns and as messages.

    Attributes:
        bundle: whose scores they are.
        record: int64 [m], index of the record in the chunk.
        customers: ids in UTF-8: the keys of the messages.
        transaction_ids: in UTF-8, empty where there is none.
        kind: int64 [m], 0 transaction, 1 customer, 2 tick.
        time_ms: int64 [m], event time.
        late: bool [m].
        eligible: bool [m, tasks].
        values: float64 [m, score width], six decimals.
        band: int64 [m, tasks], index of the band; of the choice for a multiclass task.
        messages: all messages, one behind the other.
        starts: int64 [m + 1], where each message starts.
    """

    bundle: Bundle
    record: Whole
    customers: Texts
    transaction_ids: Texts
    kind: Whole
    time_ms: Whole
    late: NDArray[np.bool_]
    eligible: NDArray[np.bool_]
    values: NDArray[np.float64]
    band: Whole
    messages: NDArray[np.uint8]
    starts: Whole


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused record, unchanged, with the reason and where it stood as headers."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class ScoreEncoder:
    """Writes the scores of one bundle on one partition."""

    def __init__(self, bundle: Bundle, topic: str, partition: int) -> None:
        """Make the writer's program from the bundle's outputs and bands."""
        self._bundle = bundle
        self.prefix = f"{topic}-{partition}-"
        outputs = bundle.manifest.outputs
        bounds = [[band.at_least for band in bundle.manifest.bands.get(output.task, ())] for output in outputs]
        self._outputs = Outputs(
            start=np.array([output.start for output in outputs], np.int64),
            classes=np.array([output.width if output.classes else 0 for output in outputs], np.int64),
            bounds=np.array([bound for each in bounds for bound in each if bound is not None], np.float64),
            ends=np.cumsum([0, *(sum(bound is not None for bound in each) for each in bounds)], dtype=np.int64),
        )
        self._codes = np.array([[code, position] for code, position in _KINDS.items()], np.int64)
        self._late_column = bundle.rolling.layout.column["late_h"]
        self._writer = self._program()

    def __call__(self, batch: Batch, read: Read, values: NDArray[np.float64], chunk: Chunk) -> Scores:
        """Return the scores of a batch."""
        at = read.scored
        whole = len(at) == len(batch.op)
        customers = batch.customers if whole else batch.customers.take(at)
        transactions = batch.transaction_ids if whole else batch.transaction_ids.take(at)
        tasks = len(self._outputs.start)
        integers = np.empty((len(at), TASKS + 2 * tasks), np.int64)
        millionths = np.empty((len(at), values.shape[1] + tasks), np.int64)  # behind the values, those of the choices
        items = (readable(batch.record), readable(batch.op), readable(batch.time_ms), readable(chunk.offsets))
        found = (at, read.features, read.eligible, values)
        number(items, found, (self._codes, self._late_column, self._outputs), integers, millionths)
        messages, starts = self._writer((customers, transactions), integers, millionths)
        return Scores(
            self._bundle,
            batch.record if whole else batch.record[at],
            customers,
            transactions,
            integers[:, KIND],
            integers[:, TIME],
            integers[:, LATE] != 0,
            read.eligible,
            values,
            integers[:, TASKS + 1 :: 2],
            messages,
            starts,
        )

    def _program(self) -> Writer:
        program, bundle = Program(), self._bundle
        program.literal('{"score_id":"' + _inside(self.prefix))
        program.integer(OFFSET)
        tick = program.skip_unless(IS_TICK)
        program.literal("-")
        program.text(0)
        program.end_skip(tick)
        program.literal('","kind":"')
        program.choice(KIND, ["transaction", "customer", "tick"])
        transaction = program.skip_unless(IS_TRANSACTION)
        program.literal('","transaction_id":"')
        program.text(1)
        program.end_skip(transaction)
        program.literal('","customer_id":"')
        program.text(0)
        program.literal('","time":')
        program.integer(TIME)
        program.literal(f',"bundle":"{bundle.short}","layout":"{bundle.manifest.layout}","late":')
        program.choice(LATE, ["false", "true"])
        program.literal(',"tasks":{')
        for t in range(len(bundle.manifest.outputs)):
            self._task(program, t)
        program.literal("}}")
        return program.build()

    def _task(self, program: Program, t: int) -> None:
        output, bundle = self._bundle.manifest.outputs[t], self._bundle
        score_width = bundle.manifest.outputs[-1].start + bundle.manifest.outputs[-1].width
        program.literal(("," if t else "") + f'"{output.task}":{{"eligible":')
        program.choice(TASKS + 2 * t, ["false", "true"])
        asked = program.skip_unless(TASKS + 2 * t)
        program.literal(',"score":')
        program.decimal(score_width + t)
        bands = bundle.bands(output)
        if output.classes:
            program.choice(TASKS + 2 * t + 1, [f',"choice":"{_inside(name)}"' for name in output.classes])
            for c, name in enumerate(output.classes):
                program.literal((',"probabilities":{' if c == 0 else ",") + f'"{_inside(name)}":')
                program.decimal(output.start + c)
            program.literal("}")
        elif bands:
            program.choice(TASKS + 2 * t + 1, [f',"band":"{_inside(name)}"' for name in bands])
        program.end_skip(asked)
        program.literal("}")


def reasoned(scores: Scores, why: Sequence[dict[str, tuple[AlertReason, ...]]]) -> Scores:
    """Return scores whose messages also tell their reasons, those of each score by task."""
    content, starts = scores.messages.tobytes(), scores.starts.tolist()
    told = [
        content[start : end - 1] + b',"reasons":' + codec.encode(reasons) + b"}" if reasons else content[start:end]
        for start, end, reasons in zip(starts, starts[1:], why, strict=False)
    ]
    ends = np.cumsum([0, *(len(message) for message in told)], dtype=np.int64)
    return replace(scores, messages=np.frombuffer(b"".join(told), np.uint8), starts=ends)


def score_id(scores: Scores, item: int, chunk: Chunk) -> str:
    """Return the id of one score: the place of its record in the log, and for a tick also the customer."""
    place = f"{chunk.topic}-{chunk.partition}-{chunk.offsets[scores.record[item]]}"
    return f"{place}-{scores.customers.word(item).decode()}" if scores.kind[item] == _KINDS[kernel.TICK] else place


def alerts(fired: Fired, why: Sequence[tuple[AlertReason, ...]], scores: Scores, chunk: Chunk) -> list[Alert]:
    """Return the alerts of a batch.

    Args:
        fired: what the rules decided.
        why: the reasons of each.
        scores: of the same batch.
        chunk: whose records they are.
    """
    rules, found = scores.bundle.spec.rules, []
    for item, rule_index, value, suppressed, reasons in zip(
        fired.item.tolist(), fired.rule.tolist(), fired.value.tolist(), fired.suppressed.tolist(), why, strict=True
    ):
        rule, score = rules[rule_index], score_id(scores, item, chunk)
        alert = Alert(
            alert_id=f"{score}-{rule.name}",
            score_id=score,
            customer_id=scores.customers.word(item).decode(),
            time=int(scores.time_ms[item]),
            rule=rule.name,
            task=rule.task,
            feature=rule.feature,
            class_=rule.class_,
            score=value,
            threshold=round(rule.threshold, 6),
            severity=rule.severity,
            suppressed=suppressed,
            bundle=scores.bundle.short,
            reasons=reasons,
        )
        found.append(alert)
    return found


def dead_letters(rejections: Iterable[Rejection], chunk: Chunk) -> list[DeadLetter]:
    """Return refused records as dead letters.

    They are unchanged, but of a key or value that is too large there are the first 64 KiB, with length and sha256.
    """
    letters = []
    for record, reason, detail in rejections:
        key, value = chunk.keys[record], chunk.values[record]
        headers = {
            "reason": str(reason).encode(),
            "detail": detail.encode()[:_LONGEST_DETAIL].decode(errors="ignore").encode(),
            "topic": chunk.topic.encode(),
            "partition": b"%d" % chunk.partition,
            "offset": b"%d" % chunk.offsets[record],
        }
        headers |= _measures(key, "key_") | _measures(value)
        key, value = (part and part[:LARGEST_DEAD_LETTER] for part in (key, value))
        letters.append(DeadLetter(key, value, tuple(headers.items())))
    return letters


def _measures(content: bytes | None, prefix: str = "") -> dict[str, bytes]:
    """Return what is told of a key or value that is cut off, because a dead letter must not be too large itself."""
    if content is None or len(content) <= LARGEST_DEAD_LETTER:
        return {}
    digest = hashlib.sha256(content).hexdigest().encode()
    return {f"{prefix}length": b"%d" % len(content), f"{prefix}sha256": digest}


def repeats(batch: Batch, read: Read) -> list[Rejection]:
    """Return a rejection for each transaction that the kernel found to be a duplicate."""
    detail = "expected a new transaction id, found one of the customer's last eight"
    at = np.flatnonzero(read.verdict == kernel.DUPLICATE)
    return [Rejection(record, Reason.DUPLICATE, detail) for record in batch.record[at].tolist()]


def _inside(text: str) -> str:
    """Return a text as it stands inside a JSON string."""
    return codec.encode(text).decode()[1:-1]
