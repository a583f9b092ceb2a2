"""When each record of a log is to leave."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas import codec
from schemas.accepted import epoch_ms, time_problem
from schemas.messages import Activate
from stream_app.offline.shipment import Part

Seconds = NDArray[np.float64]


class Pace(Protocol):
    """Says when records leave; is asked part by part, in order."""

    def due_s(self, part: Part) -> Seconds:
        """Return float64 [records], seconds after the start; never falling."""


class AtOnce:
    """As fast as they are taken."""

    def due_s(self, part: Part) -> Seconds:
        """Return 0 for each."""
        return np.zeros(len(part))


class Evenly:
    """So many records a second. What an outage holds up is caught up on."""

    def __init__(self, rate: float) -> None:
        """Take the records per second."""
        self._rate, self._done = rate, 0

    def due_s(self, part: Part) -> Seconds:
        """Return the n-th record's n / rate."""
        numbers = np.arange(self._done, self._done + len(part))
        self._done += len(part)
        return numbers / self._rate


class AsTheyHappened:
    """As far apart as their event times, so many times faster.

    A record that is late, that tells no time or one that the stream would refuse leaves with the one before it.
    """

    def __init__(self, speed: float) -> None:
        """Take how many times faster than event time."""
        self._speed = speed
        self._first_ms: int | None = None
        self._latest_s = 0.0

    def due_s(self, part: Part) -> Seconds:
        """Return how long after the first time in the log each latest time so far is."""
        due = np.empty(len(part))
        for k, (value, record_time) in enumerate(zip(part.values, part.record_times.tolist(), strict=True)):
            time_ms = _event_time(value)
            if time_ms is not None and time_problem(time_ms, record_time) is None:
                self._first_ms = time_ms if self._first_ms is None else self._first_ms
                self._latest_s = max(self._latest_s, (time_ms - self._first_ms) / 1000 / self._speed)
            due[k] = self._latest_s
        return due


def _event_time(value: bytes | None) -> int | None:
    record = None if value is None else codec.decode(value)
    match record:
        case None | (_, _) | Activate():
            return None
    time = getattr(record, "time", None)
    return None if time is None else epoch_ms(time)
