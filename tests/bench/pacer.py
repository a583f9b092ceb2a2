"""Sends transactions at a steady rate, those of 10 ms together at the time that they are due.

python -m tests.bench.pacer CUSTOMERS RECORDS ZIPF PARTITIONS RATE FILE: two times of each go to the file, when it was
due, which is its creation, and when it was sent.
"""

import asyncio
import gc
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import uvloop

from stream_app import settings
from tests.bench.filling import Batches, producer
from tests.bench.generator import Workload

SLICE_S = 0.01


async def _run(work: Workload, rate: int, out: Path) -> None:
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
    customers, count, zipf, partitions, pace, file = sys.argv[1:]
    uvloop.run(_run(Workload(int(customers), int(count), float(zipf), int(partitions)), int(pace), Path(file)))
