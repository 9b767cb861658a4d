"""Groups of rows: each row where it belongs, and their figures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from training.groups import Group, by_heat, by_item_age, figures
from training.ranking import Ranking, Seen

DAY_US = 86_400_000_000


def test_heat_is_the_events_before_the_row() -> None:
    dataset = SimpleNamespace(
        user=np.array([0] * 60 + [1]),
        item=np.zeros(61, int),
        # The two events of person 0 at instant 5 do not know each other.
        asked_at_us=np.array([*range(5), 5, 5, *range(7, 61)]),
    )
    rows = np.array([0, 4, 5, 6, 49, 50, 60])
    found = {group.name: rows[group.chosen].tolist() for group in by_heat(Seen(dataset), rows)}
    assert found == {"cold": [0, 4, 60], "warm": [5, 6, 49], "hot": [50]}


def test_age_is_counted_from_the_items_first_event() -> None:
    train = [(0, 0), (1, 300), (2, 380), (3, 394)]
    test = [(0, 400), (1, 400), (2, 400), (3, 400), (4, 400), (4, 800)]
    item, day = (np.array(column) for column in zip(*train, *test, strict=True))
    dataset = SimpleNamespace(
        item=item,
        asked_at_us=day * DAY_US,
        item_ids=list("abcdef"),
        rows=lambda split: np.arange(4) if split == 0 else np.arange(4, 10),
    )
    rows = np.arange(4, 10)
    found = {group.name: item[rows][group.chosen].tolist() for group in by_item_age(dataset, rows)}
    assert found == {
        "unseen": [4, 4],
        "under a week": [3],
        "under a month": [2],
        "under a year": [1],
        "a year and more": [0],
    }


def test_figures_are_of_the_groups_rows_alone() -> None:
    ranks = np.array([0, 0, 99, 99])
    groups = [
        Group("first", "", np.array([True, True, False, False])),
        Group("odd", "", np.array([False, True, False, True])),
        Group("none", "", np.zeros(4, bool)),
    ]
    found = figures(groups, {"a": Ranking(ranks, np.zeros((4, 10)), np.array([1, 1, 2, 2]))})
    assert [(one["group"], one["rows"], one["people"]) for one in found] == [
        ("first", 2, 1),
        ("odd", 2, 2),
    ]
    assert [one["scorers"]["a"]["recall@10"] for one in found] == pytest.approx([1.0, 0.5])
    assert found[0]["scorers"]["a"]["ndcg@10_standard_error"] is None
