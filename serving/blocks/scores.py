"""Scores: what the heads of the model foretell, calibrated and as percentiles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from profilestore.artifacts import BundleHead, head_output
from serving.blocks.known import Known
from serving.blocks.model import Model
from serving.documents import Score, ScoreCalibration, ScoresBlock

# Who does not come back is lost: a head that foretells the one tells the other.
RETURNS, CHURN = "returns_", "churn_"
_METHODS = {
    "binary": "logistic on the logit (Platt), fitted on the validation window",
    "category": "temperature on the logits, fitted on the validation window",
    "amount": "factor on the expected amount, fitted on the validation window",
}


def scores_block(known: Known, model: Model) -> ScoresBlock:
    """A score of each head of the bundle, and the churn that each head of returns leaves."""
    about = model.about()
    asked = model.asked
    if asked is None:
        return ScoresBlock(**about, scores={})
    if not asked.bundle.heads:
        about |= {
            "state": "missing",
            "as_of": None,
            "reason": "The model has no heads: its log was too short, or says neither yes nor no.",
        }
        return ScoresBlock(**about, scores={})
    scores = {}
    for head in asked.bundle.heads.values():
        for name, score in _scores(known, head, asked.answer[head_output(head.name)]):
            scores[name] = score
    return ScoresBlock(**about, scores=scores)


def scores_of(head: BundleHead, output: np.ndarray) -> dict[str, float]:
    """What a head's output says of somebody, by name of the score."""
    value = float(np.max(head.calibration(output[None, :])[0]))
    return dict(zip(score_names(head), (value, 1.0 - value), strict=False))


def score_names(head: BundleHead) -> tuple[str, ...]:
    """Scores that a head tells: its own, and of returns the churn that they leave."""
    if head.kind == "binary" and head.name.startswith(RETURNS):
        return head.name, head.name.replace(RETURNS, CHURN, 1)
    return (head.name,)


def _scores(known: Known, head: BundleHead, output: np.ndarray) -> Iterator[tuple[str, Score]]:
    told = head.calibration(output[None, :])[0]
    value = float(np.max(told))
    percentile = head.calibration.percentile(value)
    calibration = ScoreCalibration(
        method=_METHODS[head.kind],
        slope=head.calibration.slope,
        offset=head.calibration.offset,
        reached=dict(head.reached),
    )
    column = _column(known, head)
    when = f"{head.after_days} days from now"
    category = unit = None
    if head.kind == "binary":
        unit = "fraction"
        meaning = f"Probability that {column} will be above {head.above:g}, {when}."
    elif head.kind == "amount":
        unit = _unit(known, head)
        meaning = f"What {column} is expected to be, {when}."
    else:
        unit = "fraction"
        category = head.classes[int(np.argmax(told))]
        meaning = f"Most likely {column}, with its probability."

    def score(value: float, percentile: float, meaning: str) -> Score:
        return Score(
            kind=head.kind,
            meaning=meaning,
            value=value if np.isfinite(value) else None,
            category=category,
            unit=unit,
            percentile=percentile if np.isfinite(value) else None,
            head=head.name,
            calibration=calibration,
        )

    own, *churn = score_names(head)
    yield own, score(value, percentile, meaning)
    for name in churn:
        lost = f"Probability that {column} will not be above {head.above:g}, {when}."
        yield name, score(1.0 - value, 100.0 - percentile, lost)


def _column(known: Known, head: BundleHead) -> str:
    """The column in the words of its mart, if the profile knows it."""
    for columns in known.layout.columns.values():
        for feature in columns:
            if feature.column == head.column and feature.description:
                words = feature.description.split(";")[0].rstrip(".")
                return f"“{words}” (`{head.column}`)"
    return f"`{head.column}`"


def _unit(known: Known, head: BundleHead) -> str | None:
    for columns in known.layout.columns.values():
        for feature in columns:
            if feature.column == head.column:
                return feature.tags.get("unit")
    return None
