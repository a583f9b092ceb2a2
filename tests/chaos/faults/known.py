"""All faults, and how often each comes in a campaign of eight minutes and in a short one."""

from typing import Final, NamedTuple

from tests.chaos.faults import brokers, network, records, stores, workers
from tests.chaos.faults.port import Fault


class Known(NamedTuple):
    """A fault, and how often it comes.

    Attributes:
        fault: its class.
        often: in eight minutes.
        short: in a short campaign.
    """

    fault: type[Fault]
    often: int
    short: int


FAULTS: Final = {
    known.fault.name: known
    for known in (
        Known(workers.Kill, 24, 5),
        Known(workers.Terminate, 4, 1),
        Known(workers.Zombie, 6, 1),
        Known(workers.Scale, 5, 1),
        Known(stores.LostTail, 5, 1),
        Known(stores.Flushed, 2, 1),
        Known(stores.FailOver, 2, 0),
        Known(stores.OutOfMemory, 1, 1),
        Known(stores.PausedRedis, 1, 0),
        Known(stores.FullDisk, 1, 0),
        Known(brokers.StoppedBroker, 1, 0),
        Known(brokers.KilledBroker, 2, 1),
        Known(brokers.PausedBroker, 1, 0),
        Known(brokers.RestartWhileOpening, 2, 0),
        Known(network.CutFromBroker, 2, 1),
        Known(network.CutFromRedis, 2, 0),
        Known(records.Activated, 2, 1),
        Known(records.Poison, 1, 1),
        Known(records.Storm, 1, 1),
    )
}
BROKER: Final = frozenset({"broker-restart", "broker-kill", "broker-pause", "broker-opening"})
"""Faults of the broker itself."""
