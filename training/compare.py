"""Two bundles side by side: the same questions, and how sure the difference is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from profilestore.artifacts import current_path
from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.settings import Settings
from training.bootstrap import interval_of_mean
from training.kept_ranks import FILE, KeptRanks
from training.metrics import Figures, ndcg, recall

# What `training.evaluate.TwoTowerScorer` is called; importing it would start TensorFlow.
_MODEL = "two-tower"
_DRAWS = 10_000
_DRAWN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ndcg@10": partial(ndcg, cut=10),
    "recall@10": partial(recall, cut=10),
}
_ALIKE = ("seen_items", "candidates")


@dataclass(frozen=True)
class Measured:
    """A bundle's figures on its test window.

    Attributes:
        metrics: what its metrics.json says.
        kept: the ranks behind them.
    """

    version: str
    metrics: dict[str, Any]
    kept: KeptRanks

    @property
    def figures(self) -> Figures:
        figures: Figures = self.metrics["test"][_MODEL]
        return figures


@dataclass(frozen=True)
class Difference:
    """The second bundle's mean over rows less the first's.

    Attributes:
        low, high: ends of its 95 % interval.
    """

    metric: str
    first: float
    second: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether zero is outside of the interval."""
        return not self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class Comparison:
    first: Measured
    second: Measured
    rows: int
    people: int
    differences: list[Difference]


def find_bundle(settings: Settings, name: str) -> Path:
    """The folder of a bundle: a version below data/models, `current`, or a path.

    Raises:
        MissingStageError: none is there.
    """
    if name == "current":
        return current_path(settings)
    for folder in (settings.models / name, Path(name)):
        if (folder / "bundle.json").is_file():
            return folder.resolve()
    raise MissingStageError(
        f"no bundle {name!r}: {settings.models} has no such version, and there is no such folder. "
        "`ls data/models` lists versions; `make train` makes one."
    )


def read_measured(settings: Settings, name: str) -> Measured:
    """What `python -m training evaluate` found of a bundle, else what its training found.

    Raises:
        MissingStageError: no such bundle.
        ProfilestoreError: it keeps no ranks, and was not evaluated again either.
    """
    bundle = find_bundle(settings, name)
    again = settings.evaluations / bundle.name
    folder = again if (again / FILE).exists() else bundle
    kept = KeptRanks.read(folder)
    return Measured(bundle.name, json.loads((folder / "metrics.json").read_text()), kept)


def compare(first: Measured, second: Measured) -> Comparison:
    """Both models on the same rows.

    Raises:
        InputError: they were asked other questions, or too few people asked.
    """
    _require_same(first, second)
    person = first.kept.person
    people = int(person.max()) + 1
    if people < 2:
        raise InputError(
            f"{first.version} and {second.version}: the test window has rows of one person alone, "
            "so nothing says how much people differ. Raise test_share."
        )
    differences = []
    for metric, of in _DRAWN.items():
        one, other = (of(bundle.kept.ranks[_MODEL]) for bundle in (first, second))
        low, high = interval_of_mean(other - one, person, draws=_DRAWS)
        differences.append(Difference(metric, float(one.mean()), float(other.mean()), low, high))
    return Comparison(first, second, len(person), people, differences)


def as_text(found: Comparison) -> str:
    """For people: every figure of both, then the intervals."""
    first, second = found.first, found.second
    names = [
        name
        for name in first.figures
        if not name.endswith("_standard_error") and name in second.figures
    ]
    wide = max(map(len, (first.version, second.version)))
    lines = [f"{'test window':20} {first.version:>{wide}} {second.version:>{wide}}"]
    lines += [
        f"{name:20} {_number(first.figures[name]):>{wide}} {_number(second.figures[name]):>{wide}}"
        for name in names
    ]
    lines.append(
        f"\nDifference, second less first, with its 95 % interval: {found.people:,} people "
        f"({found.rows:,} rows) drawn anew {_DRAWS:,} times"
    )
    lines += [
        f"{one.metric:20} {one.second - one.first:+.4f}  [{one.low:+.4f}, {one.high:+.4f}]"
        + ("" if one.is_sure else "  zero is within: no difference shown")
        for one in found.differences
    ]
    return "\n".join(lines)


def as_json(found: Comparison) -> str:
    """For machines."""
    document = {
        "first": {"version": found.first.version, "test": found.first.figures},
        "second": {"version": found.second.version, "test": found.second.figures},
        "rows": found.rows,
        "people": found.people,
        "draws": _DRAWS,
        "differences": {
            one.metric: {
                "difference": one.second - one.first,
                "low": one.low,
                "high": one.high,
                "is_sure": one.is_sure,
            }
            for one in found.differences
        },
    }
    return json.dumps(document, indent=2)


def _require_same(first: Measured, second: Measured) -> None:
    for one in (first, second):
        if _MODEL not in one.kept.ranks:
            raise ProfilestoreError(f"bundle {one.version} keeps no ranks of its own model.")
    protocols = [one.metrics["protocol"] for one in (first, second)]
    if not first.kept.same_questions(second.kept):
        windows = [
            f"{one.version} on {protocol['test']['rows']:,} rows from "
            f"{protocol['test']['from'][:10]} to {protocol['test']['to'][:10]}"
            for one, protocol in zip((first, second), protocols, strict=True)
        ]
        raise InputError(
            f"the bundles were tested on different windows: {windows[0]}, {windows[1]}. "
            "Train both on one snapshot (`--snapshot`) with the same shares."
        )
    for name in _ALIKE:
        values = [protocol[name] for protocol in protocols]
        if values[0] != values[1]:
            raise InputError(
                f"the bundles were tested by different protocols: {name} is {values[0]} of "
                f"{first.version} and {values[1]} of {second.version}."
            )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
