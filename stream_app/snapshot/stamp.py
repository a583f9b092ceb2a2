"""What a snapshot is of, and how it is named; what serves where no file is opened."""

import secrets
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_app.store.port import Marker

Part = tuple[list[bytes], NDArray[np.float32]]
"""Customers, and their rows: float32 [n, row width]."""
FORMAT: Final = 1
SUFFIX: Final = ".parquet"


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is of.

    Attributes:
        group: whose rows they are.
        topic: the input.
        partition: its partition.
        layout: hash of the state layout.
        row_width: float32 in a row.
        flushed: offset of the first record that is not in the rows.
        partitions: of the topic.
        last: offset of the last record in the rows, -1 if there is none.
        fingerprint: of that record.
        bundle: sha256 of the bundle in force.
        started: sha256 of the bundle that the worker was last told to start with.
        format: of the file.
    """

    group: str
    topic: str
    partition: int
    layout: str
    row_width: int
    flushed: int = 0
    partitions: int = 0
    last: int = -1
    fingerprint: str = ""
    bundle: str = ""
    started: str = ""
    format: int = FORMAT

    @property
    def where(self) -> str:
        """Return topic and partition as messages name them."""
        return f"{self.topic}-{self.partition}"

    def marker(self) -> Marker:
        """Return the marker that belongs to the rows, under an owner that no marker has had."""
        return Marker(
            secrets.token_hex(8),
            self.flushed,
            self.partitions,
            self.last,
            self.fingerprint,
            self.bundle,
            self.started,
        )

    def at(self, marker: Marker) -> "Stamp":
        """Return the stamp of rows that stand at a marker."""
        fields = {name: value for name, value in marker._asdict().items() if name != "owner"}
        return msgspec.structs.replace(self, **fields)
