"""The baselines of the table, each with the settings that do best on the validation window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from training.baselines.als import ALS, als_model
from training.baselines.ease import EASE, MOST_ITEMS, ease_weights, trained_items
from training.baselines.item_knn import ItemKNN
from training.baselines.popularity import DAY, Popularity
from training.dataset import VALIDATION, Dataset, evenly
from training.ranking import VALIDATION_ROWS, Scorer, Seen, rank_all

_NEWEST = (3, 10, 50)
_HOURS = (None, 1, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY)
# These are in the table even where another window does better: all papers have the former, and the
# latter is hard to beat where tastes move fast.
_ALWAYS = (None, 7 * DAY)


def tuned_baselines(dataset: Dataset, seen: Seen | None) -> tuple[list[Scorer], list[str]]:
    """The baselines, and why each that is left out is.

    All learn from the training window, as the towers do; what is counted up to a row's own instant
    is its history and popularity.
    """

    def best(makers: Iterable[Callable[[], Scorer]]) -> Callable[[], Scorer]:
        rows = evenly(dataset.rows(VALIDATION), VALIDATION_ROWS)
        chosen, reached = None, -1.0
        for make in makers:
            now = rank_all(dataset, rows, make(), seen).metrics()["ndcg@10"]
            if now > reached:
                chosen, reached = make, now
        return chosen

    popular = {hours: partial(Popularity, dataset, hours) for hours in _HOURS}
    chosen = best(popular.values())
    makers = [popular[hours] for hours in _ALWAYS]
    makers += [chosen] if chosen not in makers else []
    makers.append(
        best(
            partial(ItemKNN, dataset, newest=newest, shrink=shrink)
            for newest in (1, *_NEWEST)
            for shrink in (0.0, 20.0)
        )
    )
    makers.append(
        best(
            partial(ALS, dataset, model, newest=newest)
            for confidence in (1.0, 10.0)
            for penalty in (0.01, 10.0)
            for model in [als_model(dataset, confidence=confidence, penalty=penalty)]
            for newest in _NEWEST
        )
    )
    items = len(trained_items(dataset))
    if items > MOST_ITEMS:
        why = (
            f"EASE: it needs a weight for each pair of the {items:,} items of the training window, "
            f"which is done for {MOST_ITEMS:,} items at most"
        )
        return [make() for make in makers], [why]
    makers.append(
        best(
            partial(EASE, dataset, weights, newest=newest)
            for penalty in (100.0, 300.0, 1000.0)
            for weights in [ease_weights(dataset, penalty)]
            for newest in _NEWEST
        )
    )
    return [make() for make in makers], []
