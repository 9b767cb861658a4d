"""A training that begins from a bundle takes what both know, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from profilestore.encoding import FIRST_ID, LIST_LENGTH, Encoding, Feature, Vocabulary, plan
from profilestore.errors import InputError
from training.config import HeadConfig, TrainConfig
from training.dropout import Counted
from training.heads import head_of
from training.towers import Moments, QueryTower, candidate_tower, embeddings
from training.two_tower import TwoTower
from training.warm_start import Former, warm_start

FEATURES = [
    Feature("user_activity", "events_7d", "user", "number"),
    Feature("user_history", "item_ids", "user", "list_of_text", tags={"vocabulary": "item_id"}),
    Feature("item_popularity", "events_7d", "item", "number"),
]
MORE = Feature("user_activity", "events_30d", "user", "number")
CONFIG = TrainConfig(dimension=8, hidden=4, encoder="gru+attention", dropout=0.0)
HEAD = HeadConfig("returns", "binary", "user_activity__events_7d")


def made(
    features: list[Feature], items: str, seed: int, config: TrainConfig = CONFIG
) -> tuple[TwoTower, SimpleNamespace]:
    """A model that was called once, with weights of its own, and what it reads."""
    encodings = plan(features, "user"), plan(features, "item")
    vocabularies = {"item_id": Vocabulary("item_id", list(items))}
    moments = [Moments(np.zeros(one.floats), np.ones(one.floats)) for one in encodings]
    shared = embeddings(config, vocabularies, {})
    query = QueryTower(
        config, encodings[0], shared, moments[0], heads={"returns": head_of(config, HEAD, 0)}
    )
    model = TwoTower(config, query, candidate_tower(config, encodings[1], shared, moments[1]), 9)
    asked(model, encodings[0])
    random = np.random.default_rng(seed)
    for tower in (model.query_tower, model.candidate_tower):
        for variable in tower.trainable_variables:
            variable.assign(random.normal(size=variable.shape) / 4)
    read = SimpleNamespace(
        query_encoding=encodings[0], candidate_encoding=encodings[1], vocabularies=vocabularies
    )
    return model, read


def asked(model: TwoTower, encoding: Encoding, items: tuple[int, ...] = (2, 3)) -> np.ndarray:
    """Vectors of a person with a history, and of the items in it."""
    history = np.zeros((1, LIST_LENGTH), np.int32)
    history[0, : len(items)] = items
    person = {
        "numbers": np.full((1, encoding.floats), 0.5, np.float32),
        "user_history__item_ids": history,
    }
    item = {
        "numbers": np.full((len(items), 2), 0.5, np.float32),
        "item_id": np.array(items, np.int32),
    }
    model.query_tower.vectors_and_scores(person)
    return np.concatenate([model.query_tower(person), model.candidate_tower(item)])


@pytest.fixture
def trained(tmp_path: Path) -> tuple[TwoTower, SimpleNamespace]:
    model, read = made(FEATURES, "abcde", 1)
    for side in ("query", "candidate"):
        getattr(model, f"{side}_tower").export(str(tmp_path / "saved_model" / f"{side}_tower"))
    bundle = SimpleNamespace(
        path=tmp_path,
        version="v1",
        encoding=read.query_encoding,
        item_encoding=read.candidate_encoding,
        vocabularies=read.vocabularies,
    )
    return model, bundle


def test_the_same_model_says_the_same(trained) -> None:
    former, bundle = trained
    model, read = made(FEATURES, "abcde", 2)
    assert asked(model, read.query_encoding) != pytest.approx(
        asked(former, bundle.encoding), abs=0.01
    )
    taken = warm_start(model, read, Former.of_bundle(bundle))
    assert asked(model, read.query_encoding) == pytest.approx(asked(former, bundle.encoding))
    assert taken.anew == ()
    assert taken.values == {"item_id": 5}
    assert {"start", "encoder", "fusion", "head_returns", "candidate_hidden"} <= {*taken.layers}
    assert not any(isinstance(layer, Counted) and layer.calls for layer in model.submodules)


def test_items_are_known_by_name_and_new_ones_lie_as_they_lay(trained) -> None:
    """In another order, some gone and some new; what new ones begin with is turned, not changed."""
    former, bundle = trained
    model, read = made(FEATURES, "xdbya", 2)
    table = model.query_tower.lists["user_history__item_ids"].embeddings
    begun = table.numpy()
    taken = warm_start(model, read, Former.of_bundle(bundle))
    old = former.query_tower.lists["user_history__item_ids"].embeddings.numpy()
    now = table.numpy()
    place = {item: n for n, item in enumerate("abcde", start=FIRST_ID)}
    assert taken.values == {"item_id": 3}
    for n, item in enumerate("xdbya", start=FIRST_ID):
        if item in place:
            assert (now[n] == old[place[item]]).all(), item
    assert (now[:FIRST_ID] == old[:FIRST_ID]).all()
    new = [FIRST_ID, FIRST_ID + 3]
    assert now[new] @ now[new].T == pytest.approx(begun[new] @ begun[new].T, rel=1e-4)
    assert now[new] != pytest.approx(begun[new], abs=0.01)


def test_two_trainings_that_differ_by_a_rotation_differ_no_more(trained) -> None:
    """The vectors of a new item then end among the former's as they were among their own."""
    former, bundle = trained
    old = former.query_tower.lists["user_history__item_ids"].embeddings.numpy()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(8, 8)))[0]
    vectors = np.random.default_rng(4).normal(size=(12, 8)).astype(np.float32)
    items = [f"i{n}" for n in range(12)]
    bundle.vocabularies = {"item_id": Vocabulary("item_id", items[:5])}
    # Of eight dimensions the five known items fix five; what is new lies within them.
    vectors[5:] = np.random.default_rng(5).normal(size=(7, 5)) @ old[FIRST_ID:]
    vectors[:5] = old[FIRST_ID:]
    model, read = made_with(items, vectors @ turn)
    warm_start(model, read, Former.of_bundle(bundle))
    now = model.query_tower.lists["user_history__item_ids"].embeddings.numpy()
    assert now[FIRST_ID:] == pytest.approx(vectors, abs=1e-5)


