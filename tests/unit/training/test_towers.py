"""The towers' layers against plain numpy, and what an export must keep."""

from __future__ import annotations

import numpy as np
import pytest

from profilestore.artifacts import QueryTower as ExportedTower
from profilestore.encoding import LIST_LENGTH, PAD, UNKNOWN, Encoding, Feature, Vocabulary, plan
from training import towers
from training.config import TrainConfig
from training.devices import training_scope
from training.encoders import NAMES as ENCODERS
from training.fusion import NAMES as FUSIONS
from training.litert import to_litert
from training.runtime import tf
from training.towers import IdDropout, Moments, QueryTower, WeightedBag, embeddings

FEATURES = [
    Feature("user_activity", "events_7d", "user", "number"),
    Feature("user_history", "item_ids", "user", "list_of_text", tags={"vocabulary": "item_id"}),
    Feature(
        "user_history",
        "event_types",
        "user",
        "list_of_text",
        tags={"vocabulary": "event_type", "along": "item_ids"},
    ),
    Feature("interests", "categories", "user", "list_of_text", tags={"vocabulary": "category"}),
    Feature("interests", "shares", "user", "list_of_number", tags={"weights_of": "categories"}),
]
VOCABULARIES = {
    "item_id": Vocabulary("item_id", [str(n) for n in range(30)]),
    "event_type": Vocabulary("event_type", ["view", "buy"]),
    "category": Vocabulary("category", ["a", "b", "c"]),
}


def test_a_bag_without_weight_is_zero() -> None:
    embedded = np.ones((2, 3, 4), np.float32)
    weights = np.array([[0, 0, 0], [1, 3, 0]], np.float32)
    assert WeightedBag()(embedded, weights).numpy().tolist() == [[0.0] * 4, [1.0] * 4]


def test_ids_are_hidden_only_while_training() -> None:
    ids = tf.constant(np.full(2000, 9, np.int32))
    layer = IdDropout(0.25)
    assert set(layer(ids, training=False).numpy()) == {9}
    hidden = np.mean(layer(ids, training=True).numpy() == UNKNOWN)
    assert 0.2 < hidden < 0.3


def test_moments_are_those_of_the_rows_alone(monkeypatch) -> None:
    monkeypatch.setattr(towers, "_BATCH", 7)
    random = np.random.default_rng(6)
    numbers = (random.standard_normal((90, 4)) * [1, 5, 0, 100] + 3).astype(np.float32)
    rows = np.flatnonzero(random.random(90) < 0.5)
    found = Moments.of(numbers, rows)
    assert found.mean == pytest.approx(numbers[rows].mean(axis=0), rel=1e-5)
    assert found.variance == pytest.approx(numbers[rows].var(axis=0), rel=1e-4, abs=1e-9)


def newest_first(random: np.random.Generator, rows: int) -> np.ndarray:
    """Ids of histories of any length, padded at the end."""
    ids = random.integers(UNKNOWN, 32, (rows, LIST_LENGTH)).astype(np.int32)
    ids[np.arange(LIST_LENGTH) >= random.integers(0, LIST_LENGTH + 1, (rows, 1))] = PAD
    return ids


def inputs(random: np.random.Generator, encoding: Encoding, rows: int) -> dict[str, np.ndarray]:
    ids = newest_first(random, rows)
    types = np.where(ids == PAD, PAD, random.integers(2, 4, ids.shape)).astype(np.int32)
    return {
        "numbers": random.standard_normal((rows, encoding.floats)).astype(np.float32),
        "user_history__item_ids": ids,
        "user_history__event_types": types,
        "interests__categories": random.integers(0, 5, (rows, LIST_LENGTH)).astype(np.int32),
        "interests__categories__weights": random.random((rows, LIST_LENGTH)).astype(np.float32),
    }


def tower(config: TrainConfig) -> QueryTower:
    encoding = plan(FEATURES, "user")
    random = np.random.default_rng(4)
    known = Moments.of(
        random.standard_normal((50, encoding.floats)).astype(np.float32), np.arange(50)
    )
    made = QueryTower(config, encoding, embeddings(config, VOCABULARIES, {}), known)
    made(inputs(random, encoding, 2))
    # What starts at zero has nothing to say yet.
    for weight in made.trainable_weights:
        weight.assign(weight + 0.1 * random.standard_normal(weight.shape))
    return made


