"""Mutual information, beside what is known of it and what cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.encoding import Encoding
from profilestore.errors import InputError
from training.selection.mutual_information import (
    chance,
    entropy,
    information,
    mutual_information,
    require_two_classes,
)


def known(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), bool)


@pytest.mark.parametrize("flipped", [0.0, 0.1, 0.3, 0.5])
def test_of_a_channel_that_flips_some_bits(flipped: float) -> None:
    """log 2 - H(flipped), the capacity of the binary symmetric channel (Shannon 1948)."""
    random = np.random.default_rng(1)
    label = random.random(100_000) < 0.5
    sent = (label ^ (random.random(len(label)) < flipped)).astype(float)
    lost = sum(-p * math.log(p) for p in (flipped, 1 - flipped) if p)
    found = mutual_information(sent, known(sent), label)
    assert found == pytest.approx(math.log(2) - lost, abs=6e-3)  # three standard errors


def test_what_is_missing_may_say_all() -> None:
    label = np.arange(1000) % 4 == 0
    values = np.random.default_rng(1).normal(size=1000)
    assert mutual_information(values, ~label, label) == pytest.approx(entropy(label), abs=0.01)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_only_the_order_of_values_matters(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=200)
    label = values + random.normal(size=200) > 0
    found = mutual_information(values, known(values), label)
    assert mutual_information(np.exp(values), known(values), label) == pytest.approx(found)
    assert found <= entropy(label)


def test_what_has_nothing_to_do_with_the_label_is_about_0_and_chance_is_above_it() -> None:
    random = np.random.default_rng(1)
    found, above = [], 0
    for _ in range(100):
        values, label = random.normal(size=300), random.random(300) < 0.3
        found.append(mutual_information(values, known(values), label))
        above += found[-1] > chance(values, known(values), label, 1)
    assert np.mean(found) == pytest.approx(0, abs=2e-3)
    assert above <= 12  # 5 are expected


def test_every_column_by_its_name() -> None:
    encoding = Encoding("user", ("v__a", "v__b"), ("v__at",), {}, {}, {}, {}, {"v__b": 0.0})
    random = np.random.default_rng(1)
    numbers = random.normal(size=(500, 6)).astype(np.float32)
    numbers[:, 1::2] = 1
    label = numbers[:, 4] > 0
    found = information(encoding, numbers, label, 1)
    assert found.keys() == {"v__a", "v__b", "v__at"}
    assert found["v__at"].nats > 0.5 > found["v__at"].chance
    assert found["v__a"].nats < 0.05
    numbers[3, 2] = np.nan
    with pytest.raises(InputError, match="feature v__b: nan in row 3 of 500"):
        information(encoding, numbers, label, 1)


def test_where_there_are_no_numbers_nothing_is_said() -> None:
    none = Encoding("item", (), (), {"brand": "brand"}, {}, {}, {})
    assert information(none, np.zeros((4, 0), np.float32), np.arange(4) > 1, 1) == {}


@pytest.mark.parametrize("one", [True, False])
def test_a_label_of_one_class_is_said(one: bool) -> None:
    label = np.full(7, one)
    with pytest.raises(InputError, match=f"has one class: all 7 rows .* are {one}"):
        mutual_information(np.arange(7.0), known(label), label)
    with pytest.raises(InputError, match="whether people come back has no rows"):
        require_two_classes(label[:0], "whether people come back")
