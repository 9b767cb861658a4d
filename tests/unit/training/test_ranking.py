"""Ranks and lists, beside a slow reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilestore.errors import ProfilestoreError
from training import ranking
from training.config import TrainConfig
from training.cut import seen_to_filter
from training.ranking import CUT, Seen, rank_all


@dataclass
class Log:
    """What `rank_all` reads of a dataset."""

    user: np.ndarray
    item: np.ndarray
    asked_at_us: np.ndarray
    item_ids: list[str]


class SplitLog(Log):
    """A log that is a training window, all of it."""

    def rows(self, split: int) -> np.ndarray:
        return np.arange(len(self.item))


class Table:
    name = "table"

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def scores(self, rows: np.ndarray) -> np.ndarray:
        return self._scores[rows]


@st.composite
def logs(draw: st.DrawFn) -> tuple[Log, np.ndarray]:
    rows, items = draw(st.integers(1, 30)), draw(st.integers(CUT + 1, 25))
    seed = draw(st.integers(0, 10_000))
    random = np.random.default_rng(seed)
    log = Log(
        user=random.integers(0, 3, rows),
        item=random.integers(0, items, rows),
        asked_at_us=np.sort(random.integers(0, 12, rows)),
        item_ids=[str(n) for n in range(items)],
    )
    return log, random.permuted(np.tile(np.arange(float(items)), (rows, 1)), axis=1)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=logs(), rows_of_a_block=st.integers(1, 40), repeats=st.booleans())
def test_ranks_equal_a_sort_of_what_the_person_had_not_turned_to(
    drawn: tuple[Log, np.ndarray],
    rows_of_a_block: int,
    repeats: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking, "_MOST_ROWS", rows_of_a_block)
    log, scores = drawn
    every = np.arange(len(log.item))
    found = rank_all(log, every, Table(scores), None if repeats else Seen(log))  # type: ignore[arg-type]
    ranks = found.ranks
    for row in range(len(log.item)):
        seen = {
            log.item[earlier]
            for earlier in range(len(log.item))
            if log.user[earlier] == log.user[row]
            and log.asked_at_us[earlier] < log.asked_at_us[row]
            and not repeats
        }
        order = sorted(
            range(len(log.item_ids)),
            key=lambda item: -np.inf if item in seen else scores[row][item],
            reverse=True,
        )
        if log.item[row] not in seen:
            assert ranks[row] == order.index(log.item[row])


def test_an_event_of_the_same_instant_is_not_known_yet() -> None:
    log = Log(np.array([1, 1]), np.array([0, 1]), np.array([5, 5]), [str(n) for n in range(12)])
    scores = np.tile(np.arange(12.0)[::-1], (2, 1))
    ranks = rank_all(log, np.array([0, 1]), Table(scores), Seen(log)).ranks  # type: ignore[arg-type]
    assert ranks.tolist() == [0, 1]


def test_saying_one_number_for_all_gains_nothing() -> None:
    rows, items = 4000, 40
    log = Log(
        np.arange(rows), np.zeros(rows, int), np.zeros(rows, int), [str(n) for n in range(items)]
    )
    ranks = rank_all(log, np.arange(rows), Table(np.ones((rows, items))), Seen(log)).ranks  # type: ignore[arg-type]
    assert abs(ranks.mean() - (items - 1) / 2) < 1


@settings(deadline=None, max_examples=40)
@given(drawn=logs(), repeats=st.booleans())
def test_lists_hold_the_ten_best_that_the_person_had_not_turned_to(
    drawn: tuple[Log, np.ndarray], repeats: bool
) -> None:
    log, scores = drawn
    every = np.arange(len(log.item))
    seen = None if repeats else Seen(log)  # type: ignore[arg-type]
    found = rank_all(log, every, Table(scores.copy()), seen)  # type: ignore[arg-type]
    for row in every:
        mine = (log.user == log.user[row]) & (log.asked_at_us < log.asked_at_us[row])
        before = set() if repeats else set(log.item[mine])
        left = sorted(set(range(len(log.item_ids))) - before, key=lambda i: -scores[row][i])
        own = found.lists[row].tolist()
        assert len(set(own)) == CUT
        assert set(left[:CUT]) <= set(own)
    assert found.user.tolist() == log.user.tolist()


def test_of_equal_items_each_is_recommended_as_often() -> None:
    rows, items = 6000, 30
    log = Log(
        np.arange(rows), np.zeros(rows, int), np.zeros(rows, int), [str(n) for n in range(items)]
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ranking, "_MOST_ROWS", 3)
        lists = rank_all(log, np.arange(rows), Table(np.ones((rows, items))), None).lists  # type: ignore[arg-type]
    share = np.bincount(lists.ravel(), minlength=items) / rows
    assert share == pytest.approx(CUT / items, abs=0.07)


def test_a_catalogue_smaller_than_a_list_is_recommended_whole() -> None:
    log = Log(np.arange(3), np.zeros(3, int), np.arange(3), ["a", "b"])
    found = rank_all(log, np.arange(3), Table(np.eye(3, 2)), None)  # type: ignore[arg-type]
    assert np.sort(found.lists, axis=1).tolist() == [[0, 1]] * 3


def test_a_score_that_is_no_number_is_refused() -> None:
    log = Log(np.arange(3), np.zeros(3, int), np.arange(3), ["a", "b"])
    scores = np.array([[1.0, 2.0], [0.0, np.nan], [0.0, 0.0]])
    with pytest.raises(ProfilestoreError, match="table scores some item of rows 0 to 2 with NaN"):
        rank_all(log, np.arange(3), Table(scores), None)  # type: ignore[arg-type]


def test_a_share_of_repeats_is_counted_by_person_and_instant() -> None:
    log = Log(
        user=np.array([1, 1, 1, 2, 1]),
        item=np.array([3, 3, 4, 4, 4]),
        asked_at_us=np.array([5, 5, 6, 7, 8]),
        item_ids=[str(n) for n in range(9)],
    )
    # Of one instant neither repeats the other; the last row alone repeats an earlier one.
    assert Seen(log).repeated(np.arange(5)).tolist() == [False, False, False, False, True]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "repeated", "filtered"),
    [
        ("auto", 9, True),
        ("auto", 10, False),
        ("kept", 0, False),
        ("filtered", 50, True),
    ],
)
def test_what_people_turn_to_again_is_kept(said: str, repeated: int, filtered: bool) -> None:
    # A hundred events of one person: each with an item of its own, but the last ones.
    log = SplitLog(
        user=np.zeros(100, int),
        item=np.minimum(np.arange(100), 99 - repeated),
        asked_at_us=np.arange(100),
        item_ids=[str(n) for n in range(100)],
    )
    config = TrainConfig(seen_items=said)
    assert (seen_to_filter(config, log) is not None) is filtered  # type: ignore[arg-type]
