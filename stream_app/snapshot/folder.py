"""The folder of a group's snapshots: where each stands, which one fits, and which are too many.

    FOLDER/GROUP/TOPIC-PARTITION/LAYOUT-OFFSET.parquet

The offset is that of the first record that is not in the rows, in twenty digits.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from aiokafka import TopicPartition

from schemas.errors import InputError
from stream_app.kernel.layout import Layout
from stream_app.settings import Settings
from stream_app.snapshot.stamp import SUFFIX, Stamp

if TYPE_CHECKING:
    from stream_app.snapshot.file import SnapshotFile  # loads pyarrow, which few workers need

_log: Final = logging.getLogger(__name__)
_NAME: Final = re.compile(rf"([0-9a-f]+)-([0-9]{{20}}){re.escape(SUFFIX)}")
_LEFT_S: Final = 86_400.0
"""What was begun so long ago and never finished is of a process that was killed."""
_T = TypeVar("_T")


class Apart(Protocol):
    """Runs what blocks beside the event loop, as ``asyncio.to_thread`` does."""

    def __call__(self, work: Callable[..., _T], /, *arguments: Any) -> Coroutine[Any, Any, _T]:  # noqa: ANN401  (those of the work)
        """Return what the work returns."""


@dataclass(frozen=True)
class Snapshots:
    """A folder of snapshots, of which one group's are looked at. The methods that are no coroutines block.

    Attributes:
        folder: of all groups.
        group: whose rows.
        layout: hash of the state layout.
        row_width: float32 in a row.
        apart: what runs that which blocks.
    """

    folder: Path
    group: str
    layout: str
    row_width: int
    apart: Apart = asyncio.to_thread

    @classmethod
    def of(cls, settings: Settings, layout: Layout) -> "Snapshots | None":
        """Return those that settings name; None where they name no folder."""
        if not settings.snapshots:
            return None
        return cls(Path(settings.snapshots), settings.group, layout.hash, layout.row_width)

    def stamp(self, name: TopicPartition) -> Stamp:
        """Return what a partition's snapshots are of."""
        return Stamp(
            group=self.group,
            topic=name.topic,
            partition=name.partition,
            layout=self.layout,
            row_width=self.row_width,
        )

    def place(self, name: TopicPartition, flushed: int) -> Path:
        """Return where a partition's snapshot at an offset stands."""
        return self.home(name) / f"{self.layout}-{flushed:020}{SUFFIX}"

    def home(self, name: TopicPartition) -> Path:
        """Return the folder of a partition's snapshots."""
        return self.folder / self.group / f"{name.topic}-{name.partition}"

    def offsets(self, name: TopicPartition) -> list[int]:
        """Return the offsets of a partition's snapshots in this layout, the newest first; whole or not."""
        home = self.home(name)
        found = [_NAME.fullmatch(path.name) for path in home.iterdir()] if home.is_dir() else []
        return sorted((int(match[2]) for match in found if match and match[1] == self.layout), reverse=True)

    def age_s(self, name: TopicPartition) -> float | None:
        """Return how long ago the newest snapshot was saved, seconds; None where there is none."""
        newest = next(iter(self.offsets(name)), None)
        with suppress(FileNotFoundError):  # removed since
            if newest is not None:
                return max(time.time() - self.place(name, newest).stat().st_mtime, 0.0)
        return None

    def prune(self, name: TopicPartition, kept: int) -> None:
        """Remove all but the newest, and what killed processes have left."""
        for offset in self.offsets(name)[kept:]:
            self.place(name, offset).unlink(missing_ok=True)
        for part in self.home(name).glob(".*.part"):
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > _LEFT_S:
                    part.unlink()

    def fitting(self, name: TopicPartition, first: int, upto: int, partitions: int) -> Iterator["SnapshotFile"]:
        """Yield the snapshots that the log continues, the newest first; those that cannot be used are told of.

        Args:
            name: topic and partition.
            first: offset of the first record that the log still has.
            upto: no snapshot may be further.
            partitions: of the topic.
        """
        from stream_app.snapshot.file import SnapshotFile  # noqa: PLC0415  (loads pyarrow)

        for offset in self.offsets(name):
            if first <= offset <= upto:
                try:
                    opened = SnapshotFile.open(self.place(name, offset))
                    expect(opened, self.stamp(name), partitions)
                except InputError as error:
                    _log.warning("%s", error)
                else:
                    yield opened

    async def newest(self, name: TopicPartition, first: int, upto: int, partitions: int) -> "SnapshotFile | None":
        """Return the newest snapshot that the log continues; None if there is none. The arguments as of ``fitting``."""
        return await self.apart(next, self.fitting(name, first, upto, partitions), None)


def expect(found: "SnapshotFile", wanted: Stamp, partitions: int) -> None:
    """Prove that a snapshot is of what is wanted.

    Raises:
        InputError: it is not.
    """
    stamp = found.stamp
    for what, expected, seen in (
        ("group", wanted.group, stamp.group),
        ("topic", wanted.topic, stamp.topic),
        ("partition", wanted.partition, stamp.partition),
        ("state layout", wanted.layout, stamp.layout),
        ("row width", wanted.row_width, stamp.row_width),
        ("number of partitions", partitions, stamp.partitions),
    ):
        if expected != seen:
            message = (
                f"Expected a snapshot of {what} {expected}, found one of {seen} at {found.path}; take another one."
            )
            raise InputError(message)
