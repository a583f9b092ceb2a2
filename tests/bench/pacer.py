"""Sends transactions at a steady rate, those of 10 ms together at the time that they are due.

python -m tests.bench.pacer WORKLOAD RATE FILE [ROUND_S]: two times of each go to the file, when it was due, which is
its creation, and when it was sent. The workload is JSON. With ROUND_S ticks go with them: a round of all slices in so
many seconds, at the time of the transactions.
"""

import asyncio
import gc
import sys
import time
from itertools import islice, product
from pathlib import Path

import msgspec
import numpy as np
import uvloop

from schemas.messages import SLICES
from stream_app import settings
from tests.bench.filling import Batches, producer
from tests.bench.generator import Record, Workload, time_of

SLICE_S = 0.01


def ticks(work: Workload, slices: range, time_ms: int) -> list[Record]:
    """Return a tick of each slice for each partition."""
    values = ((b'{"kind":"tick","slice":%d,"time":%d}' % (number % SLICES, time_ms)) for number in slices)
    return [Record(-1, partition, None, value) for value, partition in product(values, range(work.partitions))]


async def _run(work: Workload, rate: int, out: Path, round_s: float) -> None:
    chosen = settings.load()
    sender = producer(chosen)
    await sender.start()
    records, created, sent = iter(list(work)), list[float](), list[float]()
    gc.collect()
    gc.freeze()
    batches, began = Batches(sender, chosen.transactions_topic), time.time() + 0.1
    for number in range(work.records * 1000 // rate):
        due = began + number * SLICE_S
        part = list(islice(records, int((number + 1) * rate * SLICE_S) - int(number * rate * SLICE_S)))
        for record in part:
            batches.add(record)
        if round_s and part:
            elapsed_s = number * SLICE_S
            due_ticks = range(*(int((elapsed_s + more_s) * SLICES / round_s) for more_s in (0.0, SLICE_S)))
            for record in ticks(work, due_ticks, time_of(part[-1].value)):
                batches.add(record)
        if due > time.time():
            await asyncio.sleep(due - time.time())
        created += [due] * len(part)
        sent += [time.time()] * len(part)
        await batches.send()
        if len(created) == work.records:
            break
    await sender.stop()
    np.save(out, np.array([created, sent]))


if __name__ == "__main__":
    told, pace, file, *seconds = sys.argv[1:]
    uvloop.run(
        _run(msgspec.json.decode(told, type=Workload), int(pace), Path(file), float(seconds[0]) if seconds else 0.0)
    )
