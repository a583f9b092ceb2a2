"""Recipes: how a network is trained. Its numbers were chosen on validation rows of public data, never on test rows."""

from dataclasses import dataclass
from typing import Final

NETWORKS: Final = ("shared-bottom", "towers", "task-embedding", "mmoe", "ple")
"""Architectures (``training.architectures``), in the order of their sizes."""
WEIGHTS: Final = ("sqrt", "static", "uncertainty", "dwa")
"""What a task counts for in the loss (``training.weights``)."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        layers: widths of the shared layers, multiples of 16; the article's network has one of 64.
        units: piecewise-linear units beside the inputs, at most; without teachers there are none.
        dropout: share of the shared units that a step leaves out.
        epochs: at most so many passes over the training rows.
        patience: stop after so many passes without a better validation loss.
        rate: the learning rate at the start.
        decay: weight decay (AdamW).
        trust: the teacher's share in the target of a labelled row; the rest is the label's.
        unlabelled: what a row counts for a task that has no label there, beside one that has.
        classes: what a task of classes counts beside the others.
        network: the architecture, one of ``NETWORKS``.
        weights: what the tasks count for, one of ``WEIGHTS``.
    """

    layers: tuple[int, ...] = (64, 256)
    units: int = 64
    dropout: float = 0.05
    epochs: int = 20
    patience: int = 6
    rate: float = 3e-3
    decay: float = 0.1
    trust: float = 0.7
    unlabelled: float = 0.5
    classes: float = 1.0
    network: str = NETWORKS[0]
    weights: str = WEIGHTS[0]


TAUGHT: Final = Recipe()
"""With teachers."""
QUICK: Final = Recipe(layers=(128, 64), units=0, rate=1e-3, decay=1.0)
"""Without: labels alone are soon learned by heart, so the network is smaller, and decays more."""
