"""Candidates: who is among them, and how likely that was."""

from __future__ import annotations

import numpy as np
import pytest

from training.config import CHOICES
from training.negatives import Negatives

# Two spans of time; nobody ever turned to item 5.
SPANS = (np.arange(0, 50), np.arange(50, 90))
ITEM = np.concatenate([np.arange(50) % 5, np.repeat([0, 1, 2, 3, 4], [20, 10, 5, 4, 1]), [5]])


@pytest.mark.parametrize("kind", CHOICES["negatives"])
def test_every_own_item_is_there(kind: str) -> None:
    random = np.random.default_rng(1)
    negatives = Negatives(kind, 3, ITEM, SPANS)
    for _ in range(50):
        rows = random.choice(SPANS[1], 4, replace=False)
        found = negatives.draw(rows, 1, random)
        assert (found.items[found.label] == ITEM[rows]).all()
        assert 5 not in found.items


@pytest.mark.parametrize("kind", ["sampled", "all"])
def test_an_item_is_there_once(kind: str) -> None:
    found = Negatives(kind, 3, ITEM, SPANS).draw(
        np.array([50, 51, 71]), 1, np.random.default_rng(1)
    )
    assert (np.diff(found.items) > 0).all()
    assert found.rows is None


def test_of_a_batch_each_is_as_it_was_at_a_position_of_the_span() -> None:
    rows = np.array([50, 51, 71])
    found = Negatives("batch", 20, ITEM, SPANS).draw(rows, 1, np.random.default_rng(1))
    assert found.rows is not None
    assert found.rows[:3].tolist() == rows.tolist()
    assert found.label.tolist() == [0, 1, 2]
    assert len(found.rows) == 23
    assert set(found.rows.tolist()) <= set(SPANS[1].tolist())
    assert (found.items == ITEM[found.rows]).all()
    assert np.exp(found.log_share) == pytest.approx(
        [[0.5, 0.25, 0.125, 0.1, 0.025][item] for item in found.items]
    )


def test_all_are_all_that_anybody_turned_to() -> None:
    found = Negatives("all", 0, ITEM, SPANS).draw(np.array([3]), 0, np.random.default_rng(1))
    assert found.items.tolist() == [0, 1, 2, 3, 4]
    assert found.log_share.tolist() == [0.0] * 5
    assert found.drawn.all()


def test_the_share_of_sampled_items_is_how_often_they_are_among_them() -> None:
    random = np.random.default_rng(2)
    negatives = Negatives("sampled", 2, ITEM, SPANS)
    draws = 20_000
    there, said = np.zeros(5), np.zeros(5)
    for _ in range(draws):
        found = negatives.draw(random.choice(SPANS[1], 3), 1, random)
        there[found.items] += 1
        said[found.items] = np.exp(found.log_share)
    assert said == pytest.approx(there / draws, abs=0.015)
