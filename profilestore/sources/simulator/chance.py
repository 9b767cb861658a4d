"""Draws that can be repeated, and rows as columns.

Each stream of chance has a name and a place in the run, so that no part's draws depend on how much
another part has drawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]
Ids = NDArray[np.uint64]
Columns = dict[str, NDArray[Any]]
"""Rows of one kind: arrays of the same length by name."""

SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
"""Milliseconds."""


def stream(seed: int, name: str, *place: int) -> np.random.Generator:
    """The generator of one part of the run; the same for the same arguments."""
    key = (zlib.crc32(name.encode()), *place)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def scrambled(seed: int, name: str, numbers: Ints) -> Ids:
    """A random-looking 64-bit value for each number; two numbers never share one.

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014) after a salt: both are bijections.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    mixed: Ids = numbers.astype(np.uint64) + sequence.generate_state(1, np.uint64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def unit(seed: int, name: str, numbers: Ints) -> Floats:
    """A fraction in [0, 1) for each number, without a generator's state."""
    return (scrambled(seed, name, numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def place(shard: int, day: int, count: int, *, after: int = 0) -> Ints:
    """Numbers that no other shard, day or row has, to make ids of: [count]."""
    numbers: Ints = np.arange(count) + ((shard << 44) + (day << 32) + after)
    return numbers


def choice(rng: np.random.Generator, cumulative: Floats, count: int) -> Ints:
    """`count` indices, drawn with the given cumulative chances [k]."""
    drawn = rng.random(count) * cumulative[-1]
    found: Ints = np.searchsorted(cumulative[:-1], drawn, "right").astype(np.int64)
    return found


def pick(columns: Columns, index: Ints | Flags) -> Columns:
    """The rows at `index`."""
    return {name: values[index] for name, values in columns.items()}


def stack(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts, in order; each has the columns of the first."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
