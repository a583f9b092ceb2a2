"""One opening of a partition: takes chunks, lets out what they give, commits, flushes. Any exception ends it.

At every moment: flushed ≤ committed ≤ position. What the store holds is a function of ``flushed``, what consumers see
is one of ``committed``; between ``flushed`` and ``committed`` the steps run again and nothing is emitted.
"""

import asyncio
import contextlib
from typing import Final

from aiokafka.structs import OffsetAndMetadata

from stream_app.engine.delivery import Delivery, Sent
from stream_app.engine.errors import OutOfStepError, RefusedError
from stream_app.engine.holding import Holding
from stream_app.engine.opening import Opened, begin_anew
from stream_app.engine.ports import Fetched
from stream_app.engine.work import FLUSH_ROWS, PartitionWork, Snapshot, fingerprint
from stream_app.scorer import Emission
from stream_app.steps.stages import Chunk
from stream_app.store.port import LostWritesError

ASTRAY_PROBES: Final = 2


class Session:
    """One opening of a partition."""

    def __init__(self, holding: Holding, opened: Opened, delivery: Delivery, generation: int) -> None:
        """Begin where the partition was opened."""
        self._holding, self._around, self._progress = holding, holding.around, holding.progress
        self._work, self._beginning, self._verify = opened.work, opened.beginning, opened.verify
        self._delivery, self._generation = delivery, generation
        self._deadline: float | None = None
        self._commit: asyncio.Task[None] | None = None
        self._flush: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._alerts = list[Sent]()
        self._flushed_s = _now()
        self._astray = 0
        progress = self._progress
        progress.position, progress.committed = opened.start, opened.committed
        progress.flushed, progress.moved_s = opened.work.marker.flushed, _now()
        self._tell_opened()

    async def run(self) -> None:
        """Take chunks until the partition is to be let go; then commit and flush what has been taken."""
        while True:
            fetched = await self._next()
            self._raise_failure()
            if self._holding.stopping:
                return await self._drain()
            if fetched is not None and fetched.generation == self._generation:
                await self._take(fetched)
            if self._commit is not None and self._commit.done():
                await self._settle_commit()
            if self._deadline is not None and _now() >= self._deadline:
                await self._settle_commit()
                self._start_commit()
            elif self._deadline is None and self._commit is None:
                self._flush_if_due()
            self._evict()

    def fail(self, error: Exception) -> None:
        """End with an error at the next turn of the loop, unless there is an earlier one."""
        self._failure = self._failure or error
        self._holding.waiting.put_nowait(None)

    async def probe(self) -> None:
        """Look after a partition that may be idle: has the store lost writes, has a chunk been lost?"""
        try:
            await self._work.probe()
        except LostWritesError as error:
            self.fail(error)
        source, progress, name = self._around.source, self._progress, self._holding.name
        delivered = source.delivered(name)
        lost = delivered not in {None, progress.position} and self._holding.waiting.empty()
        if not lost and progress.position <= progress.committed and not source.lag().get(name, 0):
            progress.trouble = ""
        self._astray = self._astray + 1 if lost else 0
        if self._astray >= ASTRAY_PROBES:
            self.fail(OutOfStepError(f"delivered up to {delivered}, taken up to {self._progress.position}"))
        self._holding.waiting.put_nowait(None)

    @property
    def work(self) -> PartitionWork:
        """Return the rows, and what has been written of them."""
        return self._work

    @property
    def behind(self) -> bool:
        """Return whether so many rows are unwritten that no more should be fetched."""
        return self._work.behind

    async def close(self) -> None:
        """Drop everything that is under way."""
        await _cancelled(self._commit)
        await _cancelled(self._flush)  # which the commit may have begun at its very end

    # -- chunks --------------------------------------------------------------------------------------------------------

    async def _next(self) -> Fetched | None:
        """Return the next chunk, or None when something else is due."""
        waiting = self._holding.waiting
        wait = None
        if self._deadline is not None:
            wait = max(self._deadline - _now(), 0.0)
        elif self._unflushed and self._flush is None:
            wait = self._around.settings.flush_ms / 1000
        try:
            fetched = waiting.get_nowait() if not waiting.empty() else await asyncio.wait_for(waiting.get(), wait)
        except TimeoutError:
            return None
        self._holding.room.set()
        return fetched

    async def _take(self, fetched: Fetched) -> None:
        """Take a chunk in, which must continue the position."""
        progress, recovery = self._progress, self._holding.recovery
        if fetched.start != progress.position:
            message = f"expected a chunk from {progress.position}, found one from {fetched.start}"
            raise OutOfStepError(message)
        chunk = fetched.chunk if self._verify is None else self._verified(fetched.chunk, self._verify)
        for part in recovery.parts(chunk, progress.committed):
            await self._take_part(part)
        self._tell_opened()
        progress.position, progress.moved_s, progress.rows = fetched.end, _now(), len(self._work.residents)
        self._around.metrics.chunks.observe(len(chunk.offsets))
        self._astray = 0

    async def _take_part(self, part: Chunk) -> None:
        recovery = self._holding.recovery
        while len(part.offsets):
            recovery.trying(part)
            emission, records = await self._score(part)
            taken, part = part.slice(0, records), part.slice(records, len(part.offsets))
            recovery.done(taken)
            await self._emit(taken, emission)
            self._progress.position = int(taken.offsets[-1]) + 1
            if self._work.behind:
                await self._drain()
                self._evict()

    def _tell_opened(self) -> None:
        """Say that the partition is worked on, once what it was last refused for has been passed."""
        fence = self._holding.recovery.fence
        if self._verify is None and (fence is None or self._progress.position > fence):
            self._holding.recovery.fence = None
            self._progress.opened, self._progress.refused = True, ""

    async def _score(self, part: Chunk) -> tuple[Emission, int]:
        first = int(part.offsets[0])
        if first in self._holding.recovery.poison:
            return self._work.reject(part), 1
        try:
            return await self._work.score(part, wanted=first >= self._progress.committed)
        except RefusedError as error:
            if error.offset == first:  # nothing of this part has touched a row
                await self._drain()
            self._holding.recovery.stopped(error.offset)
            raise

    def _verified(self, chunk: Chunk, expected: tuple[int, str]) -> Chunk:
        """Return the first chunk without its first record, which must be the one that the marker knows.

        Raises:
            RefusedError: it is another one.
        """
        self._verify = None
        if (int(chunk.offsets[0]), fingerprint(chunk, 0)) != expected:
            name, group = self._holding.name, self._around.settings.group
            message = (
                f"Expected at offset {expected[0]} of {name.topic}-{name.partition} the record that the rows were "
                f"computed from, found another: the topic was made anew; {begin_anew(name, group)}"
            )
            raise RefusedError(message)
        return chunk.slice(1, len(chunk.offsets))

    async def _emit(self, part: Chunk, emission: Emission) -> None:
        """Let out what a part gave, if it lies beyond what is committed."""
        if int(part.offsets[0]) < self._progress.committed:
            return
        self._around.metrics.count(part, emission)
        alerts = await self._around.alerts.send(self._holding.name.partition, emission.alerts)
        if self._delivery.in_transactions:  # one at a time; computing has not waited for it, sending must
            await self._settle_commit()
        self._alerts += alerts
        if self._deadline is None:
            await self._delivery.begin()
            self._deadline = _now() + self._holding.commit_s
        await self._delivery.send(emission.scores, emission.dead_letters)

    # -- commit and flush ----------------------------------------------------------------------------------------------

    def _start_commit(self) -> None:
        """Commit in the background, up to here; the snapshot is taken now, before the next chunk changes the rows."""
        upto, self._deadline = self._progress.position, None
        snapshot = self._work.snapshot(upto) if self._flush_is_due() else None
        alerts, self._alerts = self._alerts, []
        self._commit = asyncio.create_task(self._commit_upto(upto, snapshot, alerts))
        self._commit.add_done_callback(self._wake)

    async def _commit_upto(self, upto: int, snapshot: Snapshot | None, alerts: list[Sent]) -> None:
        started = _now()
        await self._around.alerts.settle(alerts)
        await self._delivery.commit(OffsetAndMetadata(upto, self._beginning))
        self._progress.committed, self._progress.trouble = upto, ""
        self._holding.recovery.got_on()
        self._around.metrics.commit_s.observe(_now() - started)
        if snapshot is not None:
            self._flush = asyncio.create_task(self._write(snapshot))

    async def _settle_commit(self) -> None:
        if self._commit is not None:
            await self._commit
            self._commit = None

    def _flush_if_due(self) -> None:
        """Flush where everything is committed: no row that is not may reach the store."""
        if self._flush_is_due() and self._progress.position <= self._progress.committed:
            self._flush = asyncio.create_task(self._write(self._work.snapshot(self._progress.position)))

    def _flush_is_due(self) -> bool:
        if self._flush is not None or not self._unflushed:
            return False
        late = _now() - self._flushed_s >= self._around.settings.flush_ms / 1000
        return late or self._work.residents.changed >= FLUSH_ROWS

    @property
    def _unflushed(self) -> bool:
        """Return whether the store does not stand at the position yet; also records that change no row move it on."""
        return self._progress.position > self._progress.flushed

    async def _write(self, snapshot: Snapshot) -> None:
        """Write a snapshot to the store; a failure is told to the loop, which is where failures are dealt with."""
        started = _now()
        try:
            await self._work.flush(snapshot)
        except Exception as error:  # noqa: BLE001  (raised again by the loop)
            self.fail(error)
        else:
            self._progress.flushed = snapshot.marker.flushed
            self._holding.recovery.got_on()
            self._around.metrics.flush_s.observe(_now() - started)
        self._flushed_s, self._flush = _now(), None
        self._holding.waiting.put_nowait(None)

    def _evict(self) -> None:
        """Keep no more rows than there may be; one that is on its way to the store must stay until it is there."""
        residents = self._work.residents
        if self._commit is None and self._flush is None:
            residents.evict(self._holding.most_rows)

    async def _drain(self) -> None:
        """Commit and flush what has been taken."""
        await self._settle_commit()
        if self._deadline is not None:
            self._start_commit()
            await self._settle_commit()
        if self._flush is not None:
            await self._flush
        self._raise_failure()
        if self._unflushed and self._progress.position <= self._progress.committed:
            await self._write(self._work.snapshot(self._progress.position))
            self._raise_failure()

    def _wake(self, _: "asyncio.Task[None]") -> None:
        """Let the loop look at what has ended: nothing else may come for a long time."""
        self._holding.waiting.put_nowait(None)

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _cancelled(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await task
