"""Ranks and metrics, beside a slow reference and an independent library."""

from __future__ import annotations

from dataclasses import dataclass

import ir_measures
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training import ranking
from training.ranking import CUT, Ranking, Seen, ndcg, rank_all


@dataclass
class Log:
    """What `rank_all` reads of a dataset."""

    user: np.ndarray
    item: np.ndarray
    asked_at_us: np.ndarray
    item_ids: list[str]


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
    found = rank_all(log, every, Table(scores), repeats=repeats)  # type: ignore[arg-type]
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
    ranks = rank_all(log, np.array([0, 1]), Table(scores)).ranks  # type: ignore[arg-type]
    assert ranks.tolist() == [0, 1]


def test_saying_one_number_for_all_gains_nothing() -> None:
    rows, items = 4000, 40
    log = Log(
        np.arange(rows), np.zeros(rows, int), np.zeros(rows, int), [str(n) for n in range(items)]
    )
    ranks = rank_all(log, np.arange(rows), Table(np.ones((rows, items)))).ranks  # type: ignore[arg-type]
    assert abs(ranks.mean() - (items - 1) / 2) < 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=40))
def test_metrics_equal_those_of_ir_measures(ranks: list[int]) -> None:
    ours = Ranking(np.array(ranks), 0.0).metrics()
    relevant = [ir_measures.Qrel(str(q), "true", 1) for q in range(len(ranks))]
    run = [
        ir_measures.ScoredDoc(str(q), "true" if place == rank else f"d{place}", -float(place))
        for q, rank in enumerate(ranks)
        for place in range(42)
    ]
    theirs = ir_measures.calc_aggregate(
        [ir_measures.nDCG @ 10, ir_measures.R @ 10, ir_measures.RR], relevant, run
    )
    assert ours["ndcg@10"] == pytest.approx(theirs[ir_measures.nDCG @ 10])
    assert ours["recall@10"] == pytest.approx(theirs[ir_measures.R @ 10])
    assert ours["mrr"] == pytest.approx(theirs[ir_measures.RR])


def test_ndcg_of_the_first_and_of_the_eleventh() -> None:
    assert ndcg(np.array([0, CUT])).tolist() == [1.0, 0.0]


def test_a_share_of_repeats_is_counted_by_person_and_instant() -> None:
    log = Log(
        user=np.array([1, 1, 1, 2, 1]),
        item=np.array([3, 3, 4, 4, 4]),
        asked_at_us=np.array([5, 5, 6, 7, 8]),
        item_ids=[str(n) for n in range(9)],
    )
    # Of one instant neither repeats the other; the last row alone repeats an earlier one.
    assert Seen(log).repeated(np.arange(5)).tolist() == [False, False, False, False, True]  # type: ignore[arg-type]
