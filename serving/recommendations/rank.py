"""Rank: one number for each candidate, by what the model scores and by its heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import Bundle, head_output
from serving.items import Item
from serving.recommendations.candidates import Candidate
from serving.recommendations.policy import HeadTerm

Numbers = npt.NDArray[np.float64]


def worth(
    candidates: Sequence[Candidate], items: Mapping[str, Item], raised_by: Mapping[HeadTerm, float]
) -> Numbers:
    """What each candidate is worth to the person, float64 [candidates]: from 0, the least, to 1 by
    score, and what the heads add.

    An item that came after the model was trained is taken to be as good as those, of the ones that
    content found as well, that the model knows are in the middle.

    Args:
        raised_by: a term of the policy -> the probability that its head foretells.
    """
    found = _from_zero_to_one(_scores(candidates))
    for term, probability in raised_by.items():
        found = found + term.weight * probability * _places(
            [items[one.item_id].values.get(term.feature) for one in candidates]
        )
    return found


def probabilities(
    bundle: Bundle, answer: Mapping[str, npt.NDArray[np.float32]], terms: Sequence[HeadTerm]
) -> dict[HeadTerm, float]:
    """What the bundle's heads foretell, calibrated; of binary heads that it has.

    Args:
        answer: of the query tower.
    """
    found = {}
    for term in terms:
        head = bundle.heads.get(term.head)
        if head is not None and head.kind == "binary":
            told = head.calibration(answer[head_output(head.name)][None, :])
            found[term] = float(np.ravel(told)[0])
    return found


def _scores(candidates: Sequence[Candidate]) -> Numbers:
    known = np.array([np.nan if one.score is None else one.score for one in candidates])
    if candidates and candidates[0].found_by == ("popular",):
        known = np.log1p(known)
    by_content = np.array(["content" in one.found_by for one in candidates], bool)
    like_them = known[by_content & ~np.isnan(known)]
    if not len(like_them):
        like_them = known[~np.isnan(known)]
    middle = float(np.median(like_them)) if len(like_them) else 0.0
    return np.where(np.isnan(known), middle, known)


def _from_zero_to_one(numbers: Numbers) -> Numbers:
    if not len(numbers):
        return numbers
    least, most = numbers.min(), numbers.max()
    return np.ones_like(numbers) if most == least else (numbers - least) / (most - least)


def _places(values: Sequence[float | None]) -> Numbers:
    """Share of the other candidates whose value is lower; half for a value that nobody knows."""
    known = np.array([np.nan if value is None else float(value) for value in values])
    there = np.sort(known[~np.isnan(known)])
    if len(there) < 2:
        return np.full(len(known), 0.5)
    lower = np.searchsorted(there, known) + np.searchsorted(there, known, side="right") - 1
    return np.where(np.isnan(known), 0.5, lower / 2 / (len(there) - 1))
