"""Running means and tags against sums over all evidence so far."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore import evidence
from profilestore.evidence import (
    Population,
    decay,
    running_means,
    running_tags,
    wilson_lower_bound,
)

PIECE = st.tuples(st.integers(0, 6), st.integers(-50, 400), st.integers(0, 5))
HALF_LIFE = 30


def arrays(pieces: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pieces = sorted(pieces, key=lambda piece: piece[2])
    return tuple(  # type: ignore[return-value]
        np.array([piece[place] for piece in pieces], np.int64) for place in range(3)
    )


@pytest.mark.parametrize("cells", [1, 7, 2**20])
@settings(deadline=None)
@given(pieces=st.lists(PIECE, min_size=1, max_size=30), kept=st.integers(1, 8))
def test_tags(cells: int, pieces: list[tuple[int, int, int]], kept: int) -> None:
    tags, happened, steps = arrays(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_CELLS", cells)
        found = running_tags(tags, decay(happened, HALF_LIFE), happened, steps, kept)
    rows = list(
        zip(*(getattr(found, name) for name in ("step", "tag", "share", "events")), strict=True)
    )
    row = 0
    for step in sorted(set(steps.tolist())):
        known = [
            (tag, at) for tag, at, when in zip(tags, happened, steps, strict=True) if when <= step
        ]
        weights = [2.0 ** (at / HALF_LIFE) for _, at in known]
        total = math.fsum(weights)
        shares: dict[int, float] = {}
        for (tag, _), weight in zip(known, weights, strict=True):
            shares[tag] = shares.get(tag, 0.0) + weight / total
        order = sorted(shares, key=lambda tag: (-round(shares[tag], 12), tag))[:kept]
        certainty = total**2 / math.fsum(weight**2 for weight in weights)
        for tag in order:
            times = [at for other, at in known if other == tag]
            at_step, found_tag, share, events = rows[row]
            assert (at_step, events) == (step, len([one for one in known if one[0] == found_tag]))
            assert share == pytest.approx(shares[tag], rel=1e-9)
            assert shares[found_tag] == pytest.approx(shares[tag], rel=1e-9)
            assert found.certainty[row] == pytest.approx(certainty, rel=1e-9)
            if found_tag == tag:
                assert (found.first[row], found.last[row]) == (min(times), max(times))
            row += 1
    assert row == len(rows)


@settings(deadline=None)
@given(pieces=st.lists(PIECE, min_size=2, max_size=30), cut=st.integers(0, 5))
def test_where_it_begins_and_ends_changes_no_bit(
    pieces: list[tuple[int, int, int]], cut: int
) -> None:
    tags, happened, steps = arrays(pieces)
    early = steps <= cut
    vectors = np.random.default_rng(3).standard_normal((7, 4)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_CELLS", 9)
        whole = running_tags(tags, decay(happened, HALF_LIFE), happened, steps, 3)
        part = running_tags(
            tags[early], decay(happened[early], HALF_LIFE), happened[early], steps[early], 3
        )
    for name in ("tag", "share", "events", "first", "last", "certainty"):
        assert (getattr(whole, name)[whole.step <= cut] == getattr(part, name)).all()
        late = running_tags(tags, decay(happened, HALF_LIFE), happened, steps, 3, since=cut + 1)
    for name in ("step", "tag", "share", "events", "first", "last", "certainty"):
        assert (getattr(whole, name)[whole.step > cut] == getattr(late, name)).all()
    means = running_means(vectors, tags, decay(happened, HALF_LIFE), steps)
    before = running_means(vectors, tags[early], decay(happened[early], HALF_LIFE), steps[early])
    assert (means[: len(before)] == before).all()
    after = running_means(vectors, tags, decay(happened, HALF_LIFE), steps, since=cut + 1)
    assert (means[len(before) :] == after).all()


@given(pieces=st.lists(PIECE, min_size=1, max_size=30))
def test_means(pieces: list[tuple[int, int, int]]) -> None:
    which, happened, steps = arrays(pieces)
    vectors = np.random.default_rng(5).standard_normal((7, 4)).astype(np.float32)
    weights = decay(happened, HALF_LIFE)
    found = running_means(vectors, which, weights, steps)
    for row, step in enumerate(sorted(set(steps.tolist()))):
        known = steps <= step
        wanted = np.average(vectors[which[known]], axis=0, weights=weights[known])
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5, atol=1e-6)
    assert len(found) == len(set(steps.tolist()))


def test_nothing_gives_nothing() -> None:
    none = np.empty(0, np.int64)
    assert running_means(np.ones((1, 4), np.float32), none, np.empty(0), none).shape == (0, 4)
    assert len(running_tags(none, np.empty(0), none, none, 10).step) == 0


def test_half_of_the_weight_after_a_half_life() -> None:
    assert decay(np.array([0, 10, 20, -10]), 10).tolist() == [1, 2, 4, 0.5]


ROW = st.tuples(st.sampled_from("abc"), st.integers(0, 5))


@given(
    rows=st.lists(ROW, unique=True, max_size=12),
    asked=st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 7)), max_size=12),
)
def test_shares_of_a_population(rows: list[tuple[str, int]], asked: list[tuple[int, int]]) -> None:
    """Events of a tag are as many as its rows, of all tags as many as all rows, up to then."""

    def events(tag: str | None, at: int) -> int:
        return sum(1 for name, since in rows if since <= at and tag in (None, name))

    population = Population(
        [tag for tag, _ in rows],
        np.array([since for _, since in rows], np.int64),
        np.array([events(*row) for row in rows], np.int64),
        np.array([events(None, since) for _, since in rows], np.int64),
    )
    tags, at = np.array(asked, np.int64).reshape(-1, 2).T
    found = population.shares("abcd", tags, at)
    for share, (tag, moment) in zip(found, asked, strict=True):
        assert share == (events("abcd"[tag], moment) + 1) / (events(None, moment) + 1)


@pytest.mark.parametrize("n", [1.0, 2.5, 40.0, 1e6])
def test_the_lower_bound_is_where_the_share_is_two_deviations_off(n: float) -> None:
    share = np.array([0.001, 0.1, 0.5, 0.9, 1.0])
    found = wilson_lower_bound(share, np.full(5, n))
    np.testing.assert_allclose(
        share - found, 1.959964 * np.sqrt(found * (1 - found) / n), rtol=1e-6
    )
