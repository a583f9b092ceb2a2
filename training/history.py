"""How a training went, epoch by epoch."""

from dataclasses import dataclass, field

from training.arrays import Floats


@dataclass
class History:
    """What each epoch ended with.

    Attributes:
        training: the weighted training loss.
        validation: each task's validation loss as a share of what its prior loses, float64 [tasks].
        total: the weighted validation loss, which decides.
        best: the epoch whose weights were kept, from 0.
    """

    training: list[float] = field(default_factory=list)
    validation: list[Floats] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    best: int = 0
