"""Chance without a random generator: every synthetic value is a hash of its row's number.

So the same arguments give the same rows on every machine and with every library version, and any
batch of rows can be made without those before it.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.int64]


def draw(seed: int, purpose: str, index: Numbers) -> Numbers:
    """For each index a number from 0 to 2^63 - 1, independent for each seed and purpose.

    The finalizer of splitmix64 over the index; numpy's unsigned integers wrap as it needs.
    """
    key = int.from_bytes(blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest(), "little")
    mixed = index.astype(np.uint64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed += np.uint64(key)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(1)).astype(np.int64)


def pick(options: Sequence[str | None], index: Numbers) -> pl.Series:
    """The option at each index, as text."""
    return pl.Series(options, dtype=pl.String).gather(index)


def identity(prefix: str, number: Numbers) -> pl.Series:
    """`S101` for each number: how PowerSchool keeps its overlapping numbers apart."""
    return prefix + pl.Series(number).cast(pl.String)
