"""Clusters and their names, beside slow references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from profilestore.errors import InputError
from training.profiles.config import ProfilesConfig
from training.profiles.segments import Clusters, cluster, name_segments, nearest, silhouette
from training.profiles.standard import Table

CONFIG = ProfilesConfig(fewest_segments=2, most_segments=7, fewest_people=5)
SIZES = (60, 45, 30, 15)


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around four centres, in random order, and whose each is."""
    random = np.random.default_rng(seed)
    own = np.repeat(np.arange(4), SIZES)
    random.shuffle(own)
    centres = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])
    return (centres[own] + random.normal(0, 0.7, (150, 3))).astype(np.float32), own


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 14), st.integers(1, 4))
def test_silhouette_is_its_definition(seed: int, rows: int, clusters: int) -> None:
    random = np.random.default_rng(seed)
    places = random.integers(0, 4, (rows, 2)).astype(float)
    assigned = random.integers(0, clusters, rows)
    assigned[0] = clusters  # so that there are two at least
    distance = cdist(places, places)
    widths = []
    for row in range(rows):
        mean = {
            other: np.mean(
                [distance[row, n] for n in range(rows) if assigned[n] == other and n != row]
            )
            for other in set(assigned.tolist())
            if any(assigned[n] == other and n != row for n in range(rows))
        }
        own = mean.pop(assigned[row], None)
        if own is None:
            widths.append(0.0)
        else:
            b = min(mean.values())
            widths.append((b - own) / max(own, b) if max(own, b) else 0.0)
    assert silhouette(distance, assigned) == pytest.approx(np.mean(widths))


@pytest.mark.parametrize("seed", range(5))
def test_clusters_that_are_there_are_found_the_largest_first(seed: int) -> None:
    vectors, own = blobs(seed)
    found = cluster(vectors, replace(CONFIG, seed=seed))
    assert (found.assigned == own).all()
    assert (nearest(vectors, found.centres) == own).all()
    for segment in range(4):
        assert found.centres[segment] == pytest.approx(vectors[own == segment].mean(0), abs=1e-3)
    widest = max(found.curve, key=lambda point: point["silhouette"])
    assert widest["segments"] == 4
    assert widest["smallest"] == 15


def test_the_same_seed_the_same_clusters() -> None:
    vectors = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    once, again = cluster(vectors, CONFIG), cluster(vectors, CONFIG)
    assert (once.centres == again.centres).all()
    assert (once.assigned == again.assigned).all()


def test_no_segment_is_smaller_than_allowed() -> None:
    vectors, _ = blobs(1)
    found = cluster(vectors, replace(CONFIG, fewest_people=20))
    assert np.bincount(found.assigned).min() >= 20
    outlier = np.concatenate([vectors, [[500, 500, 500]]]).astype(np.float32)
    with pytest.raises(InputError, match="leaves each with 5 people"):
        cluster(outlier, CONFIG)


def test_too_few_people_are_said() -> None:
    with pytest.raises(InputError, match="9 people cannot be 2 segments of 5 at least"):
        cluster(np.zeros((9, 2), np.float32), CONFIG)


def named(values: np.ndarray, known: np.ndarray, assigned: np.ndarray) -> list[str]:
    columns = ["v__spend", "v__buys", "v__last_at", "v__rate"]
    descriptions = {
        "v__spend": "Sum of what was paid; 0 without any.",
        "v__buys": "Purchases.",
        "v__last_at": "Latest event of the person.",
    }
    clusters = Clusters(np.zeros((assigned.max() + 1, 1)), assigned, [])
    table = Table(np.where(known, values, 0).astype(np.float32), known)
    return [
        one.name for one in name_segments(clusters, table, columns, descriptions, ["v__last_at"])
    ]


def test_names_say_what_sets_a_segment_apart_and_each_reason_once() -> None:
    random = np.random.default_rng(1)
    assigned = np.repeat([0, 1, 2], [100, 50, 50])
    values = random.normal(0, 0.3, (200, 4))
    known = np.ones((200, 4), bool)
    values[assigned == 1, 0] += 4.0
    values[:, 1] = values[:, 0] + random.normal(0, 0.1, 200)  # who spends, buys
    values[assigned == 2, 2] -= 3.0
    known[assigned == 2, 3] = False
    most, spenders, new = named(values, known, assigned)
    assert spenders.split("; ")[0] in {"high: sum of what was paid", "high: purchases"}
    assert not {"high: sum of what was paid", "high: purchases"} <= set(spenders.split("; "))
    assert set(new.split("; ")[:2]) == {"recent: latest event of the person", "unknown: v__rate"}
    assert "long ago: latest event of the person" in most


def test_what_few_members_know_is_not_what_they_are() -> None:
    known = np.ones((100, 4), bool)
    assigned = np.repeat([0, 1], 50)
    values = np.random.default_rng(1).normal(0, 0.1, (100, 4))
    known[assigned == 1, 3] = False
    known[99, 3], values[99, 3] = True, 5.0
    assert "high: v__rate" not in named(values, known, assigned)[1]
    assert "unknown: v__rate" in named(values, known, assigned)[1]


def test_segments_that_nothing_sets_apart_have_names_of_their_own() -> None:
    values = np.tile(np.random.default_rng(1).normal(size=(50, 4)), (2, 1))
    found = named(values, np.ones((100, 4), bool), np.repeat([0, 1], 50))
    assert found == ["as most are (1)", "as most are (2)"]
