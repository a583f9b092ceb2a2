"""Records to batches of items: decode, check against the accepted values, encode what the kernel takes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import codec
from schemas.accepted import (
    EARLIEST_MS,
    LARGEST_AMOUNT,
    LATEST_MS,
    MOST_AHEAD_MS,
    NO_OFFSET_MS,
    NO_RECORD_TIME,
    Reason,
    Rejection,
    amount_problem,
    currency_problem,
    epoch_ms,
    id_problem,
    time_problem,
)
from schemas.messages import Activate, Customer, Forget, Tick, Transaction
from schemas.spec import Attribute, Spec
from stream_app.kernel import kernel
from stream_app.steps.ids import id_hashes, odd_ids
from stream_app.steps.plain import Columns, Scanner
from stream_app.steps.stages import Batch, Chunk, Control, Decoded, merged
from stream_app.steps.texts import Texts

_TOLD: Final = 10**30
"""Numbers above it are not spelled out: whole numbers of a record may be too large for a float."""


# Tuples, made once: a union in isinstance is made anew for every record.
_ITEMS = (Transaction, Customer, Forget)
_CONTROLS = (Tick, Activate)


@dataclass(frozen=True)
class Vocabulary:
    """What decoding needs to know of a spec."""

    spec: Spec

    @cached_property
    def scanner(self) -> Scanner:
        """Return what takes plain transactions without a message for each."""
        return Scanner.of(self.spec)

    @cached_property
    def other(self) -> int:
        """Return the code of types that the spec does not know."""
        return len(self.spec.types) - 1

    @cached_property
    def known(self) -> frozenset[str]:
        """Return the fields of a customer record that are nothing new."""
        return frozenset({item.name for item in self.spec.attributes} | {*Customer.__struct_fields__, "kind"})

    @cached_property
    def levels(self) -> dict[str, dict[str, float]]:
        """Map each category attribute's values to their codes."""
        return {
            item.name: {value: float(code) for code, value in enumerate(item.values)}
            for item in self.spec.attributes
            if item.kind == "category"
        }


def decode(chunk: Chunk, vocabulary: Vocabulary) -> Decoded:
    """Return the batches and controls of a chunk and what it refuses; never raises for what a record holds."""
    found = _Pass(chunk, vocabulary, vocabulary.scanner.columns(chunk))
    for record in np.flatnonzero(~found.plain.taken).tolist():
        value = chunk.values[record]
        message = codec.decode(value) if value is not None else _tombstone(chunk.keys[record])
        if isinstance(message, _ITEMS):
            found.records.append(record)
            found.messages.append(message)
        elif isinstance(message, _CONTROLS):
            found.close(record)
            found.control(record, message)
        else:
            reason, detail = message
            found.rejections.append(Rejection(record, reason, detail))
    found.close(len(chunk.values))
    found.rejections.sort(key=lambda rejection: rejection.record)
    return Decoded(found.parts, found.rejections, found.unknown_types, found.unknown_values)


def attribute_value(attribute: Attribute, value: object, levels: dict[str, float]) -> float | str:
    """Return what the row takes for one attribute of a customer record, or what is wrong with it.

    Args:
        attribute: what the spec says of it.
        value: as decoded; None makes it unknown.
        levels: codes of its values, if it is a category.
    """
    if value is None:
        return kernel.UNKNOWN
    if attribute.kind == "category":
        if not isinstance(value, str):
            return f"expected text for attribute {attribute.name}, found {type(value).__name__}"
        return levels.get(value, kernel.UNKNOWN)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected a number for attribute {attribute.name}, found {type(value).__name__}"
    if not attribute.at_least <= value <= attribute.at_most:
        bounds = f"{attribute.at_least:g} to {attribute.at_most:g}"
        found = f"{value:g}" if abs(value) < _TOLD else "a number beyond all bounds"
        return f"expected attribute {attribute.name} within {bounds}, found {found}"
    return float(value)


def _tombstone(key: bytes | None) -> Forget | codec.Refusal:
    if key is None:
        return Reason.KEY, "expected the customer's id as the key of a tombstone, found no key"
    try:
        return Forget(customer_id=key.decode())
    except UnicodeDecodeError:
        return Reason.ID, "expected the customer's id in UTF-8 as the key of a tombstone, found other bytes"


