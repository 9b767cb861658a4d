"""Metrics of ranks, beside an independent library, and errors beside a simulation."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import CUTS, accuracy, ndcg, reciprocal_rank, standard_error


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 140), min_size=2, max_size=30))
def test_every_metric_equals_that_of_ir_measures(ranks: list[int]) -> None:
    ours = accuracy(np.array(ranks), np.arange(len(ranks)))
    relevant = [ir_measures.Qrel(str(q), "true", 1) for q in range(len(ranks))]
    run = [
        ir_measures.ScoredDoc(str(q), "true" if place == rank else f"d{place}", -float(place))
        for q, rank in enumerate(ranks)
        for place in range(142)
    ]
    wanted = {"mrr": ir_measures.RR}
    for cut in CUTS:
        wanted |= {
            f"recall@{cut}": ir_measures.R @ cut,
            f"ndcg@{cut}": ir_measures.nDCG @ cut,
            # One item is relevant: MRR and MAP are one.
            f"mrr@{cut}": ir_measures.AP @ cut,
        }
    theirs = ir_measures.calc_aggregate([*wanted.values()], relevant, run)
    for name, measure in wanted.items():
        assert ours[name] == pytest.approx(theirs[measure]), name
    assert {name for name in ours if not name.endswith("_standard_error")} == wanted.keys()


def test_the_first_and_the_one_after_the_cut() -> None:
    assert ndcg(np.array([0, 10]), 10).tolist() == [1.0, 0.0]
    assert reciprocal_rank(np.array([1, 10]), 10).tolist() == [0.5, 0.0]


def test_a_row_a_person_gives_the_usual_standard_error() -> None:
    values = np.random.default_rng(1).random(50)
    usual = values.std(ddof=1) / np.sqrt(50)
    assert standard_error(values, np.arange(50)) == pytest.approx(usual)


def test_rows_said_again_make_nothing_surer() -> None:
    values = np.random.default_rng(2).random(40)
    once = standard_error(values, np.arange(40))
    again = standard_error(np.repeat(values, 5), np.repeat(np.arange(40), 5))
    assert again == pytest.approx(once)


def test_the_error_is_how_much_the_mean_varies_when_people_are_drawn() -> None:
    random = np.random.default_rng(3)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        user = np.repeat(np.arange(60), random.integers(1, 30, 60))
        return random.normal(size=60)[user] + random.normal(size=len(user)), user

    draws = [draw() for _ in range(800)]
    spread = np.std([values.mean() for values, _ in draws])
    said = np.mean([standard_error(*one) for one in draws])
    assert said == pytest.approx(spread, rel=0.1)


def test_one_person_has_no_error() -> None:
    assert standard_error(np.array([0.0, 1.0]), np.array([7, 7])) is None
