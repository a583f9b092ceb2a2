"""What is remembered from failure to failure: how long to wait, and which records make the steps fail."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stream_app.engine.errors import RefusedError
from stream_app.steps.stages import Chunk

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
FENCED_PAUSE_S: Final = 1.0
"""Another worker has the partition, as a rule; the group protocol is about to say so."""
MOST_AT_ONCE: Final = 8_192
"""Records of a part: others must have their turn."""
TRIES: Final = 3
MOST_IN_A_ROW: Final = 8
"""Records in a row that fail alone: from there on it is not the records that are to blame."""


class _Range(NamedTuple):
    """The first and last offset of a part, and how many records it has: offsets have gaps."""

    first: int
    last: int
    records: int

    def meets(self, other: "_Range") -> bool:
        """Return whether a record may lie in both."""
        return self.first <= other.last and other.first <= self.last


@dataclass
class Recovery:
    """The failures of one partition.

    A part that has made the steps fail three times is tried in halves, and the halves in halves, until the record that
    fails alone is found; from then on it is poison: a dead letter that no step sees.

    Attributes:
        poison: offsets of the records that fail alone.
        fence: offset of a record that cannot be passed for now; what is before it must not wait with it.
    """

    poison: set[int] = field(default_factory=set)
    fence: int | None = None
    _pause_s: float = 0.0
    _trying: _Range | None = None
    _failed: _Range | None = None
    _tries: int = 0
    _suspects: _Range | None = None
    _length: int = 0
    _row: list[int] = field(default_factory=list)
    _given_up: bool = False

    def trying(self, part: Chunk) -> None:
        """Note that the steps begin with a part."""
        self._trying = _range(part)

    def done(self, part: Chunk) -> None:
        """Note that the steps have taken a part."""
        taken, self._trying = _range(part), None
        passed = self._row and taken.last >= self._row[0 if self._given_up else -1]
        if passed and taken.first not in self.poison:
            self._row, self._given_up = [], False
        if self._suspects is not None and taken.last >= self._suspects.first:
            rest = self._suspects._replace(first=taken.last + 1)
            self._suspects = rest if rest.first <= rest.last else None

    def stopped(self, offset: int | None) -> None:
        """Note that a record cannot be passed before the operator has acted, which is no failure of the steps."""
        self._trying, self.fence = None, offset

    def got_on(self) -> None:
        """Note that something has been committed or written: the next failure is the first one again."""
        self._pause_s = 0.0

    def failed(self, *, infrastructure: bool, fenced: bool) -> float:
        """Note a failure; return how many seconds to wait before the partition is opened again.

        Raises:
            RefusedError: one record after the other fails.
        """
        trying, self._trying = self._trying, None
        if trying is not None and not infrastructure:
            self._note(trying)
            return FIRST_PAUSE_S
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        return max(self._pause_s, FENCED_PAUSE_S) if fenced else self._pause_s

    def parts(self, chunk: Chunk, committed: int) -> Iterator[Chunk]:
        """Yield a chunk in parts: cut at the committed offset and the fence, poison alone, suspects a few at a time."""
        offsets = chunk.offsets.tolist()
        start = 0
        while start < len(offsets):
            stop = start + self._take(offsets[start:], committed)
            yield chunk.slice(start, stop)
            start = stop

    def _take(self, offsets: list[int], committed: int) -> int:
        """Return how many records go together, from the first on."""
        if offsets[0] in self.poison:
            return 1
        edges = {committed, *self.poison, *([self.fence] if self.fence is not None else [])}
        most = min(len(offsets), MOST_AT_ONCE)
        if self._suspects is not None:
            edges.add(self._suspects.first)
            most = self._length if self._suspects.first <= offsets[0] <= self._suspects.last else most
        upto = min((edge for edge in edges if edge > offsets[0]), default=offsets[-1] + 1)
        return next((n for n, offset in enumerate(offsets[:most]) if offset >= upto), min(most, len(offsets)))

    def _note(self, part: _Range) -> None:
        if self._given_up:
            raise self._refusal()
        if self._suspects is not None and not part.meets(self._suspects):
            self._suspects = self._failed = None
        if self._suspects is None:
            again = self._failed is not None and part.meets(self._failed)
            self._tries, self._failed = (self._tries + 1 if again else 1), part
            if self._tries < TRIES:
                return
        if part.records > 1:
            self._suspects, self._length = part, part.records // 2
            return
        self._suspects = self._failed = None
        self.poison.add(part.first)
        self._row.append(part.first)
        if len(self._row) >= MOST_IN_A_ROW:
            self.poison.difference_update(self._row)
            self.fence, self._given_up = self._row[0], True
            raise self._refusal()

    def _refusal(self) -> RefusedError:
        message = (
            f"Expected the steps to fail at single records, found {MOST_IN_A_ROW} in a row that do, from offset "
            f"{self._row[0]} on: the fault is in the program, the bundle or the machine; look at the log's tracebacks "
            "and start another version."
        )
        return RefusedError(message, self._row[0])


def _range(part: Chunk) -> _Range:
    return _Range(int(part.offsets[0]), int(part.offsets[-1]), len(part.offsets))
