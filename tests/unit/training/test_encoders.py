"""What every history encoder keeps, and the weighted mean beside plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from training.config import TrainConfig
from training.encoders import NAMES, history_encoder
from training.encoders.mean import WeightedMean


def random_weights(layer, random: np.random.Generator) -> None:
    for weight in layer.weights:
        weight.assign(random.standard_normal(weight.shape) * 0.3)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_knows_nothing_that_comes_later(name: str) -> None:
    config = TrainConfig(encoder=name, layers=2, heads=2)
    encoder = history_encoder(config, 12)
    random = np.random.default_rng(1)
    embedded = random.standard_normal((2, 12, 8)).astype(np.float32)
    encoder(embedded)
    random_weights(encoder, random)
    before = encoder(embedded).numpy()
    for place in range(1, 12):
        other = embedded.copy()
        other[:, place:] = random.standard_normal(other[:, place:].shape) * 9
        after = encoder(other).numpy()
        assert after[:, :place] == pytest.approx(before[:, :place], abs=1e-4)
        # And what has come is known.
        assert not np.allclose(after[:, place], before[:, place], atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_the_newest_state_knows_the_oldest_item(name: str) -> None:
    encoder = history_encoder(TrainConfig(encoder=name, layers=2), 9)
    random = np.random.default_rng(2)
    embedded = random.standard_normal((1, 9, 8)).astype(np.float32)
    before = encoder(embedded).numpy()[0, -1]
    embedded[0, 0] = -embedded[0, 0]
    assert np.abs(encoder(embedded).numpy()[0, -1] - before).max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_shorter_sequence_has_the_same_states(name: str) -> None:
    encoder = history_encoder(TrainConfig(encoder=name), 12)
    random = np.random.default_rng(3)
    embedded = random.standard_normal((1, 12, 8)).astype(np.float32)
    whole = encoder(embedded).numpy()
    assert encoder(embedded[:, :5]).numpy() == pytest.approx(whole[:, :5], abs=1e-5)


def test_the_weighted_mean_is_weighted_by_distance_and_attention() -> None:
    layer = WeightedMean(6)
    random = np.random.default_rng(4)
    embedded = random.standard_normal((1, 6, 4)).astype(np.float32)
    layer(embedded)
    random_weights(layer, random)
    attention, back, turn = (one.numpy() for one in (layer.attention, layer.back, layer.turn))
    found = layer(embedded).numpy()[0]
    for place in range(6):
        known = embedded[0, : place + 1]
        scores = known @ (embedded[0, place] @ attention) + back[: place + 1][::-1]
        shares = np.exp(scores - scores.max())
        wanted = (shares / shares.sum()) @ known @ turn
        assert found[place] == pytest.approx(wanted, abs=1e-4)


def test_each_part_of_the_width_has_its_own_encoder() -> None:
    config = TrainConfig(encoder="gru+mean")
    both = history_encoder(config, 7)
    embedded = np.random.default_rng(6).standard_normal((2, 7, 8)).astype(np.float32)
    found = both(embedded).numpy()
    for n, encoder in enumerate(both.encoders):
        part = slice(4 * n, 4 * n + 4)
        assert found[:, :, part] == pytest.approx(encoder(embedded[:, :, part]).numpy(), abs=1e-6)