def test_a_number_that_one_row_lacks_is_bounded_and_alike_in_tower_and_prior() -> None:
    encoding = plan([Feature("v", "year", "item", "number")], "item")
    numbers = np.tile(np.float32([7.6, 1.0]), (5000, 1))
    numbers[7] = 0.0
    numbers[8:40, 0] += 0.01
    moments = Moments.of(numbers, np.arange(5000))
    inputs = towers.inputs_of(encoding)
    (part,) = towers._scalars_and_bags(encoding, {}, inputs, moments, "candidate")
    found = tf.keras.Model(inputs, part)({"numbers": numbers}).numpy()
    assert found == pytest.approx(moments.standardised(numbers), abs=1e-3)
    assert found[7].tolist() == [-towers.BOUND, -towers.BOUND]
    assert np.abs(found[:7]).max() < 1


@pytest.mark.parametrize(
    ("encoder", "fusion"),
    [*((name, "neural") for name in ENCODERS), *(("mean", name) for name in FUSIONS)],
)
def test_towers_in_half_the_precision_say_nearly_the_same(encoder: str, fusion: str) -> None:
    config = TrainConfig(
        dimension=16, hidden=8, encoder=encoder, fusion=fusion, layers=2, precision="bfloat16"
    )
    whole = tower(config)
    with training_scope(config):
        half = tower(config)
    assert tf.keras.mixed_precision.global_policy().name == "float32"
    half.set_weights(whole.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {tf.float32}
    given = inputs(np.random.default_rng(5), half.encoding, 20)
    lists = {name: given[name][:, ::-1] for name in half.lists}
    answers = []
    for one in (half, whole):
        states = one.states(lists)
        assert states.dtype == (tf.bfloat16 if one is half else tf.float32)
        vector, _ = one.answers(states[:, -1], given)
        assert vector.dtype == tf.float32
        answers.append(vector.numpy())
    off = np.linalg.norm(answers[0] - answers[1], axis=1) / np.linalg.norm(answers[1], axis=1)
    assert 0 < np.median(off) < 0.02


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_position_of_a_sequence_is_what_its_own_row_says(encoder: str) -> None:
    """Trained on a window or asked about alone, a history has one vector."""
    made = tower(TrainConfig(dimension=16, hidden=8, encoder=encoder, layers=2))
    random = np.random.default_rng(5)
    row = inputs(random, made.encoding, 1)
    ids = random.integers(UNKNOWN, 32, 9).astype(np.int32)
    types = random.integers(2, 4, 9).astype(np.int32)
    states = made.states(
        {"user_history__item_ids": ids[None], "user_history__event_types": types[None]}
    )
    assert states.shape == (1, 10, 16)
    for place in range(10):
        for name, told in (("item_ids", ids), ("event_types", types)):
            row[f"user_history__{name}"] = np.zeros((1, LIST_LENGTH), np.int32)
            row[f"user_history__{name}"][0, :place] = told[:place][::-1]
        found = made.answers(states[:, place], row)[0].numpy()
        assert made(row).numpy() == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize(
    ("encoder", "kind"),
    [*((encoder, "neural") for encoder in ENCODERS), *(("mean", kind) for kind in FUSIONS)],
)
def test_the_exported_tower_answers_as_the_trained_one(tmp_path, encoder: str, kind: str) -> None:
    made = tower(TrainConfig(dimension=16, hidden=8, encoder=encoder, fusion=kind))
    random = np.random.default_rng(4)
    path = tmp_path / "query_tower.tflite"
    path.write_bytes(to_litert(made))
    exported = ExportedTower(path)
    for _ in range(3):
        row = inputs(random, made.encoding, 1)
        assert exported(row) == pytest.approx(made(row).numpy()[0], abs=1e-4)


def test_a_person_without_features_is_their_history_alone() -> None:
    config = TrainConfig(dimension=8)
    encoding = plan(FEATURES[1:2], "user")
    nothing = Moments(np.zeros(0), np.zeros(0))
    made = QueryTower(config, encoding, embeddings(config, VOCABULARIES, {}), nothing)
    ids = newest_first(np.random.default_rng(7), 3)
    assert made({"user_history__item_ids": ids}).shape == (3, 8)


def test_vectors_of_a_cosine_model_have_length_one() -> None:
    made = tower(TrainConfig(dimension=16, cosine=True))
    found = made(inputs(np.random.default_rng(3), made.encoding, 5)).numpy()
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