@dataclass
class _Pass:
    """A pass over the records of a chunk, and what it gathers.

    Attributes:
        chunk: whose records they are.
        vocabulary: what decoding needs to know.
        plain: the records that are taken without a message.
        start: the first record that is in no part yet.
        records: of the other ones since then, those that gave a message.
        messages: these.
        rejections: of the whole chunk.
        parts: of the whole chunk.
    """

    chunk: Chunk
    vocabulary: Vocabulary
    plain: Columns
    start: int = 0
    records: list[int] = field(default_factory=list)
    messages: list[Transaction | Customer | Forget] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    parts: list[Batch | Control] = field(default_factory=list)
    unknown_types: int = 0
    unknown_values: int = 0

    def control(self, record: int, message: Tick | Activate) -> None:
        """Take a control, before which all has been turned into a batch."""
        problem = None
        if isinstance(message, Tick):
            problem = time_problem(epoch_ms(message.time), int(self.chunk.record_times[record]))
        if problem:
            self.rejections.append(Rejection(record, Reason.TIME, problem))
        else:
            self.parts.append(Control(record, message))

    def close(self, upto: int) -> None:
        """Turn the records before ``upto`` that are in no part yet into a batch."""
        start, self.start = self.start, upto
        attributes = len(self.vocabulary.spec.attributes)
        batch, unknown = self.vocabulary.scanner.batch(self.plain, self.chunk, start, upto, attributes)
        self.unknown_types += unknown
        columns = self._accepted()
        if columns is not None:
            other = columns.batch()
            batch = merged(batch, other) if len(batch.op) else other
            self.unknown_types += columns.unknown_types
            self.unknown_values += columns.unknown_values
        if len(batch.op):
            self.parts.append(batch)

    def _accepted(self) -> "_Messages | None":
        """Return the messages gathered so far that are accepted, if there are any."""
        records, messages, self.records, self.messages = self.records, self.messages, [], []
        if not messages:
            return None
        columns = _Messages(records, messages, self.chunk, self.vocabulary)
        refused = list(columns.refused())
        if not refused:
            return columns
        self.rejections += refused
        bad = {rejection.record for rejection in refused}
        keep = [k for k, record in enumerate(records) if record not in bad]
        records, messages = [records[k] for k in keep], [messages[k] for k in keep]
        return _Messages(records, messages, self.chunk, self.vocabulary) if messages else None


