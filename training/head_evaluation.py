"""How good the heads are on the test window, calibrated, beside saying the same of everybody."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from profilestore.calibration import Calibration
from training.calibrate import calibrated
from training.dataset import TEST, VALIDATION, Dataset, evenly
from training.evaluate import predict_scores
from training.labels import Label
from training.towers import QueryTower

_BINS = 10
# Rows of a window that are looked at, at most, evenly spaced.
_MOST_ROWS = 50_000
Told = npt.NDArray[np.float64]
_WINDOWS = (VALIDATION, TEST)


def judge_heads(
    query_tower: QueryTower, dataset: Dataset, labels: Mapping[str, Label]
) -> tuple[dict[str, Calibration], dict[str, dict[str, float]]]:
    """Calibrations by head, fitted on the validation window; and metrics of the test window."""
    calibrations, metrics = {}, {}
    for name, label in labels.items():
        rows = {split: evenly(label.rows(dataset, split), _MOST_ROWS) for split in _WINDOWS}
        scores = {
            split: predict_scores(query_tower, dataset.query, of_split)[name]
            for split, of_split in rows.items()
        }
        values = {split: label.values[of_split] for split, of_split in rows.items()}
        kind = label.head.kind
        calibration = calibrated(kind, scores[VALIDATION], values[VALIDATION])
        told = {split: calibration(scores[split]) for split in _WINDOWS}
        if kind == "binary":
            threshold = best_threshold(told[VALIDATION], values[VALIDATION])
            found = binary_metrics(told[TEST], values[TEST], threshold)
        elif kind == "category":
            found = category_metrics(told[TEST], values[TEST])
        else:
            found = amount_metrics(told[TEST], values[TEST])
        calibrations[name], metrics[name] = calibration, found
    return calibrations, metrics


def binary_metrics(told: Told, values: npt.NDArray, threshold: float) -> dict[str, float]:
    """Of probabilities float64 [rows] and labels 0 or 1 [rows]."""
    said, true = told >= threshold, values > 0
    hits = float(np.count_nonzero(said & true))
    precision = hits / max(np.count_nonzero(said), 1)
    recall = hits / max(np.count_nonzero(true), 1)
    rate = float(true.mean())
    return {
        "rows": len(values),
        "rate": rate,
        "auc": auc(told, values),
        "log_loss": log_loss(told, values),
        "log_loss_of_the_rate": log_loss(np.full(len(values), rate), values),
        "brier": float(np.mean((told - values) ** 2)),
        "calibration_error": calibration_error(told, values),
        "threshold": threshold,
        "accuracy": float(np.mean(said == true)),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-12),
    }


def category_metrics(told: Told, values: npt.NDArray) -> dict[str, float]:
    """Of probabilities float64 [rows, classes] and class numbers [rows]."""
    own = values.astype(np.int64)
    said = told.argmax(axis=1)
    classes = told.shape[1]
    share = np.bincount(own, minlength=classes) / len(own)
    f1 = []
    for one in np.flatnonzero(share):
        hits = np.count_nonzero((said == one) & (own == one))
        f1.append(2 * hits / max(np.count_nonzero(said == one) + np.count_nonzero(own == one), 1))
    right = (said == own).astype(float)
    return {
        "rows": len(values),
        "accuracy": float(right.mean()),
        "accuracy_of_the_most_frequent": float(share.max()),
        "macro_f1": float(np.mean(f1)),
        "log_loss": float(-np.mean(np.log(np.maximum(told[np.arange(len(own)), own], 1e-12)))),
        "log_loss_of_the_rate": float(-np.sum(share[share > 0] * np.log(share[share > 0]))),
        "calibration_error": calibration_error(told.max(axis=1), right),
    }


def amount_metrics(told: Told, values: npt.NDArray) -> dict[str, float]:
    """Of amounts float64 [rows] and those that came [rows].

    `gini`: the area between the Lorenz curve of what came, richest told first, and the diagonal,
    over that of a perfect order (Wang, Liu and Miao 2019).
    """
    return {
        "rows": len(values),
        "mean": float(values.mean()),
        "total_told_over_came": float(told.sum() / max(values.sum(), 1e-12)),
        "mean_absolute_error": float(np.abs(told - values).mean()),
        "mean_absolute_error_of_the_mean": float(np.abs(values - values.mean()).mean()),
        "gini": _gini(told, values) / max(_gini(values, values), 1e-12),
    }


def best_threshold(told: Told, values: npt.NDArray) -> float:
    """The probability from which on a yes has the highest F1."""
    order = np.argsort(-told, kind="stable")
    hits = np.cumsum(values[order] > 0)
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])
    # A threshold takes all rows of equal probability or none.
    last_of_equals = np.append(np.diff(told[order]) != 0, True)
    return float(told[order][np.argmax(np.where(last_of_equals, f1, -1.0))])


def auc(told: Told, values: npt.NDArray) -> float:
    """The chance that a yes was told more than a no, ties by half (Mann and Whitney 1947)."""
    true = values > 0
    yes = np.count_nonzero(true)
    ranks = rankdata(told)
    return float((ranks[true].sum() - yes * (yes + 1) / 2) / max(yes * (len(values) - yes), 1))


def log_loss(told: Told, values: npt.NDArray) -> float:
    kept = np.clip(told, 1e-12, 1 - 1e-12)
    return float(-np.mean(values * np.log(kept) + (1 - values) * np.log(1 - kept)))


def calibration_error(told: Told, values: npt.NDArray) -> float:
    """Mean distance between what was told and what came, over tenths of the rows by what was told
    (expected calibration error with bins of equal mass, Nixon et al. 2019)."""
    order = np.argsort(told, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    off = [abs(told[part].mean() - values[part].mean()) * len(part) for part in parts]
    return float(sum(off) / len(told))


def _gini(order_by: Told, values: npt.NDArray) -> float:
    came = values[np.argsort(-order_by, kind="stable")]
    lorenz = np.cumsum(came) / max(came.sum(), 1e-12)
    return float(lorenz.mean() - 0.5)
