"""Numbers to columns of one scale, beside a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.encoding import Encoding
from profilestore.errors import InputError
from training.profiles.standard import BOUND, Standard


def encoding(columns: int, defaults: dict[str, float]) -> Encoding:
    numbers = tuple(f"v__c{n}" for n in range(columns))
    return Encoding("user", numbers, (), {}, {}, {}, {}, defaults)


def numbers_of(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """As `Encoding.encode` lays them out."""
    numbers = np.empty((len(values), 2 * values.shape[1]), np.float32)
    numbers[:, 0::2], numbers[:, 1::2] = np.where(there, values, 0), there
    return numbers


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.integers(1, 5))
def test_by_the_training_rows_and_what_they_know(seed: int, rows: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(3, 2, (rows, columns)).astype(np.float32)
    there = random.random((rows, columns)) < 0.7
    there[:2] = True  # each column has something to vary by
    training = np.arange(rows // 2)
    numbers = numbers_of(values, there)
    table = Standard.of(encoding(columns, {}), numbers, training).table(numbers)
    for column in range(columns):
        known = [float(values[row, column]) for row in training if there[row, column]]
        for row in range(rows):
            assert table.known[row, column] == there[row, column]
            wanted = (values[row, column] - np.mean(known)) / np.std(known)
            bounded = min(max(wanted, -BOUND), BOUND) if there[row, column] else 0.0
            assert table.values[row, column] == pytest.approx(bounded, abs=1e-3, rel=1e-3)


def test_a_default_is_known_and_a_constant_says_nothing() -> None:
    values = np.array([[1, 5, 0], [2, 5, 0], [0, 5, 0]], np.float32)
    there = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0]], bool)
    standard = Standard.of(
        encoding(3, {"v__c0": 0.0}), numbers_of(values, there), np.arange(len(values))
    )
    assert standard.columns == ["v__c0"]
    assert standard.left_out == {
        "v__c1": "one value in the training window",
        "v__c2": "never known",
    }
    table = standard.table(numbers_of(values, there))
    assert table.known.all()
    assert table.values[:, 0] == pytest.approx(np.array([0, 1, -1]) / np.sqrt(2 / 3))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_named(wrong: float) -> None:
    values = np.random.default_rng(1).random((5, 3)).astype(np.float32)
    there = np.ones((5, 3), bool)
    standard = Standard.of(encoding(3, {}), numbers_of(values, there), np.arange(5))
    values[2:4, 1] = wrong
    numbers = numbers_of(values, there)
    for read in (
        lambda: standard.table(numbers),
        lambda: Standard.of(encoding(3, {}), numbers, np.arange(5)),
    ):
        with pytest.raises(InputError, match=r"feature v__c1: (nan|inf) in row 2 of 5; 2 rows"):
            read()


def test_nothing_to_learn_from_is_said() -> None:
    numbers = numbers_of(np.ones((3, 2)), np.ones((3, 2), bool))
    with pytest.raises(InputError, match="none of v__c0, v__c1 varies"):
        Standard.of(encoding(2, {}), numbers, np.arange(3))
    with pytest.raises(InputError, match="no rows to standardise by"):
        Standard.of(encoding(2, {}), numbers, np.arange(0))
