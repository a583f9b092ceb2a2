"""Splits samples into training, validation, calibration and test."""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from schemas.spec import Spec
from training.arrays import Flags, Floats, Ints
from training.log import Log
from training.rows import day_number, midnight_ms
from training.samples import Samples

SHARES: Final = {"train": 0.60, "validation": 0.13, "calibration": 0.12, "test": 0.15}
TRAIN, VALIDATION, CALIBRATION, TEST = range(4)
FOLDS: Final = 5
LATER_SHARE: Final = 0.25
"""Split by time: the share of labels that the test rows hold."""


@dataclass(frozen=True)
class Split:
    """Which labels serve what: bool [n, tasks] each, no two true at one place."""

    train: Flags
    validation: Flags
    calibration: Flags
    test: Flags
    cut_ms: int | None = None


def split(samples: Samples, log: Log, spec: Spec, how: Literal["customer", "time"], seed: int) -> Split:
    """Split the known labels.

    By customer: no group of customers stands on two sides. By time: test rows lie at or after a cut (``test_from`` of
    the spec, or where the last quarter of the labels begins); the labels of all other rows were settled before it, and
    those are split by customer. Rows between the cuts are learned from and stand on no other side.

    Args:
        samples: rows with labels.
        log: whose groups hold together.
        spec: which may name the cut.
        how: by customer or by time.
        seed: of the customers' places.
    """
    known = samples.labels.known
    part, asked = sides(log, seed)[samples.rows.customer], samples.rows.asked
    if how == "customer":
        train, *checked = (known & (part == side)[:, None] for side in (TRAIN, VALIDATION, CALIBRATION, TEST))
        return Split(train, *(side & asked[:, None] for side in checked))
    cut_ms = _cut(samples, spec)
    early = known & (samples.labels.settled_ms <= cut_ms)
    part = _side(places(log, seed)[samples.rows.customer] * (1.0 - SHARES["test"]))
    train, validation, calibration = (early & (part == side)[:, None] for side in (TRAIN, VALIDATION, CALIBRATION))
    tested = known & (samples.rows.time_ms >= cut_ms)[:, None]
    validation, calibration, tested = (side & asked[:, None] for side in (validation, calibration, tested))
    return Split(train, validation, calibration, tested, cut_ms)


def split_fold(samples: Samples, log: Log, fold: int, seed: int, strata: Flags) -> Split:
    """Split the known labels by customer, with one of ``FOLDS`` folds as the test rows.

    Each customer is in one fold, and no group of customers in two; the folds hold equal shares of each stratum.

    Args:
        samples: rows with labels.
        log: whose groups hold together.
        fold: from 0 on.
        seed: of the sides of the others; the folds themselves are always the same.
        strata: bool [customers], true of those whose share is to be equal in all folds.
    """
    _, group = np.unique(log.groups, return_inverse=True)
    stratum, place = np.zeros(group.max() + 1, np.bool_), np.zeros(group.max() + 1)
    np.logical_or.at(stratum, group, strata)
    place[group] = places(log, 0)
    order = np.lexsort((place, stratum))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    rank[stratum] -= int((~stratum).sum())
    known, mine = samples.labels.known, (rank % FOLDS)[group][samples.rows.customer]
    part = _side(places(log, seed)[samples.rows.customer] * (1.0 - SHARES["test"]))
    train, *checked = (known & ((mine != fold) & (part == side))[:, None] for side in (TRAIN, VALIDATION, CALIBRATION))
    tested = known & (mine == fold)[:, None]
    return Split(train, *(side & samples.rows.asked[:, None] for side in (*checked, tested)))


def sides(log: Log, seed: int) -> Ints:
    """Return the side of each customer in a split by customer."""
    return _side(places(log, seed))


def places(log: Log, seed: int) -> Floats:
    """Return a number in [0, 1) for each customer, the same for all of a group, whoever else is in the log."""
    key = str(seed).encode()
    digests = [hashlib.blake2b(str(group).encode(), digest_size=6, key=key).digest() for group in log.groups]
    return np.array([int.from_bytes(digest, "big") / 2**48 for digest in digests])


def _side(place: Floats) -> Ints:
    return np.searchsorted(np.cumsum(list(SHARES.values()))[:-1], place, "right")


def _cut(samples: Samples, spec: Spec) -> int:
    """Return the time that the spec names, or the one with the wanted share of labelled rows at or after it."""
    if spec.training.test_from is not None:
        return int(midnight_ms(np.array(day_number(spec.training.test_from)), spec))
    times = np.sort(samples.rows.time_ms[samples.labels.known.any(axis=1) & samples.rows.asked])
    return int(times[int(len(times) * (1.0 - LATER_SHARE))]) if len(times) else 0
