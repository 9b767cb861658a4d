"""People whose columns hang together, in a way that no linear map has."""

from __future__ import annotations

import numpy as np
import pytest

from training.profiles.standard import Table


def curved(rows: int, seed: int, missing: float = 0.0) -> Table:
    """Twelve columns, each a smooth function of the same two things, and a little noise."""
    random = np.random.default_rng(seed)
    hidden = random.uniform(-1, 1, (rows, 2))
    shape = np.random.default_rng(0)
    turned = hidden @ shape.normal(0, 2.5, (2, 12)) + shape.uniform(-2, 2, 12)
    values = np.sin(turned) * 1.4 + random.normal(0, 0.05, (rows, 12))
    known = random.random((rows, 12)) >= missing
    return Table(np.where(known, values, 0.0).astype(np.float32), known)


@pytest.fixture(scope="package")
def tables() -> tuple[Table, Table, Table]:
    """Training, validation and test."""
    return curved(3000, 1, 0.1), curved(600, 2, 0.1), curved(600, 3, 0.1)