class _Messages:
    """Messages as columns, first to be checked, then to be handed on."""

    def __init__(
        self, records: list[int], messages: list[Transaction | Customer | Forget], chunk: Chunk, vocabulary: Vocabulary
    ) -> None:
        self.records, self.messages, self.chunk, self.vocabulary = records, messages, chunk, vocabulary
        self.customers = [message.customer_id.encode() for message in messages]
        self.time_ms = np.full(len(messages), EARLIEST_MS, np.int64)
        self.amount = np.zeros(len(messages))
        self.balance = np.full(len(messages), np.nan)
        self.unknown_types = self.unknown_values = 0
        self.op = np.full(len(messages), kernel.TRANSACTION, np.int64)
        self.transactions = [message for message in messages if isinstance(message, Transaction)]
        self.place = np.flatnonzero([type(message) is Transaction for message in messages])
        self.given: dict[int, dict[str, object]] = {}
        self.facts: dict[int, list[float | str]] = {}
        self._fill_transactions()
        self._fill_others()

    def _fill_transactions(self) -> None:
        rows, spec = self.transactions, self.vocabulary.spec
        near = (
            row.time if type(row.time) is int and NO_OFFSET_MS < row.time < -NO_OFFSET_MS else epoch_ms(row.time)
            for row in rows
        )
        self.time_ms[self.place] = np.fromiter(near, np.int64, len(rows))
        amount = np.array([row.amount for row in rows], np.float64)
        balance = np.array([row.balance for row in rows], np.float64)  # None becomes NaN
        self.names = [row.transaction_id.encode() for row in rows]
        self.currencies = [row.currency for row in rows]
        self.converts = self.currencies.count(None) < len(rows)
        if self.converts:
            rates = np.array([1.0 if name is None else spec.rate.get(name, 1.0) for name in self.currencies])
            with np.errstate(over="ignore"):  # infinity is refused as any other amount that is too large
                amount, balance = amount * rates, balance * rates
        self.amount[self.place], self.balance[self.place] = amount, balance

    def _fill_others(self) -> None:
        if len(self.transactions) == len(self.messages):
            return
        for k, message in enumerate(self.messages):
            if isinstance(message, Customer):
                self.op[k], self.time_ms[k] = kernel.CUSTOMER, epoch_ms(message.time)
                self.given[k] = codec.facts(self.chunk.values[self.records[k]] or b"")
                self.facts[k] = self._facts(self.given[k])
            elif isinstance(message, Forget):
                self.op[k] = kernel.FORGET

    def refused(self) -> Iterator[Rejection]:
        """Yield a rejection for each message that is not accepted: the first reason that holds."""
        record_time = self.chunk.record_times[self.records]
        suspect = (self.time_ms < EARLIEST_MS) | (self.time_ms >= LATEST_MS)
        suspect |= (record_time != NO_RECORD_TIME) & (self.time_ms > record_time + MOST_AHEAD_MS)
        suspect |= ~(np.abs(self.amount) <= LARGEST_AMOUNT) | (np.abs(self.balance) > LARGEST_AMOUNT)
        suspect |= (self.op == kernel.CUSTOMER) | odd_ids(self.customers)
        suspect[self.place] |= odd_ids(self.names)
        keys = [self.chunk.keys[record] for record in self.records]
        if keys != self.customers:
            suspect |= np.array([key != customer for key, customer in zip(keys, self.customers, strict=True)])
        if self.converts:
            suspect[self.place] |= np.array([name is not None for name in self.currencies])
        for k in np.flatnonzero(suspect).tolist():
            problem = self._problem(k)
            if problem:
                yield Rejection(self.records[k], *problem)

    def _problem(self, k: int) -> codec.Refusal | None:
        message, customer = self.messages[k], self.customers[k]
        problem = id_problem(customer, "customer_id")
        if isinstance(message, Transaction):
            problem = problem or id_problem(message.transaction_id.encode(), "transaction_id")
        if problem:
            return Reason.ID, problem
        if self.chunk.keys[self.records[k]] != customer:
            return Reason.KEY, "expected customer_id as the record's key, found another; partition by customer_id"
        problem = time_problem(int(self.time_ms[k]), int(self.chunk.record_times[self.records[k]]))
        if problem:
            return Reason.TIME, problem
        if isinstance(message, Transaction):
            return self._money_problem(k, message)
        if isinstance(message, Customer):
            problem = next((value for value in self.facts[k] if isinstance(value, str)), None)
            return (Reason.ATTRIBUTE, problem) if problem else None
        return None

    def _money_problem(self, k: int, message: Transaction) -> codec.Refusal | None:
        if message.currency is not None:
            problem = currency_problem(message.currency, self.vocabulary.spec)
            if problem:
                return Reason.CURRENCY, problem
        problem = amount_problem(float(self.amount[k]))
        if not problem and message.balance is not None:
            problem = amount_problem(float(self.balance[k]), "balance")
        return (Reason.AMOUNT, problem) if problem else None

    def _facts(self, given: dict[str, object]) -> list[float | str]:
        """Return what the row takes of a customer record for each attribute, or what is wrong with it."""
        return [
            attribute_value(item, given[item.name], self.vocabulary.levels.get(item.name, {}))
            if item.name in given
            else kernel.UNCHANGED
            for item in self.vocabulary.spec.attributes
        ]

    def batch(self) -> Batch:
        """Return the columns as a batch; all messages must have been accepted."""
        n, code, other = len(self.messages), self.vocabulary.spec.type_code, self.vocabulary.other
        kinds = [code.get(row.type, -1) for row in self.transactions]
        self.unknown_types = kinds.count(-1)
        kind, hashes = np.zeros(n, np.int64), np.ones((n, 2), np.int64)
        kind[self.place] = [other if item < 0 else item for item in kinds] if self.unknown_types else kinds
        hashes[self.place] = id_hashes(self.names)
        transaction_ids = [b""] * n
        for place, name in zip(self.place.tolist(), self.names, strict=True):
            transaction_ids[place] = name
        return Batch(
            record=np.array(self.records, np.int64),
            op=self.op,
            customers=Texts.of(self.customers),
            transaction_ids=Texts.of(transaction_ids),
            time_ms=self.time_ms,
            kind=kind,
            amount=self.amount + 0.0,
            balance=self.balance,
            id_hash=hashes,
            attributes=self._attributes(),
        )

    def _attributes(self) -> NDArray[np.float64]:
        spec = self.vocabulary.spec
        table = np.array(list(self.facts.values()), np.float64).reshape(len(self.facts), len(spec.attributes))
        for facts, given in zip(self.facts.values(), self.given.values(), strict=True):
            self.unknown_values += len(given.keys() - self.vocabulary.known)
            for item, value in zip(spec.attributes, facts, strict=True):
                if value == kernel.UNKNOWN and item.kind == "category" and given[item.name] is not None:
                    self.unknown_values += 1
        return table
