"""Segments: clusters of people by their vectors, named by what sets them apart.

k-means from k-means++ starts; the number of clusters is the one whose silhouette is widest among
those that leave no cluster too small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.spatial.distance import cdist

from profilestore.errors import InputError
from training.profiles.config import ProfilesConfig
from training.profiles.standard import Table

_STARTS = 10
_MOST_SILHOUETTE_ROWS = 2000
# Columns that move together are one reason, and the name says it once.
_SAME = 0.7
# Standard deviations of the population from which a difference is worth a word.
_LEAST_DIFFERENCE = 0.3
_WORDS = 3


@dataclass(frozen=True)
class Clusters:
    """A partition of vectors.

    Attributes:
        centres: float64 [clusters, dimension], the largest cluster's first.
        assigned: int64 [rows], nearest centre of each.
        curve: for each number of clusters that was tried: its mean silhouette, its smallest
            cluster.
    """

    centres: npt.NDArray[np.float64]
    assigned: npt.NDArray[np.int64]
    curve: list[dict[str, float]]


@dataclass(frozen=True)
class Difference:
    """What a column of a segment has to do with the population.

    Attributes:
        by: difference of the means, in standard deviations of the population; or, where
            `of_known`, of the shares that are known.
    """

    column: str
    by: float
    of_known: bool = False


@dataclass(frozen=True)
class Segment:
    """A named cluster; `differences` are those of its name, the largest first."""

    name: str
    people: int
    share: float
    differences: list[Difference]


def cluster(vectors: npt.NDArray[np.float32], config: ProfilesConfig) -> Clusters:
    """The partition of people's vectors, float32 [people, dimension], that is clearest.

    The same vectors and seed, the same clusters in the same order.

    Raises:
        InputError: too few people for the fewest segments that the config allows.
    """
    if len(vectors) < config.fewest_segments * config.fewest_people:
        raise InputError(
            f"{len(vectors)} people cannot be {config.fewest_segments} segments of "
            f"{config.fewest_people} at least. Lower fewest_segments or fewest_people."
        )
    random = np.random.default_rng(config.seed)
    places = vectors.astype(np.float64)
    sample = random.permutation(len(places))[:_MOST_SILHOUETTE_ROWS]
    distance = cdist(places[sample], places[sample])
    curve, best, chosen = [], -np.inf, None
    most = min(config.most_segments, len(places) // config.fewest_people)
    for number in range(config.fewest_segments, most + 1):
        found = _k_means(places, number, random)
        if found is None:
            continue
        centres, assigned = found
        smallest = int(np.bincount(assigned, minlength=number).min())
        reached = silhouette(distance, assigned[sample])
        curve.append({"segments": number, "silhouette": reached, "smallest": smallest})
        if smallest >= config.fewest_people and reached > best:
            best, chosen = reached, (centres, assigned)
    if chosen is None:
        raise InputError(
            f"no partition into {config.fewest_segments} to {most} segments leaves each with "
            f"{config.fewest_people} people. Lower fewest_segments or fewest_people."
        )
    centres, assigned = chosen
    order = np.argsort(-np.bincount(assigned), kind="stable")
    return Clusters(centres[order], np.argsort(order)[assigned], curve)


def nearest(
    vectors: npt.NDArray[np.float32], centres: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """int64 [rows], the cluster of each vector."""
    return cdist(vectors.astype(np.float64), centres, "sqeuclidean").argmin(axis=1)


def silhouette(distance: npt.NDArray[np.float64], assigned: npt.NDArray[np.int64]) -> float:
    """Mean silhouette width (Rousseeuw 1987) of rows in clusters.

    Of a row: (b - a) / max(a, b), with its mean distance a to the others of its cluster and b to
    the nearest other cluster; 0 where it is alone.

    Args:
        distance: float64 [rows, rows].
        assigned: int64 [rows].
    """
    number = int(assigned.max()) + 1
    member = np.eye(number)[assigned]
    size = member.sum(axis=0)
    total = distance @ member
    rows = np.arange(len(assigned))
    own = total[rows, assigned] / np.maximum(size[assigned] - 1, 1)
    other = np.where(size > 0, total / np.maximum(size, 1), np.inf)
    other[rows, assigned] = np.inf
    nearest_other = other.min(axis=1)
    widest = np.maximum(own, nearest_other)
    alone = (size[assigned] == 1) | (widest == 0)
    width = np.where(alone, 0.0, (nearest_other - own) / np.where(alone, 1.0, widest))
    return float(width.mean())


def name_segments(
    clusters: Clusters,
    table: Table,
    columns: Sequence[str],
    descriptions: Mapping[str, str],
    ages: Sequence[str],
) -> list[Segment]:
    """What sets each cluster apart, in words, cluster by cluster.

    Args:
        table: the people that were clustered.
        descriptions: column -> what it is, as dbt says.
        ages: columns that are a time since.
    """
    same = _same_reason(table, clusters.assigned)
    different = [
        _differences(table, columns, clusters.assigned == one, same)
        for one in range(len(clusters.centres))
    ]
    words = _WORDS
    while True:
        names = [
            "; ".join(_phrase(one, descriptions, ages) for one in of_one[:words]) or "as most are"
            for of_one in different
        ]
        # Where two are set apart by the same, say more.
        if len(set(names)) == len(names) or words >= max(map(len, different)):
            break
        words += 1
    sizes = np.bincount(clusters.assigned, minlength=len(names))
    return [
        Segment(
            name if names.count(name) == 1 else f"{name} ({number + 1})",
            int(people),
            float(people / len(table)),
            of_one[:words],
        )
        for number, (name, people, of_one) in enumerate(zip(names, sizes, different, strict=True))
    ]


def _k_means(
    places: npt.NDArray[np.float64], number: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]] | None:
    """Centres and clusters of the best of several starts (Arthur and Vassilvitskii, SODA 2007);
    None if each start lost a cluster."""
    best, found = np.inf, None
    for _ in range(_STARTS):
        try:
            centres, _ = kmeans2(places, number, iter=50, minit="++", missing="raise", rng=random)
        except ClusterError:
            continue
        square = cdist(places, centres, "sqeuclidean")
        assigned = square.argmin(axis=1)
        within = square[np.arange(len(places)), assigned].sum()
        if within < best:
            best, found = within, (centres, assigned)
    return found


def _differences(
    table: Table, columns: Sequence[str], member: npt.NDArray[np.bool_], same: npt.NDArray[np.bool_]
) -> list[Difference]:
    """What sets members apart from the population, the largest first, each reason once.

    Args:
        same: bool [2 columns, 2 columns], as `_same_reason` says.
    """
    known = table.known
    held = np.maximum(known.sum(axis=0), 1)
    mean = table.values.sum(axis=0, dtype=np.float64) / held
    spread = np.sqrt((np.where(known, table.values - mean, 0.0) ** 2).sum(axis=0) / held)
    here = known[member]
    of_members = table.values[member].sum(axis=0) / np.maximum(here.sum(axis=0), 1)
    # What most of them have no value of is no way to tell them, but that they have none may be.
    by_value = np.where(
        here.mean(axis=0) > 0.5, (of_members - mean) / np.where(spread > 0, spread, np.inf), 0.0
    )
    share = known.mean(axis=0)
    share_spread = np.sqrt(share * (1 - share))
    by_known = (here.mean(axis=0) - share) / np.where(share_spread > 0, share_spread, np.inf)
    by = np.concatenate([by_value, by_known])
    chosen: list[int] = []
    for place in np.argsort(-np.abs(by), kind="stable"):
        if abs(by[place]) < _LEAST_DIFFERENCE:
            break
        if not same[place, chosen].any():
            chosen.append(int(place))
    return [
        Difference(columns[place % len(columns)], float(by[place]), place >= len(columns))
        for place in chosen
    ]


def _same_reason(table: Table, assigned: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which columns move together, bool [2 columns, 2 columns]: each by its value, then each by
    whether it is known.

    Values are looked at within segments: between them, all that sets one apart moves together.
    """
    known = table.known.astype(np.float64)
    member = np.eye(int(assigned.max()) + 1)[assigned]
    mean = (member.T @ table.values) / np.maximum(member.T @ known, 1)
    signal = np.concatenate(
        [(table.values - mean[assigned]) * known, known - known.mean(axis=0)], axis=1
    )
    signal /= np.maximum(np.linalg.norm(signal, axis=0), 1e-9)
    return np.abs(signal.T @ signal) >= _SAME


def _phrase(difference: Difference, descriptions: Mapping[str, str], ages: Sequence[str]) -> str:
    """A difference in words, as `high: events in the last 30 days`."""
    said = descriptions.get(difference.column, "").split(".")[0].split(";")[0].split(":")[0].strip()
    what = said[:1].lower() + said[1:] if said else difference.column
    if difference.of_known:
        word = "known" if difference.by > 0 else "unknown"
    elif difference.column in ages:
        word = "long ago" if difference.by > 0 else "recent"
    else:
        word = "high" if difference.by > 0 else "low"
    return f"{word}: {what}"
