"""The pipeline, as a replay runs it, and a judge beside it: of each record, of all that comes out, of every row."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Final

import numpy as np

from schemas import codec
from schemas.accepted import Rejection
from schemas.messages import Activate, Tick
from stream_app import pipeline
from stream_app.residents import Residents
from stream_app.scorer import Emission, Scorer
from stream_app.shelf import Shelf
from stream_app.steps import decode
from stream_app.steps.decode import Vocabulary
from stream_app.steps.plain import Columns, Scanner
from stream_app.steps.stages import Chunk, Decoded
from tests.fuzz.contract import NotSoError, check_accepted, check_alert, check_letter, check_score
from tests.fuzz.stream import GOOD, Entry, chunk_of

EACH: Final = 100
"""Of so many messages one is held against the published schema, which is slow."""
SCORES: Final = {"transaction": 1, "customer": 0, "activate": 0, "forget": 0}
"""How many scores an accepted record gives where customer records are not scored; a tick one for each customer."""


_PIECE: Final = 5
"""Records; what becomes of one must not depend on how many others are looked at with it."""
_OTHER_COLUMNS: Final = "Expected the compiled shortcut to decode as the codec does, found other columns"


@dataclass(frozen=True)
class Finding:
    """Something that must not be.

    Attributes:
        what: in words.
        entry: the record; None where it is not known which one.
        place: offset of the record, or of the first one of its chunk.
    """

    what: str
    entry: Entry | None
    place: int

    def __str__(self) -> str:
        """Return it with the record in hexadecimal digits, as the command takes it."""
        if self.entry is None:
            return f"{self.what}, in the chunk from record {self.place} on"
        key, value = ("-" if part is None else part.hex() for part in self.entry[:2])
        return f"{self.what}, at record {self.place}: --play {key or '=='} {value or '=='} {self.entry.time_ms}"


@dataclass
class Tally:
    """What has become of records.

    Attributes:
        outcomes: dead letters by reason, accepted records by kind.
        messages: that have come out, by what they are.
        findings: what must not be.
    """

    records: int = 0
    good: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


class NothingPlain(Scanner):
    """A scanner that leaves every record to the codec."""

    def columns(self, chunk: Chunk) -> Columns:
        """Return columns of which nothing is taken."""
        return Columns.room(len(chunk.values))


class Judge:
    """Takes chunks in, and tells in its ``tally`` what has become of them."""

    def __init__(self, shelf: Shelf) -> None:
        """Begin with empty rows, twice: once for all records, once for the good ones alone."""
        self.tally = Tally()
        self._shelf, self._spec = shelf, shelf.first.spec
        self._slowly = Vocabulary(self._spec)
        vars(self._slowly)["scanner"] = NothingPlain.of(self._spec)
        self._all, self._alone = self._scorer(), self._scorer()

    def take(self, chunk: Chunk) -> None:
        """Let a chunk go through the steps and judge what it gives."""
        entries = [Entry(*record) for record in zip(chunk.keys, chunk.values, chunk.record_times.tolist(), strict=True)]
        self.tally.records += len(entries)
        try:
            decoded = decode.decode(chunk, self._all.vocabulary)
            self._slow(chunk, decoded, entries)
            emission = pipeline.score(decoded, chunk, self._all)
        except Exception as error:  # noqa: BLE001  (whatever it is: nothing may be raised for what a record holds)
            self.tally.findings.append(self._culprit(entries, chunk, error))
            self._all, self._alone = self._scorer(), self._scorer()
            return
        first = int(chunk.offsets[0])
        refused = self._letters(emission, entries, first)
        given = self._messages(emission, first, entries)
        for record, entry in enumerate(entries):
            if record not in refused:
                self._accepted(entry, first + record, given[record])
        self._rows(first)
        self._unharmed(chunk, entries, emission, refused)

    def _scorer(self) -> Scorer:
        return Scorer(self._shelf, Residents(self._shelf.first.rolling.layout.row_width), "transactions", 0)

    def _find(self, what: str, entry: Entry | None, place: int) -> None:
        self.tally.findings.append(Finding(what, entry, place))

    def _culprit(self, entries: list[Entry], chunk: Chunk, error: Exception) -> Finding:
        """Return which record has made a step fail, if it fails alone too."""
        for record, entry in enumerate(entries):
            try:
                _emission(chunk_of([entry], int(chunk.offsets[record])), self._scorer())
            except Exception as alone:  # noqa: BLE001  (as above)
                return Finding(f"Expected no step to fail, found {alone!r}", entry, int(chunk.offsets[record]))
        return Finding(f"Expected no step to fail, found {error!r}", None, int(chunk.offsets[0]))

    def _slow(self, chunk: Chunk, decoded: Decoded, entries: list[Entry]) -> None:
        """Compare what was decoded with what is decoded record by record, without the compiled shortcut."""
        for seen, expected in zip(decoded.rejections, self._piecemeal(chunk), strict=False):
            if seen != expected:
                what = f"Expected {expected} for any cut, found {seen}"
                self._find(what, entries[seen.record], int(chunk.offsets[seen.record]))
                return
        if same(decoded, decode.decode(chunk, self._slowly)):
            return
        for entry in entries:
            alone = chunk_of([entry])
            if not same(decode.decode(alone, self._all.vocabulary), decode.decode(alone, self._slowly)):
                self._find(_OTHER_COLUMNS, entry, -1)
                return
        self._find(_OTHER_COLUMNS, None, int(chunk.offsets[0]))

    def _piecemeal(self, chunk: Chunk) -> Iterator[Rejection]:
        """Yield the rejections of a chunk that is decoded a few records at a time."""
        for start in range(0, len(chunk.values), _PIECE):
            piece = decode.decode(chunk.slice(start, start + _PIECE), self._slowly)
            yield from (item._replace(record=item.record + start) for item in piece.rejections)

    def _letters(self, emission: Emission, entries: list[Entry], first: int) -> set[int]:
        """Judge the dead letters; return which records they are of."""
        refused = set[int]()
        for letter in emission.dead_letters:
            record = int(dict(letter.headers)["offset"]) - first
            if self._holds(lambda: check_letter(letter, entries[record]), entries[record], first + record):  # noqa: B023
                self.tally.outcomes["dead letter: " + dict(letter.headers)["reason"].decode()] += 1
            if record in refused:
                self._find("Expected one dead letter, found two", entries[record], first + record)
            refused.add(record)
        return refused

    def _messages(self, emission: Emission, first: int, entries: list[Entry]) -> Counter[int]:
        """Judge scores and alerts; return how many scores each record has given."""
        given = Counter[int]()
        for record, message in _scores(emission):
            given[record] += 1
            self.tally.messages["scores"] += 1
            with_schema = self.tally.messages["scores"] % EACH == 0
            self._holds(lambda: check_score(message, with_schema=with_schema), entries[record], first + record)  # noqa: B023
        for alert in emission.alerts:
            self.tally.messages["alerts"] += 1
            with_schema = self.tally.messages["alerts"] % EACH == 0
            self._holds(lambda: check_alert(codec.encode(alert), with_schema=with_schema), None, first)  # noqa: B023
        return given

    def _accepted(self, entry: Entry, place: int, scores: int) -> None:
        """Judge a record that is no dead letter."""
        kind = self._holds(lambda: check_accepted(entry, self._spec), entry, place)
        if not kind:
            return
        self.tally.outcomes[f"accepted: {kind}"] += 1
        if scores != SCORES.get(kind, scores):
            self._find(f"Expected {SCORES[kind]} scores, found {scores}", entry, place)

    def _rows(self, first: int) -> None:
        customers, rows = self._all.residents.take_changed()
        for k in np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist():
            self._find(f"Expected finite rows, found another of customer {customers[k]!r}", None, first)

    def _unharmed(self, chunk: Chunk, entries: list[Entry], emission: Emission, refused: set[int]) -> None:
        """Compare what good records give with what they give without the others, but for those that are for all."""
        keep = [record for record, entry in enumerate(entries) if entry.good or _is_for_all(entry, record, refused)]
        self.tally.good += sum(entries[record].good for record in keep)
        if not keep:
            return
        alone = _emission(chunk.take(np.array(keep)), self._alone)
        first = int(chunk.offsets[0])
        seen, expected = _of_good(emission), _of_good(alone)
        for record in sorted(r for r in refused if entries[r].good):
            self._find("Expected a good record to be accepted, found it refused", entries[record], first + record)
        for name in sorted(name for name in seen.keys() | expected.keys() if seen.get(name) != expected.get(name)):
            told = f"Expected of a good record {expected.get(name)!r}, found {seen.get(name)!r}"
            self._find(told, None, first)

    def _holds(self, check: "Callable[[], object]", entry: Entry | None, place: int) -> str:
        """Return what a check returns as text; where it fails, note what was expected and return nothing."""
        try:
            return str(check())
        except NotSoError as error:
            self._find(f"Expected {error}, found otherwise", entry, place)
            return ""

    def end(self) -> None:
        """Compare the rows of the good customers with those that they have without the others."""
        seen, expected = _good_rows(self._all), _good_rows(self._alone)
        for name in sorted(name for name in seen.keys() | expected.keys() if seen.get(name) != expected.get(name)):
            self._find(f"Expected the row of {name!r} as it is without the other records, found another", None, -1)


def _emission(chunk: Chunk, scorer: Scorer) -> Emission:
    return pipeline.score(decode.decode(chunk, scorer.vocabulary), chunk, scorer)


def same(decoded: Decoded, other: Decoded) -> bool:
    """Return whether two chunks were decoded alike, bit by bit."""
    return _told(decoded) == _told(other)


def _told(decoded: Decoded) -> list[object]:
    """Return what a chunk was decoded to, as values that can be compared."""
    told: list[object] = [decoded.rejections, decoded.unknown_types, decoded.unknown_values]
    for part in decoded.parts:
        values = [getattr(part, item.name) for item in fields(part)]
        told += [value.tobytes() if isinstance(value, np.ndarray) else value for value in values]
    return told


def _scores(emission: Emission) -> Iterator[tuple[int, bytes]]:
    """Yield the index of each score's record, and the message."""
    for part in emission.scores:
        content = part.messages.tobytes()
        for record, (first, end) in zip(part.record.tolist(), pairwise(part.starts.tolist()), strict=True):
            yield record, content[first:end]


def _of_good(emission: Emission) -> dict[str, bytes]:
    """Return scores and alerts of the good customers by what tells them apart."""
    found = dict[str, bytes]()
    for part in emission.scores:
        content = part.messages.tobytes()
        for customer, (first, end) in zip(part.customers.words(), pairwise(part.starts.tolist()), strict=True):
            if customer.startswith(GOOD):
                found[codec.facts(content[first:end])["score_id"]] = content[first:end]
    for alert in emission.alerts:
        if alert.customer_id.encode().startswith(GOOD):
            found[alert.alert_id] = codec.encode(alert)
    return found


def _is_for_all(entry: Entry, record: int, refused: set[int]) -> bool:
    """Return whether a record is a tick or activates a bundle."""
    if record in refused or entry.value is None:
        return False
    return isinstance(codec.decode(entry.value), Tick | Activate)


def _good_rows(scorer: Scorer) -> dict[bytes, bytes]:
    residents = scorer.residents
    rows = zip(residents.customers, residents.matrix[: len(residents)], strict=True)
    return {customer: row.tobytes() for customer, row in rows if customer.startswith(GOOD) and row.any()}
