"""Rows of a window in groups: how much we knew of the person, and how old the item was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.dataset import TRAIN, Dataset
from training.metrics import mean, ndcg, recall
from training.ranking import CUT, Ranking, Seen

_DAY_US = 86_400_000_000
_NO_END = np.iinfo(np.int64).max
# Least events that a person has before the row.
_HEAT = {"cold": 0, "warm": 5, "hot": 50}
# Least days since the item's first event.
_AGES = {"under a week": 0, "under a month": 7, "under a year": 30, "a year and more": 365}


@dataclass(frozen=True)
class Group:
    """Some rows of a window.

    Attributes:
        meaning: what its rows have in common.
        chosen: bool [rows of the window].
    """

    name: str
    meaning: str
    chosen: npt.NDArray[np.bool_]


def by_heat(seen: Seen, rows: npt.NDArray[np.int64]) -> list[Group]:
    """By the events that the person had before the row: cold, warm and hot."""
    return _between(_HEAT, seen.count(rows), "events before")


def by_item_age(dataset: Dataset, rows: npt.NDArray[np.int64]) -> list[Group]:
    """By the days since the first event of the row's item; items that the training window did not
    see are a group of their own, whatever their age."""
    # Rows are in the order of time, so the first of an item's rows is its first event.
    items, first = np.unique(dataset.item, return_index=True)
    began = np.zeros(len(dataset.item_ids), np.int64)
    began[items] = dataset.asked_at_us[first]
    item = dataset.item[rows]
    days = (dataset.asked_at_us[rows] - began[item]) // _DAY_US
    trained = np.isin(item, dataset.item[dataset.rows(TRAIN)])
    unseen = Group("unseen", "the training window has no event of the item", ~trained)
    return [unseen, *_between(_AGES, np.where(trained, days, -1), "days since its first event")]


def figures(groups: Sequence[Group], rankings: Mapping[str, Ranking]) -> list[dict[str, Any]]:
    """NDCG@10 and Recall@10 of each scorer in each group that has rows.

    Args:
        rankings: of each scorer on the window, all of the same rows.
    """
    user = next(iter(rankings.values())).user
    return [
        {
            "group": group.name,
            "meaning": group.meaning,
            "rows": int(group.chosen.sum()),
            "people": len(np.unique(user[group.chosen])),
            "scorers": {
                name: mean("ndcg@10", ndcg(ranking.ranks[group.chosen], CUT), user[group.chosen])
                | mean("recall@10", recall(ranking.ranks[group.chosen], CUT), user[group.chosen])
                for name, ranking in rankings.items()
            },
        }
        for group in groups
        if group.chosen.any()
    ]


def _between(least: Mapping[str, int], values: npt.NDArray[np.int64], of_what: str) -> list[Group]:
    """A group from each bound to the next."""
    ends = [*least.values(), _NO_END][1:]
    return [
        Group(
            name,
            f"{low} {of_what} and more" if end == _NO_END else f"{low} to {end - 1} {of_what}",
            (values >= low) & (values < end),
        )
        for (name, low), end in zip(least.items(), ends, strict=True)
    ]
