"""Fits a head's calibration on the validation window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from profilestore.calibration import Calibration

_PERCENTS = np.linspace(0.0, 1.0, 101)


def calibrated(
    kind: str, scores: npt.NDArray[np.float32], values: npt.NDArray[np.float32]
) -> Calibration:
    """The calibration of a head.

    `binary`: Platt scaling, with his smoothed targets (Platt 1999). `category`: temperature scaling
    (Guo et al., ICML 2017). `amount`: so that the amounts told add up to those that came.

    Args:
        scores: float32 [rows, outputs], as the head exports them.
        values: float32 [rows], labels, all known.
    """
    slope, offset = _FITS[kind](scores.astype(np.float64), values.astype(np.float64))
    found = Calibration(kind, float(slope), float(offset), ())
    told = found(scores)
    most = told.max(axis=1) if told.ndim == 2 else told
    return replace(found, quantiles=tuple(np.quantile(most, _PERCENTS).tolist()))


def _platt(scores: npt.NDArray, values: npt.NDArray) -> tuple[float, float]:
    logit = scores[:, 0]
    positives = values.sum()
    target = np.where(
        values > 0,
        (positives + 1.0) / (positives + 2.0),
        1.0 / (len(values) - positives + 2.0),
    )

    def loss(at: npt.NDArray) -> tuple[float, npt.NDArray]:
        raw = at[0] * logit + at[1]
        # log(1 + e^raw) - target raw is the cross-entropy.
        off = 1.0 / (1.0 + np.exp(-raw)) - target
        return (
            float(np.mean(np.logaddexp(0.0, raw) - target * raw)),
            np.array([np.mean(off * logit), np.mean(off)]),
        )

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
    return slope, offset


def _temperature(scores: npt.NDArray, values: npt.NDArray) -> tuple[float, float]:
    rows, own = np.arange(len(values)), values.astype(np.int64)

    def loss(log_slope: float) -> float:
        return float(-np.mean(log_softmax(np.exp(log_slope) * scores, axis=1)[rows, own]))

    return float(np.exp(minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded").x)), 0.0


def _total(scores: npt.NDArray, values: npt.NDArray) -> tuple[float, float]:
    told = scores[:, 0].sum()
    return (values.sum() / told if told > 0 else 1.0), 0.0


_FITS = {"binary": _platt, "category": _temperature, "amount": _total}
