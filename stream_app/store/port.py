"""What a store of rows must do: keep the rows of one partition, and with them how far the log has been taken in.

What a store holds is a function of the marker's offset and nothing else. So a write is right if and only if the marker
is the one that this owner wrote last, and a read is right if and only if the marker read with it is.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ForetellError

MOST_ROWS: Final = 100_000
"""In one write. Redis takes at most 2^20 arguments in a command and serves nobody else for about a second of these."""

_FORMAT: Final = "1"
_RESTORING: Final = b"restoring:"
_OLDEST_REDIS: Final = 6


class StoreError(ForetellError):
    """A store that cannot be used before the operator has acted."""


class OtherLayoutError(StoreError):
    """The group's rows of a partition are in another state layout.

    Attributes:
        found: the layout that they are in.
    """

    def __init__(self, where: str, expected: str, found: str) -> None:
        """Tell which rows of which layout were expected."""
        self.found = found
        super().__init__(
            f"Expected the rows of {where} in state layout {expected}, found {found}: another worker of this group has "
            "another bundle, or had one before; give all the same, or choose another FORETELL_GROUP, which takes the "
            "log in anew."
        )


class LostWritesError(Exception):
    """The marker is not the one that this owner wrote last: another owner has taken over, or the store lost writes."""

    def __init__(self, expected: bytes, found: bytes) -> None:
        """Tell both markers."""
        super().__init__(f"expected the marker {expected.decode()}, found {found.decode(errors='replace') or 'none'}")


class Marker(NamedTuple):
    """How far a partition's log has been taken into its rows.

    Attributes:
        owner: random for each opening, so that no two owners write the same marker.
        flushed: offset of the first record that is not in the rows.
        partitions: of the topic, when this was written.
        last: offset of the last record in the rows, -1 if there is none.
        fingerprint: of that record: another one at its offset means another log.
        bundle: sha256 of the bundle in force at ``flushed``; empty before the first.
        started: sha256 of the bundle that the worker was last told to start with.
    """

    owner: str = ""
    flushed: int = 0
    partitions: int = 0
    last: int = -1
    fingerprint: str = ""
    bundle: str = ""
    started: str = ""

    def encode(self) -> bytes:
        """Return the marker as the store keeps it; what it begins with tells the format."""
        return ":".join([_FORMAT, *map(str, self)]).encode()

    @classmethod
    def decode(cls, text: bytes | None, where: str = "the store") -> "Marker":
        """Return the marker that a store keeps; none is the marker of a partition never seen.

        Raises:
            StoreError: it is of another format.
        """
        if not text:
            return cls()
        try:
            form, owner, flushed, partitions, last, fingerprint, bundle, started = text.decode().split(":")
            if form == _FORMAT:
                return cls(owner, int(flushed), int(partitions), int(last), fingerprint, bundle, started)
        except ValueError:  # not as many fields, no numbers, or no text
            pass
        if text.startswith(_RESTORING):
            raise UnfinishedError(Unfinished(text.removeprefix(_RESTORING).decode()), where)
        message = (
            f"Expected a marker of format {_FORMAT} in {where}, found {text[:100]!r}: the rows are another version's, "
            "or something else has written there; use that version, or choose another FORETELL_GROUP, which takes the "
            "log in anew."
        )
        raise StoreError(message)


class Unfinished(Marker):
    """The marker of rows that are being restored from a snapshot: of another format, so that no worker takes them."""

    def encode(self) -> bytes:
        """Return the marker as the store keeps it."""
        return _RESTORING + self.owner.encode()


class UnfinishedError(StoreError):
    """The rows are being restored, or a restore was cut short.

    Attributes:
        marker: that stands there.
    """

    def __init__(self, marker: Unfinished, where: str) -> None:
        """Tell where."""
        self.marker = marker
        super().__init__(
            f"Expected whole rows in {where}, found that they are being restored from a snapshot; wait until that has "
            "ended, and if it was cut short, run `foretell snapshot restore` again."
        )


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """What a store says of itself. Of a Cluster, what the node says that there is most to say about.

    Attributes:
        server: ``Redis``, ``Valkey`` or ``memory``.
        version: as the server writes it.
        cluster: whether it is a node of a Cluster.
        primary: whether it takes writes; a replica does not.
        maxmemory_bytes: how much it may keep; 0 is no limit.
        maxmemory_policy: what it removes when there is more.
        appendonly: whether it writes each change to disk.
        saved: whether it could write to disk when it last tried.
        skew_s: its clock minus this machine's, seconds, give or take half a round trip.
    """

    server: str
    version: str
    cluster: bool = False
    primary: bool = True
    maxmemory_bytes: int = 0
    maxmemory_policy: str = "noeviction"
    appendonly: bool = True
    saved: bool = True
    skew_s: float = 0.0


def store_problems(facts: StoreFacts) -> list[str]:
    """Return why rows must not be kept in a store, each with what to do; nothing where they may."""
    found = []
    if facts.maxmemory_bytes and facts.maxmemory_policy != "noeviction":
        found.append(
            f"Expected {facts.server} to keep all rows, found maxmemory-policy {facts.maxmemory_policy} and maxmemory "
            f"{facts.maxmemory_bytes}: it may remove customers' rows when it is full; set maxmemory-policy noeviction."
        )
    if facts.server == "Redis" and _major(facts.version) < _OLDEST_REDIS:
        found.append(f"Expected Redis {_OLDEST_REDIS} or later, or Valkey, found {facts.version}; upgrade it.")
    return found


def store_warnings(facts: StoreFacts) -> list[str]:
    """Return what is allowed but costs something when it goes wrong, each with what to do."""
    found = []
    if not facts.maxmemory_bytes and facts.maxmemory_policy != "noeviction":
        found.append(
            f"Expected maxmemory-policy noeviction, found {facts.maxmemory_policy}, which does nothing without a "
            "maxmemory; set noeviction."
        )
    if not facts.appendonly and facts.server != "memory":
        found.append(
            f"Expected {facts.server} to write each change to disk, found appendonly no: after a crash the log is "
            "taken in again from the last snapshot or from its beginning; set appendonly yes."
        )
    if not facts.saved:
        found.append(
            f"Expected {facts.server} to write to its disk, found that it could not when it last tried; look at its "
            "log and the room on its disk."
        )
    if not facts.primary:
        found.append(
            f"Expected a primary, found a replica of {facts.server}, which takes no writes: workers wait until it is "
            "promoted; name the primary in FORETELL_REDIS."
        )
    return found


class RowStore(Protocol):
    """Rows of one partition by customer, with their marker. An unknown customer has an empty row (all bits zero).

    Every method waits as long as the store is away: back-pressure, never loss. Each may be cancelled at any time; a
    cancelled write has been done or not.
    """

    async def take_over(self, owner: str) -> Marker:
        """Put ``owner`` into the marker, keeping the rest, and return it: the former owner's writes fail from now on.

        Raises:
            OtherLayoutError: the group's rows of this partition are in another layout; nothing is changed.
            StoreError: the marker is of another format; nothing is changed.
        """

    async def read(self, customers: list[bytes]) -> tuple[bytes, NDArray[np.float32]]:
        """Return the marker and rows, float32 [n, row width], as they are at one instant.

        Raises:
            StoreError: a row has another width.
        """

    async def customers(self, slice_number: int) -> tuple[bytes, list[bytes]]:
        """Return the marker and the customers of a slice whose rows are kept, in any order, at one instant."""

    async def write(self, customers: list[bytes], rows: NDArray[np.float32], old: Marker, new: Marker) -> None:
        """Keep rows and the new marker, all at once, if the marker is ``old``. A row of zeros is no longer kept.

        A write may be repeated: where the marker is ``new`` already, it has been done. So rows need a new marker.

        Raises:
            LostWritesError: the marker is neither ``old`` nor ``new``; nothing is changed.
            ValueError: there are more than ``MOST_ROWS``, of another width, or rows without a new marker.
        """


class Stores(Protocol):
    """A connection to where rows are kept. Nothing is asked of it before the first call."""

    @property
    def problem(self) -> str:
        """Return why the store does not answer just now and what to do; empty if it does."""

    def open(self, topic: str, partition: int, layout: str, row_width: int) -> RowStore:
        """Return the store of a partition's rows in a state layout, each of ``row_width`` float32."""

    async def facts(self) -> StoreFacts:
        """Return what the store says of itself; waits as long as it is away, and ``problem`` says so meanwhile.

        Raises:
            StoreError: it refuses this user.
        """

    async def close(self) -> None:
        """Let go of all connections."""


def check_write(customers: list[bytes], rows: NDArray[np.float32], row_width: int, old: Marker, new: Marker) -> None:
    """Prove that a write can be done at once and repeated.

    Raises:
        ValueError: it cannot.
    """
    if rows.shape != (len(customers), row_width) or rows.dtype != np.float32:
        message = f"Expected float32 [{len(customers)}, {row_width}], found {rows.dtype} {list(rows.shape)}."
        raise ValueError(message)
    if len(customers) > MOST_ROWS:
        message = f"Expected at most {MOST_ROWS} rows in a write, found {len(customers)}; write more often."
        raise ValueError(message)
    if customers and old == new:
        message = f"Expected a new marker beside rows, found {new} again; a repeat could not be told from a new write."
        raise ValueError(message)


def kept(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which rows are kept: those with any bit set, bool [n]."""
    bits: NDArray[np.uint32] = np.ascontiguousarray(rows).view(np.uint32)
    found: NDArray[np.bool_] = np.any(bits, axis=1)
    return found


def _major(version: str) -> int:
    number = version.partition(".")[0]
    return int(number) if number.isdecimal() else _OLDEST_REDIS
