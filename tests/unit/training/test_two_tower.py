"""The loss of a batch."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from training.config import TrainConfig
from training.runtime import tf
from training.two_tower import TwoTower


class Table(tf.keras.Model):
    """Towers whose vectors are given."""

    heads: ClassVar[dict] = {}

    def states(self, history, training: bool = False):
        return history["vector"]

    def answers(self, state, person, training: bool = False):
        return state, {}

    def call(self, inputs, training: bool = False):
        return inputs["vector"]


def test_an_own_item_drawn_again_is_no_negative() -> None:
    random = np.random.default_rng(1)
    queries = random.standard_normal((2, 4)).astype(np.float32)
    candidates = random.standard_normal((5, 4)).astype(np.float32)
    item = np.array([7, 8, 7, 9, 7], np.int32)
    target = {
        "state": np.arange(2, dtype=np.int32),
        "label": np.array([0, 1], np.int32),
        "item": item,
        "log_share": np.zeros(5, np.float32),
        "drawn": np.zeros(5, bool),
    }
    given = tf.keras.Input((4,), name="vector")
    as_they_are = tf.keras.Model({"vector": given}, tf.keras.layers.Identity()(given))
    model = TwoTower(TrainConfig(dimension=4), Table(), as_they_are, 10)
    batch = {
        "history": {"vector": tf.constant(queries[:, None, :])},
        "person": {},
        "labels": {},
        "candidate": {"vector": tf.constant(candidates)},
        "target": {name: tf.constant(array) for name, array in target.items()},
    }
    found = float(model.compute_loss(batch))
    scores = queries @ candidates.T
    wanted = [
        np.log(np.exp(scores[row, among]).sum()) - scores[row, row]
        for row, among in enumerate(([0, 1, 3], [0, 1, 2, 3, 4]))
    ]
    assert found == pytest.approx(float(np.mean(wanted)), abs=1e-5)
