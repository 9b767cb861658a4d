"""Principal components, beside the definition."""

from __future__ import annotations

import numpy as np
import pytest

from training.profiles.anomaly import errors
from training.profiles.pca import PrincipalComponents
from training.profiles.standard import Table


def test_axes_are_those_of_most_variance(tables: tuple[Table, Table, Table]) -> None:
    train = tables[0]
    found = PrincipalComponents.of(train, 4)
    values, axes = np.linalg.eigh(np.cov(train.values.T.astype(np.float64)))
    largest = axes[:, np.argsort(-values)[:4]]
    assert np.abs((found.axes * largest).sum(axis=0)) == pytest.approx(np.ones(4), abs=1e-6)
    assert found.vectors(train).var(axis=0, ddof=1) == pytest.approx(np.sort(-values)[:4] * -1)


def test_no_other_plane_reconstructs_better(tables: tuple[Table, Table, Table]) -> None:
    whole = Table(tables[0].values, np.ones_like(tables[0].known))
    found = PrincipalComponents.of(whole, 3)
    random = np.random.default_rng(1)
    for _ in range(20):
        axes, _ = np.linalg.qr(found.axes + random.normal(0, 0.2, found.axes.shape))
        other = PrincipalComponents(found.mean, axes)
        assert errors(found, whole).mean() < errors(other, whole).mean()


def test_with_all_axes_nothing_is_lost(tables: tuple[Table, Table, Table]) -> None:
    found = PrincipalComponents.of(tables[0], 12)
    assert errors(found, tables[2]) == pytest.approx(np.zeros(600), abs=1e-9)
