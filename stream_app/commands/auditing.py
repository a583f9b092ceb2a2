"""The audit of a live system: what is read from Kafka and Redis, and in which order.

The order matters. First the rows with their marker, then how far the group has committed, then what it has told: so
all that is compared is there, although workers go on meanwhile.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from numpy.typing import NDArray

from schemas.errors import ForetellError
from schemas.progress import Progress
from stream_app.audit import comparison
from stream_app.audit.findings import Findings
from stream_app.audit.rebuild import Rebuilding
from stream_app.audit.told import Kind, Name, Told
from stream_app.bundle import Bundle
from stream_app.commands.broker import PATIENCE_S, translated
from stream_app.commands.group import Reach, chunks, reach, records, written
from stream_app.settings import Settings, variable
from stream_app.shelf import Shelf
from stream_app.snapshot.folder import Snapshots
from stream_app.store.port import Marker, Stores

Rows = dict[bytes, NDArray[np.float32]]


class NotAuditedError(ForetellError):
    """Something that cannot be audited; the message says why."""

    exit_code = 2


@dataclass(frozen=True)
class Live:
    """A live system.

    Attributes:
        settings: of its workers.
        shelf: their bundles.
        consumer: of their group, which does not join it.
        stores: their rows.
        partitions: of the input.
        snapshots: where they stand; None where there are none.
    """

    settings: Settings
    shelf: Shelf
    consumer: AIOKafkaConsumer
    stores: Stores
    partitions: int
    snapshots: Snapshots | None


@dataclass(frozen=True)
class _Start:
    """Where the customers are computed from: an offset, the bundle in force there, and their rows there."""

    offset: int
    bundle: Bundle
    rows: Mapping[bytes, NDArray[np.float32] | None]


class PartitionAudit:
    """The audit of some customers of one partition."""

    def __init__(self, live: Live, number: int, customers: list[bytes], findings: Findings) -> None:
        """Take what to look at and where to note it."""
        self._live, self._customers, self._findings = live, sorted(customers), findings
        self._name = TopicPartition(live.settings.transactions_topic, number)
        self._layout = live.shelf.first.rolling.layout
        self._untold = False

    async def run(self, progress: Progress) -> None:
        """Compare.

        Raises:
            NotAuditedError: the partition cannot be audited.
            ForetellError: Kafka or the store does not answer, or refuses.
        """
        marker, rows = await self._rows()
        log = await reach(self._live.consumer, self._live.settings, self._name)
        start = await self._start(log, marker)
        told = await self._told()
        rebuilding = Rebuilding(self._live.shelf, start.bundle, self._place, start.rows, told.passed_over)
        committed, total = log.committed or 0, (log.committed or 0) - start.offset
        for first, end in ((start.offset, marker.flushed), (marker.flushed, committed)):
            async for chunk in chunks(self._live.consumer, self._live.settings, self._name, first, end):
                for name, message in rebuilding.take(chunk):
                    self._compare_message(told, name, message, committed)
                progress.step(f"audit {self._where}", int(chunk.offsets[-1]) + 1 - start.offset, total)
            if end == marker.flushed:
                self._compare_rows(rebuilding, rows)
                rows = {}
        self._compare_rest(told, start.offset, committed)
        self._findings.customers += len(self._customers)
        self._findings.partitions += 1

    @property
    def _place(self) -> tuple[str, int]:
        return self._name.topic, self._name.partition

    @property
    def _where(self) -> str:
        return f"{self._name.topic}-{self._name.partition}"

    # -- what is read --------------------------------------------------------------------------------------------------

    async def _rows(self) -> tuple[Marker, Rows]:
        store = self._live.stores.open(*self._place, self._layout.hash, self._layout.row_width)
        try:
            async with asyncio.timeout(PATIENCE_S):
                found, rows = await store.read(self._customers)
        except TimeoutError as error:
            silent = f"Expected an answer of the store within {PATIENCE_S:g} s, found none; look after it."
            raise NotAuditedError(self._live.stores.problem or silent) from error
        marker = Marker.decode(found)
        if not marker.flushed:
            message = (
                f"Expected rows of {self._where} in state layout {self._layout.hash}, found none; start a worker, or "
                f"correct {variable('group')} or {variable('bundle')}."
            )
            raise NotAuditedError(message)
        return marker, dict(zip(self._customers, rows, strict=True))

    async def _start(self, log: Reach, marker: Marker) -> _Start:
        """Return where to begin: where the group did, else at the oldest snapshot that the log continues."""
        beginning, shelf = log.beginning, self._live.shelf
        if log.committed is None:
            message = f"Expected a committed offset of {self._where}, found none; start a worker."
            raise NotAuditedError(message)
        if beginning is not None and log.first <= beginning.first:
            return _Start(beginning.first, self._bundle(beginning.bundle), dict.fromkeys(self._customers))
        if beginning is None and log.first == 0:
            return _Start(0, shelf.first, dict.fromkeys(self._customers))
        snapshots = self._live.snapshots
        wanted = (self._name, log.first, marker.flushed, self._live.partitions)
        fitting = list(snapshots.fitting(*wanted)) if snapshots else []
        if not fitting:
            message = (
                f"Expected the log of {self._where} to reach back to where its rows begin, or a snapshot that it "
                f"continues, found its first record at {log.first} and no such snapshot; name their folder in "
                f"{variable('snapshots')}."
            )
            raise NotAuditedError(message)
        rows: dict[bytes, NDArray[np.float32] | None] = dict.fromkeys(self._customers)
        for customers, lines in fitting[-1].parts():
            rows |= {name: line.copy() for name, line in zip(customers, lines, strict=True) if name in rows}
        return _Start(fitting[-1].stamp.flushed, self._bundle(fitting[-1].stamp.bundle), rows)

    def _bundle(self, sha256: str) -> Bundle:
        found = self._live.shelf.find(sha256)
        if found is None:
            message = (
                f"Expected the bundle {sha256}, which scored {self._where}, in {self._live.shelf.folder}, found it not "
                f"there; put its folder there, or name another place in {variable('bundles')}."
            )
            raise NotAuditedError(message)
        return found

    async def _told(self) -> Told:
        """Read the output topics up to their present ends."""
        settings, consumer = self._live.settings, self._live.consumer
        told = Told(f"{self._where}-", frozenset(self._customers))
        topics = {
            Kind.SCORE: settings.scores_topic,
            Kind.ALERT: settings.alerts_topic,
            Kind.LETTER: settings.dlq_topic,
        }
        names = {kind: TopicPartition(topic, self._name.partition) for kind, topic in topics.items()}
        ends = await written(settings, list(names.values()))
        for kind, name in names.items():
            with translated(settings, name.topic):
                consumer.assign([name])
                first = int((await consumer.beginning_offsets([name]))[name])
                consumer.seek(name, first)
            async for found in records(consumer, settings, name, ends[name]):
                told.take(kind, found)
            if first == 0 and kind is not Kind.SCORE and Kind.SCORE in told.since:
                told.since[kind] = told.since[Kind.SCORE]  # nothing has gone, and all kinds began together
        return told

    # -- what is compared ----------------------------------------------------------------------------------------------

    def _compare_rows(self, rebuilding: Rebuilding, rows: Rows) -> None:
        findings = self._findings
        for customer, found in rows.items():
            expected = rebuilding.row(customer)
            findings.compared[Kind.ROW] += 1
            if not comparison.same_row(expected, found, self._layout, exact=findings.exact):
                near = comparison.same_row(expected, found, self._layout, exact=False)
                name = customer.decode(errors="replace")
                where = comparison.where(expected, found, self._layout)
                findings.differ(Kind.ROW, f"of customer {name} in {self._where}: {where}", near=near)

    def _compare_message(self, told: Told, name: Name, expected: bytes, committed: int) -> None:
        """Compare one message with what was told, if it should have been told and may still be there."""
        found = told.messages.pop(name, None)
        since, findings = told.since.get(name.kind), self._findings
        if since is None and name.kind is Kind.SCORE and name.offset < committed:
            self._untold = True
        if since is None or not since <= name.offset < committed:
            return
        if name.kind is Kind.ALERT and not findings.exact:
            return
        findings.compared[name.kind] += 1
        if found is None:
            findings.differ(name.kind, f"{name} in {self._where}: missing", near=name.kind is Kind.ALERT)
        elif name.kind is Kind.SCORE and not comparison.same_score(expected, found, exact=findings.exact):
            near = comparison.same_score(expected, found, exact=False)
            findings.differ(name.kind, f"{name} in {self._where}: {found.decode(errors='replace')}", near=near)
        elif name.kind is not Kind.SCORE and found != expected:
            findings.differ(name.kind, f"{name} in {self._where}: other bytes", near=name.kind is Kind.ALERT)
        if name in told.repeated and name.kind is not Kind.ALERT and self._once:
            findings.differ(name.kind, f"{name} in {self._where}: there more than once")

    def _compare_rest(self, told: Told, start: int, committed: int) -> None:
        """Note what was told and should not have been."""
        findings = self._findings
        for name in sorted(told.messages):
            since = max(told.since.get(name.kind, 0), start)
            if since <= name.offset < committed and (findings.exact or name.kind is not Kind.ALERT):
                findings.differ(name.kind, f"{name} in {self._where}: unexpected", near=name.kind is Kind.ALERT)
        if self._untold:
            findings.not_audited.append(
                f"Expected scores of {self._where} in {self._live.settings.scores_topic}, found none: they have gone, "
                "or the group began with --from now and nothing has come since."
            )
        for kind, what in told.wrong:
            findings.differ(kind, f"in {self._where}: {what}")

    @property
    def _once(self) -> bool:
        return self._live.settings.delivery == "exactly_once"
