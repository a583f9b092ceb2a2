"""One partition's rows and scorer: chunks in, emissions out, and what the store must be told."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.accepted import Reason, Rejection
from schemas.errors import BundleError
from schemas.messages import Activate, Tick
from stream_app.engine.compute import Compute, in_place
from stream_app.engine.errors import RefusedError
from stream_app.pipeline import finish, score_part
from stream_app.residents import Residents
from stream_app.scorer import Emission, Scorer
from stream_app.steps import encode
from stream_app.steps.decode import decode
from stream_app.steps.stages import Batch, Chunk, Control
from stream_app.store.port import LostWritesError, Marker, RowStore

FINGERPRINT_BYTES: Final = 8
SMALL: Final = 500
"""So many records are done before another thread would have begun."""
FLUSH_ROWS: Final = 5_000
"""A write of more rows would hold up Redis for others; so it is not waited for ``flush_ms``."""
BEHIND_ROWS: Final = 10 * FLUSH_ROWS
"""With so many rows unwritten, no more is taken until a flush has ended."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows that have changed since the last one, as of one instant, and the marker that belongs to them."""

    customers: list[bytes]
    rows: NDArray[np.float32]
    marker: Marker


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of a partition that was let go when all of them were in the store, and the marker that they are of."""

    residents: Residents
    marker: Marker

    def are_of(self, marker: Marker) -> bool:
        """Return whether the rows in a store with this marker are these ones: they follow from all but its owner."""
        return self.marker == marker._replace(owner=self.marker.owner)


def fingerprint(chunk: Chunk, record: int) -> str:
    """Return what tells a record from any other: a hash of its key and value."""
    digest = hashlib.blake2b(digest_size=FINGERPRINT_BYTES)
    for part in (chunk.keys[record], chunk.values[record]):
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.hexdigest()


class PartitionWork:
    """The rows and the scorer of one partition, from the marker on.

    Attributes:
        scorer: what chunks go through.
        store: where the rows are kept.
        marker: what this worker wrote there last.
        pending: what it is writing there, if anything.
        written: told of each write, once it has been done.
    """

    def __init__(self, scorer: Scorer, store: RowStore, marker: Marker, compute: Compute = in_place) -> None:
        """Start from what the store has. The marker's fields that do not follow from the log stay as they are."""
        self.scorer, self.marker, self._compute = scorer, marker, compute
        self.pending: Marker | None = None
        self.written: Callable[[Snapshot], None] | None = None
        self.store = store
        self._last = (marker.last, marker.fingerprint)

    @property
    def residents(self) -> Residents:
        """Return the rows in memory."""
        return self.scorer.residents

    @property
    def behind(self) -> bool:
        """Return whether so many rows are unwritten that they must be written first."""
        return self.residents.changed > BEHIND_ROWS

    async def score(self, part: Chunk, *, wanted: bool = True) -> tuple[Emission, int]:
        """Take a part of a chunk in; return what it gives, and how many records were taken.

        All are, but where ticks change more rows than may be written at once: then it stops before a tick. Messages
        are made only where they are ``wanted``.

        Raises:
            LostWritesError: the store is not as we left it.
            RefusedError: an activate names a bundle that is not here or has another layout.
        """
        compute = self._compute if len(part.offsets) > SMALL else in_place
        decoded = await compute(decode, part, self.scorer.vocabulary)
        emission, rejections = Emission.of(decoded, wanted=wanted), list(decoded.rejections)
        taken = len(part.offsets)
        for item in decoded.parts:
            if isinstance(item, Control) and item.record and self.behind:
                taken = item.record
                break
            await self._fetch(item)
            try:
                rejections += await compute(score_part, item, part, self.scorer, emission)
            except BundleError as error:
                if not (isinstance(item, Control) and isinstance(item.message, Activate)):
                    raise
                raise RefusedError(str(error), int(part.offsets[item.record])) from error
        part, rejections = part.slice(0, taken), [item for item in rejections if item.record < taken]
        self._last = (int(part.offsets[-1]), fingerprint(part, -1))
        return finish(emission, rejections, part), taken

    def reject(self, part: Chunk) -> Emission:
        """Take in the one record of a part that makes the steps fail, without showing it to them."""
        detail = "expected every step to take the record, found one that fails at it"
        self._last = (int(part.offsets[-1]), fingerprint(part, -1))
        return Emission(dead_letters=encode.dead_letters([Rejection(0, Reason.INTERNAL_ERROR, detail)], part))

    async def adopt(self, marker: Marker) -> None:
        """Put what the opening has found out into the marker; the rows stay.

        Raises:
            LostWritesError: the store is not as it was taken over.
        """
        await self.store.write([], self.residents.matrix[:0], self.marker, marker)
        self.marker = marker

    async def probe(self) -> None:
        """Look whether the store still is as we left it.

        Raises:
            LostWritesError: it is not.
        """
        await self._read([])

    def snapshot(self, flushed: int) -> Snapshot:
        """Return what the store must be told so that it stands at ``flushed``, which must be the present position."""
        last, mark = self._last
        marker = self.marker._replace(flushed=flushed, last=last, fingerprint=mark, bundle=self.scorer.bundle.sha256)
        return Snapshot(*self.residents.take_changed(), marker)

    def kept(self, position: int) -> Kept | None:
        """Return the rows for the next opening, if the store has all of them as of the position."""
        whole = self.marker.flushed == position and not self.residents.changed
        return Kept(self.residents, self.marker) if whole else None

    async def flush(self, snapshot: Snapshot) -> None:
        """Write a snapshot; one at a time.

        Raises:
            LostWritesError: the store is not as we left it.
        """
        self.pending = snapshot.marker
        await self.store.write(snapshot.customers, snapshot.rows, self.marker, snapshot.marker)
        self.marker, self.pending = snapshot.marker, None
        if self.written is not None:
            self.written(snapshot)

    async def _fetch(self, part: Batch | Control) -> None:
        """Bring the rows into memory that a part needs."""
        if isinstance(part, Batch):
            await self._enter(self.residents.missing(part.customers))
        elif isinstance(part.message, Tick):
            await self._enter(self.residents.missing(await self._names(part.message.slice)))

    async def _enter(self, customers: list[bytes]) -> None:
        if customers:
            self.residents.enter(customers, await self._read(customers))

    async def _read(self, customers: list[bytes]) -> NDArray[np.float32]:
        before = self._valid()
        found, rows = await self.store.read(customers)
        self._check(found, before)
        return rows

    async def _names(self, slice_number: int) -> list[bytes]:
        before = self._valid()
        found, customers = await self.store.customers(slice_number)
        self._check(found, before)
        return customers

    def _valid(self) -> set[bytes]:
        """Return the markers that may stand in the store now; while a write is under way, two."""
        return {self.marker.encode(), (self.pending or self.marker).encode()}

    def _check(self, found: bytes, before: set[bytes]) -> None:
        """Raise if what was read stands under another marker than ours, as it was or has become during the reading."""
        if found not in before | self._valid():
            raise LostWritesError(self.marker.encode(), found)
