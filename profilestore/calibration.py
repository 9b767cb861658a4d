"""What a head's score is worth: calibrated to what came true, and as a percentile.

Fitted by training on the validation window, carried by the bundle, applied by serving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """From a head's exported scores to what is told.

    Attributes:
        kind: `binary`, `category` or `amount`.
        slope: logits are multiplied by it; of an amount, the amount.
        offset: added to the logits of `binary`.
        quantiles: of what is told on the validation window, at 0, 1, ... 100 %; of a category, of
            the probability of its most likely class.
    """

    kind: str
    slope: float
    offset: float
    quantiles: tuple[float, ...]

    def __call__(self, scores: npt.NDArray[np.floating]) -> Scores:
        """Of scores float [rows, outputs]: probabilities float64 [rows] of `binary`, [rows,
        classes] of `category`, amounts [rows] of `amount`."""
        wide = scores.astype(np.float64)
        if self.kind == "amount":
            return self.slope * wide[:, 0]
        if self.kind == "binary":
            told: Scores = 1.0 / (1.0 + np.exp(-(self.slope * wide[:, 0] + self.offset)))
            return told
        logits = self.slope * wide
        shifted: Scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Scores = shifted / shifted.sum(axis=1, keepdims=True)
        return shares

    def percentile(self, told: float) -> float:
        """How many in a hundred of the validation window were told less, or as much with half."""
        below = np.searchsorted(self.quantiles, told, side="left")
        upto = np.searchsorted(self.quantiles, told, side="right")
        return float(100.0 * (below + upto) / (2 * len(self.quantiles)))

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "slope": self.slope,
            "offset": self.offset,
            "quantiles": list(self.quantiles),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Calibration:
        return cls(told["kind"], told["slope"], told["offset"], tuple(told["quantiles"]))
