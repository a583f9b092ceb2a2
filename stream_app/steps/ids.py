"""Ids in bulk: which are not accepted, and what a row remembers of them."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from schemas.accepted import LONGEST_ID
from stream_app.steps.stages import Whole


def id_hashes(transaction_ids: list[bytes]) -> Whole:
    """Return 48 bits of an unseeded BLAKE2b of each id as two numbers below 2**24, never both 0; int64 [n, 2]."""
    digests = b"".join([blake2b(name, digest_size=6).digest() for name in transaction_ids])
    part = np.frombuffer(digests, np.uint8).reshape(-1, 2, 3).astype(np.int64)
    hashes = part[:, :, 0] << 16 | part[:, :, 1] << 8 | part[:, :, 2]
    hashes[(hashes == 0).all(axis=1), 1] = 1
    return hashes


def odd_ids(ids: list[bytes]) -> NDArray[np.bool_]:
    """Return which ids are empty, too long or hold a NUL."""
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    odd: NDArray[np.bool_] = (lengths == 0) | (lengths > LONGEST_ID)
    if b"\0" in b"".join(ids):
        odd |= np.array([b"\0" in name for name in ids])
    return odd
