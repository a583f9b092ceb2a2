"""Start-up: from the start of the process until the worker says that it is ready."""

import time
from collections.abc import Iterator

from tests.bench.figures import Sample
from tests.bench.filling import make
from tests.bench.place import Place


def startup(place: Place) -> Iterator[Sample]:
    """Yield the time of a start on an empty topic; a first start fills numba's cache and does not count."""
    topics = place.topics("startup")
    make(place, topics, 4)
    for counts in (False, True):
        began = time.monotonic()
        with place.worker(topics) as worker:
            worker.wait_ready()
            taken = time.monotonic() - began
            worker.terminate()
        if counts:
            yield Sample("start to ready, warm cache", taken, "s", "lower")
    place.drop(topics)
