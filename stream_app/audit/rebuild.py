"""Some customers' rows and messages, computed again from the records of their partition.

Customers are independent: what others send changes nothing, so only the customers' own records, ticks and activates are
looked at. (A test compares the outcome with that of the whole log.)
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import codec
from schemas.messages import Activate, Alert, Tick
from stream_app.audit.told import Kind, Name, digest
from stream_app.bundle import Bundle
from stream_app.pipeline import score
from stream_app.residents import Residents
from stream_app.scorer import Emission, Scorer
from stream_app.shelf import Shelf
from stream_app.steps.decode import decode
from stream_app.steps.stages import Chunk

_MAY_BE_CONTROL: Final = (b"tick", b"activate", b"\\")
"""A tick or an activate names its kind, be it in an escaped form."""


class Rebuilding:
    """The customers of one partition, as far as records have been taken in."""

    def __init__(
        self,
        shelf: Shelf,
        bundle: Bundle,
        place: tuple[str, int],
        rows: Mapping[bytes, NDArray[np.float32] | None],
        passed_over: Collection[int] = (),
    ) -> None:
        """Begin with rows.

        Args:
            shelf: the bundles that the log may activate.
            bundle: in force at the beginning.
            place: topic and partition.
            rows: of all customers, float32 [row width]; None where there is none yet.
            passed_over: offsets of records that no step of the live system has seen.
        """
        self._wanted, self._passed_over = frozenset(rows), frozenset(passed_over)
        residents = Residents(bundle.rolling.layout.row_width)
        for customer, row in rows.items():
            if row is not None:
                residents.enter([customer], row[None])
        self._scorer = Scorer(shelf, residents, *place)
        self._scorer.switch(bundle)

    @property
    def bundle(self) -> Bundle:
        """Return the bundle in force."""
        return self._scorer.bundle

    def take(self, chunk: Chunk) -> Iterator[tuple[Name, bytes]]:
        """Take records in; yield what they give of the customers, each message with what tells it from others.

        Raises:
            BundleError: an activate names a bundle that is not on the shelf or has another layout.
        """
        mine = self._about(chunk)
        if len(mine.offsets):
            decoded = decode(mine, self._scorer.vocabulary)
            yield from self._messages(score(decoded, mine, self._scorer), mine)

    def row(self, customer: bytes) -> NDArray[np.float32]:
        """Return a customer's row as it is now, float32 [row width]; zeros where there is none."""
        residents = self._scorer.residents
        if residents.missing([customer]):
            return np.zeros(residents.matrix.shape[1], np.float32)
        row: NDArray[np.float32] = residents.matrix[residents.places([customer])[0]].copy()
        return row

    def _about(self, chunk: Chunk) -> Chunk:
        """Return the records that have to do with the customers."""
        wanted = self._wanted
        at: list[int] = [
            k
            for k, (key, value) in enumerate(zip(chunk.keys, chunk.values, strict=True))
            if key in wanted or _is_control(value)
        ]
        if self._passed_over:
            at = [k for k in at if int(chunk.offsets[k]) not in self._passed_over]
        return chunk.take(np.array(at, np.int64))

    def _messages(self, emission: Emission, chunk: Chunk) -> Iterator[tuple[Name, bytes]]:
        for part in emission.scores:
            content, starts = part.messages.tobytes(), part.starts.tolist()
            for k, customer in enumerate(part.customers.words()):
                offset = int(chunk.offsets[part.record[k]])
                yield Name(Kind.SCORE, offset, customer), content[starts[k] : starts[k + 1]]
        for alert in emission.alerts:
            yield _alert_name(alert, chunk), codec.encode(alert)
        for letter in emission.dead_letters:
            if letter.key in self._wanted:
                offset = int(dict(letter.headers)["offset"])
                yield Name(Kind.LETTER, offset, letter.key or b""), digest(letter.key, letter.value, letter.headers)


def _is_control(value: bytes | None) -> bool:
    if value is None or not any(text in value for text in _MAY_BE_CONTROL):
        return False
    return isinstance(codec.decode(value), Tick | Activate)


def _alert_name(alert: Alert, chunk: Chunk) -> Name:
    place = alert.score_id.removeprefix(f"{chunk.topic}-{chunk.partition}-")
    return Name(Kind.ALERT, int(place.partition("-")[0]), alert.customer_id.encode(), alert.rule)
