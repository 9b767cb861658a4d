"""What scorers did on the test window: every figure of the report, and the ranks behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from profilestore.settings import Settings
from profilestore.sources import read_clock
from training.baselines.tuned import tuned_baselines
from training.beyond_accuracy import BeyondAccuracy, category_vectors
from training.dataset import TEST, TRAIN, VALIDATION, Dataset
from training.evaluate import ItemTimeline, TwoTowerScorer, from_epoch_us
from training.groups import by_heat, by_item_age, figures
from training.metrics import Figures
from training.ranking import Ranking, Seen, rank_all

MODEL = TwoTowerScorer.name


@dataclass(frozen=True)
class Measurement:
    """Scorers on the test window.

    Attributes:
        metrics: for metrics.json and the report.
        rankings: of each scorer, by its name.
    """

    metrics: dict[str, Any]
    rankings: dict[str, Ranking]


def measure(
    settings: Settings,
    dataset: Dataset,
    timeline: ItemTimeline,
    model: TwoTowerScorer,
    seen: Seen | None,
) -> Measurement:
    """Rank the test window by the model and by each tuned baseline.

    Args:
        timeline: of the validation and the test window.
        seen: what is filtered; None where items of before are ranked again.
    """
    rows = dataset.rows(TEST)
    # First, so that towers that cannot be ranked are not found out after minutes of tuning.
    own = rank_all(dataset, rows, model, seen)
    baselines, left_out = tuned_baselines(dataset, seen)
    rankings = {model.name: own} | {
        scorer.name: rank_all(dataset, rows, scorer, seen) for scorer in baselines
    }
    categories = category_vectors(
        dataset.candidate_encoding, timeline.inputs, timeline.item, len(dataset.item_ids)
    )
    beyond = BeyondAccuracy(dataset, categories)
    test = {
        name: ranking.metrics() | beyond.metrics(ranking, rows)
        for name, ranking in rankings.items()
    }
    metrics = {
        "protocol": _protocol(settings, dataset, seen, left_out),
        "test": test,
        "lift": _lift(test),
        "by_heat": figures(by_heat(seen or Seen(dataset), rows), rankings),
        "by_item_age": figures(by_item_age(dataset, rows), rankings),
    }
    return Measurement(metrics, rankings)


def say(metrics: Mapping[str, Any]) -> None:
    """Print the table of the test window."""
    columns = ("recall@10", "ndcg@10", "mrr", "coverage@10", "novelty@10", "popularity_lift@10")
    width = max(len(name) for name in metrics["test"])
    print(f"\n{'test window':{width}}", *columns)
    for name, row in metrics["test"].items():
        values = [
            f"{'-' if row[one] is None else format(row[one], '.4f'):>{len(one)}}" for one in columns
        ]
        print(f"{name:{width}}", *values)


def _protocol(
    settings: Settings, dataset: Dataset, seen: Seen | None, left_out: Sequence[str]
) -> dict[str, Any]:
    """How the figures were come by, with times on the log's own clock."""
    clock = read_clock(settings)

    def span(split: int) -> dict[str, Any]:
        rows = dataset.rows(split)
        first, last = (from_epoch_us(dataset.asked_at_us[rows[end]]) for end in (0, -1))
        return {
            "rows": len(rows),
            "people": len(np.unique(dataset.user[rows])),
            "from": clock.to_log(first).isoformat(),
            "to": clock.to_log(last).isoformat(),
        }

    return {
        "split": "by time: the latest events are the test, those before them the validation",
        "train": span(TRAIN),
        "validation": span(VALIDATION),
        "test": span(TEST),
        "candidates": len(dataset.item_ids),
        "seen_items": "filtered" if seen else "kept",
        "ranking": (
            "each test event is one row; its item is ranked among all items of the catalogue"
            f"{' that the person had not turned to yet' if seen else ''}, with features as "
            "known one microsecond before it; ties at random"
        ),
        "baselines": (
            "learned from the training window, as the model is; popularity and histories up to "
            "each row's instant; settings chosen on the validation window by NDCG@10"
        ),
        "left_out": list(left_out),
        "errors": "standard errors and intervals take people, not rows, as drawn at random",
    }


def _lift(test: Mapping[str, Figures]) -> dict[str, float]:
    """By how much the two-tower's NDCG@10 is above each baseline's, as a share of the latter."""
    own = test[MODEL]["ndcg@10"]
    return {
        name: own / max(row["ndcg@10"], 1e-9) - 1.0 for name, row in test.items() if name != MODEL
    }
