"""What an item's numbers say of how often it is turned to: where its score begins.

Much of what is turned to next is what many turn to now, and an item's windows of counts say which
that is. The weights that say it best are found ahead of training, in a minute of linear algebra;
gradient descent on both towers takes many epochs to find them, and where all is new each day, as in
news, nothing else helps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp

# Of the weights, in events: what a weight of one has to gain.
_PENALTY = 1.0


def popularity_weights(
    numbers: Sequence[npt.NDArray[np.float32]], counts: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.float32]:
    """Weights w for which softmax(numbers @ w) is nearest to what was turned to in each span.

    The conditional logit (McFadden 1974), with a ridge, by L-BFGS.

    Args:
        numbers: of each span, float32 [items, floats], standardised, as known at its start.
        counts: of each span, int64 [items], how often each was turned to in it.

    Returns:
        float32 [floats].
    """
    spans = [
        (values.astype(np.float64), count.astype(np.float64))
        for values, count in zip(numbers, counts, strict=True)
    ]

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, slope = _PENALTY * weights @ weights / 2, _PENALTY * weights
        for values, count in spans:
            scores = values @ weights
            whole = logsumexp(scores)
            value += count.sum() * whole - count @ scores
            slope = slope + values.T @ (count.sum() * np.exp(scores - whole) - count)
        return float(value), slope

    floats = numbers[0].shape[1]
    found = minimize(loss, np.zeros(floats), jac=True, method="L-BFGS-B")
    return found.x.astype(np.float32)
