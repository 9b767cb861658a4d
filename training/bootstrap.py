"""Confidence intervals by drawing people anew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Times that a person is drawn, which are in memory at once.
_MOST_DRAWN = 4_000_000


def interval_of_mean(
    values: npt.NDArray[np.float64],
    person: npt.NDArray[np.int32],
    *,
    draws: int = 10_000,
    share: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the mean over rows, of people drawn with replacement.

    Rows of one person are not independent, so whole people are drawn with all their rows (the
    cluster bootstrap: Field and Welsh, J. Royal Statistical Society B 2007; for ranking, Sakai,
    SIGIR 2006, who draws topics). With differences between two scorers on the same rows as values
    it is the paired bootstrap.

    Args:
        values: float64 [rows].
        person: int32 [rows], at least two different ones, from 0 on without gaps.
    """
    random = np.random.default_rng(seed)
    total, rows = np.bincount(person, values), np.bincount(person)
    people = len(rows)
    means = []
    step = max(1, _MOST_DRAWN // people)
    for first in range(0, draws, step):
        drawn = random.multinomial(
            people, np.full(people, 1 / people), size=min(step, draws - first)
        )
        means.append(drawn @ total / (drawn @ rows))
    outside = (1 - share) / 2
    low, high = np.quantile(np.concatenate(means), (outside, 1 - outside))
    return float(low), float(high)
