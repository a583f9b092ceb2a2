"""What a live system has told of some customers: its messages, by what tells one from any other."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from schemas.accepted import Reason


class Kind(StrEnum):
    """What is compared."""

    ROW = "rows"
    SCORE = "scores"
    ALERT = "alerts"
    LETTER = "dead_letters"


class Name(NamedTuple):
    """What tells a message from any other of its partition.

    Attributes:
        kind: of the message.
        offset: of the record that it is about.
        customer: whom it is about.
        rule: of an alert.
    """

    kind: Kind
    offset: int
    customer: bytes
    rule: str = ""

    def __str__(self) -> str:
        rule = f", rule {self.rule}" if self.rule else ""
        return f"of customer {self.customer.decode(errors='replace')} at offset {self.offset}{rule}"


class _Message(msgspec.Struct):
    """What a score and an alert have in common."""

    score_id: str
    rule: str = ""


_decoder: Final = msgspec.json.Decoder(_Message)


@dataclass
class Told:
    """The messages of some customers of one partition.

    Attributes:
        place: topic and partition of the input, as ids begin.
        wanted: the customers.
        since: offset of the first record that any message of a kind is about: what was before has gone with retention,
            or was never told.
        messages: their content; of dead letters a hash.
        repeated: those that are there more than once, byte for byte the same.
        wrong: what cannot be: ids that are none, and messages that contradict each other.
        passed_over: offsets of records that made a step fail, of whomever.
    """

    place: str
    wanted: frozenset[bytes]
    since: dict[Kind, int] = field(default_factory=dict)
    messages: dict[Name, bytes] = field(default_factory=dict)
    repeated: set[Name] = field(default_factory=set)
    wrong: list[tuple[Kind, str]] = field(default_factory=list)
    passed_over: set[int] = field(default_factory=set)

    def take(self, kind: Kind, records: Iterable[ConsumerRecord]) -> None:
        """Note what a topic has."""
        for record in records:
            if record.key not in self.wanted and kind in self.since and kind is not Kind.LETTER:
                continue
            name = self._letter_name(record) if kind is Kind.LETTER else self._name(kind, record)
            if name is None:
                if record.key in self.wanted:
                    self.wrong.append((kind, f"at offset {record.offset} of {record.topic} is none of {self.place}"))
                continue
            self.since.setdefault(kind, name.offset)
            if record.key in self.wanted:
                letter = kind is Kind.LETTER
                self._keep(name, digest(record.key, record.value, record.headers) if letter else record.value)

    def _keep(self, name: Name, content: bytes) -> None:
        if name not in self.messages:
            self.messages[name] = content
        elif self.messages[name] == content:
            self.repeated.add(name)
        else:
            self.wrong.append((name.kind, f"{name} is there twice with different bytes"))

    def _name(self, kind: Kind, record: ConsumerRecord) -> Name | None:
        """Return the name of a score or alert; None where it has none of this partition."""
        try:
            message = _decoder.decode(record.value or b"")
            place, _, rest = message.score_id.partition(self.place)
            offset = -1 if place else int(rest.partition("-")[0])
        except (msgspec.DecodeError, ValueError):
            return None
        return None if offset < 0 else Name(kind, offset, record.key or b"", message.rule)

    def _letter_name(self, record: ConsumerRecord) -> Name | None:
        headers = dict(record.headers)
        try:
            offset = int(headers["offset"])
            place = f"{headers['topic'].decode()}-{int(headers['partition'])}-"
        except (KeyError, ValueError):
            return None
        if place != self.place:
            return None
        if headers.get("reason") == str(Reason.INTERNAL_ERROR).encode():
            self.passed_over.add(offset)
        return Name(Kind.LETTER, offset, record.key or b"")


def digest(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a hash of a dead letter, which may be large."""
    found = hashlib.blake2b(digest_size=16)
    for part in (key, value, *(part for name, content in headers for part in (name.encode(), content))):
        found.update(b"-" if part is None else b"%d:" % len(part) + part)
    return found.digest()