def made_with(items: list[str], vectors: np.ndarray) -> tuple[TwoTower, SimpleNamespace]:
    model, read = made(FEATURES, "".join(chr(97 + n) for n in range(len(items))), 2)
    read.vocabularies = {"item_id": Vocabulary("item_id", items)}
    table = model.query_tower.lists["user_history__item_ids"].embeddings
    table.assign(np.concatenate([np.zeros((FIRST_ID, 8)), vectors]))
    return model, read


def test_what_reads_other_features_begins_anew(trained) -> None:
    _, bundle = trained
    model, read = made([*FEATURES, MORE], "abcde", 2)
    before = {layer: w.numpy() for layer, w in _first(model).items()}
    taken = warm_start(model, read, Former.of_bundle(bundle))
    after = {layer: w.numpy() for layer, w in _first(model).items()}
    assert {*taken.anew} == {"fusion", "head_returns"}
    assert (after["fusion"] == before["fusion"]).all()
    assert (after["encoder"] != before["encoder"]).any()
    assert {"candidate_hidden", "candidate_correction", "encoder", "start"} == {*taken.layers}


def _first(model: TwoTower) -> dict:
    return {
        "fusion": model.query_tower.fusion.trainable_variables[0],
        "encoder": model.query_tower.encoder.trainable_variables[0],
    }


def test_features_of_one_shape_are_not_mistaken_for_others(trained) -> None:
    _, bundle = trained
    bundle.item_encoding = plan([replace(FEATURES[2], name="events_30d")], "item")
    taken = warm_start(*made(FEATURES, "abcde", 2), Former.of_bundle(bundle))
    assert {*taken.anew} == {"candidate_hidden", "candidate_correction"}


def test_a_bundle_of_another_width_is_refused(trained) -> None:
    _, bundle = trained
    model, read = made(FEATURES, "abcde", 2, replace(CONFIG, dimension=16, hidden=8))
    with pytest.raises(InputError, match="nothing of bundle v1 fits"):
        warm_start(model, read, Former.of_bundle(bundle))
