"""Towers out of a bundle answer as the ones that were exported, or are refused."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from profilestore.encoding import FIRST_ID, Encoding, Vocabulary
from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from training import export, saved_towers
from training.config import TrainConfig
from training.dataset import ITEM_VOCABULARY
from training.evaluate import predict
from training.runtime import tf
from training.saved_towers import SavedTower, evaluate_bundle, require_taken
from training.towers import Moments, QueryTower, candidate_tower, embeddings

ITEMS, ROWS = 12, 7
CONFIG = TrainConfig(encoder="gru", dimension=8, pretrain=False)
PEOPLE = Encoding("user", ("n",), (), {}, {"h": ITEM_VOCABULARY}, {}, {})
KINDS = Encoding("item", ("n",), (), {"kind": "kind"}, {}, {}, {})
IDS = np.random.default_rng(1).integers(0, ITEMS, (ROWS, 50)).astype(np.int32) + FIRST_ID
INPUTS = {
    # A number is its value and whether there is one.
    "query": {"numbers": np.ones((ROWS, 2), np.float32), "h": IDS},
    "candidate": {
        "numbers": np.ones((ROWS, 2), np.float32),
        "kind": np.full(ROWS, FIRST_ID, np.int32),
        ITEM_VOCABULARY: IDS[:, 0],
    },
}
BUNDLE = SimpleNamespace(
    version="v1",
    feature_service="retrieval_v1",
    manifest={
        "lake_snapshot": 5,
        # Of a config that has moved on, only what cuts the windows is read.
        "config": {"validation_share": 0.2, "test_share": 0.3, "spans": 9},
    },
    encoding=PEOPLE,
    vocabularies={"item_id": Vocabulary("item_id", ["a", "b"])},
    item_ids=["a", "b"],
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A bundle's folder, and the vectors of the towers that were exported into it."""
    folder = tmp_path_factory.mktemp("bundle")
    tf.keras.utils.set_random_seed(1)
    vocabularies = {
        name: Vocabulary(name, [str(n) for n in range(ITEMS)]) for name in (ITEM_VOCABULARY, "kind")
    }
    shared = embeddings(CONFIG, vocabularies, {})
    moments = Moments(np.zeros(1), np.ones(1))
    towers = {
        "query": QueryTower(CONFIG, PEOPLE, shared, moments),
        "candidate": candidate_tower(CONFIG, KINDS, shared, moments),
    }
    vectors = {}
    for side, tower in towers.items():
        vectors[side] = predict(tower, INPUTS[side], np.arange(ROWS))
        with redirect_stdout(StringIO()):
            tower.export(str(folder / "saved_model" / f"{side}_tower"))
    return folder, vectors


@pytest.mark.parametrize("side", ["query", "candidate"])
def test_a_saved_tower_gives_the_vectors_it_was_exported_with(exported, side: str) -> None:
    folder, vectors = exported
    tower = SavedTower(folder / "saved_model" / f"{side}_tower")
    assert tower.output_shape[-1] == CONFIG.dimension
    assert tower.takes == {name: array.shape[1:] for name, array in INPUTS[side].items()}
    found = predict(tower, INPUTS[side], np.arange(ROWS))
    assert found == pytest.approx(vectors[side], abs=1e-6)


@pytest.mark.parametrize("wrong", [1e-4, np.nan])
def test_a_saved_tower_that_answers_otherwise_is_not_exported(exported, wrong: float) -> None:
    folder, vectors = exported

    def trained(by: float):
        return lambda inputs, training=False: vectors["query"] + np.float32(by)

    def check(by: float) -> None:
        towers = {"query_tower": (trained(by), INPUTS["query"])}
        export._check_saved(folder / "saved_model", towers, np.arange(ROWS))

    check(0.0)
    with pytest.raises(ProfilestoreError, match=r"query_tower differs .* last good bundle stays"):
        check(wrong)


def test_an_input_without_columns_is_none() -> None:
    inputs = {"ids": np.zeros((3, 50)), "numbers": np.zeros((3, 0))}
    require_taken(BUNDLE, SimpleNamespace(takes={"ids": (50,)}), inputs)
    with pytest.raises(ProfilestoreError, match="encoding of items"):
        require_taken(BUNDLE, SimpleNamespace(takes={"ids": (50,), "numbers": (2,)}), inputs)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"query_encoding": KINDS}, "encoding of people"),
        ({"vocabularies": {"item_id": Vocabulary("item_id", ["b", "a"])}}, "set of vocabularies"),
        ({"item_ids": ["a", "b", "c"]}, "catalogue"),
        ({"candidate": {ITEM_VOCABULARY: IDS[:, 0]}}, "encoding of items"),
    ],
)
def test_features_that_are_read_otherwise_today_are_refused(
    exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict, said: str
) -> None:
    asked = []
    dataset = SimpleNamespace(
        **{
            "query_encoding": PEOPLE,
            "vocabularies": {"item_id": Vocabulary("item_id", ["a", "b"])},
            "item_ids": ["a", "b"],
            "candidate": INPUTS["candidate"],
        }
        | changed
    )

    class Store:
        def __init__(self, settings: Settings) -> None:
            pass

        def pinned(self, snapshot: int) -> str:
            return f"snapshot {snapshot}"

    monkeypatch.setattr(saved_towers, "load", lambda path: BUNDLE)
    monkeypatch.setattr(saved_towers, "FeatureStore", Store)
    monkeypatch.setattr(
        saved_towers,
        "load_dataset",
        lambda store, config, _: asked.append((store, config)) or dataset,
    )
    with pytest.raises(ProfilestoreError, match=f"v1: the {said} that retrieval_v1 gives"):
        evaluate_bundle(Settings(tmp_path), exported[0])
    ((store, config),) = asked
    assert store == "snapshot 5"
    assert (config.validation_share, config.test_share) == (0.2, 0.3)
    assert not (tmp_path / "data" / "evaluations").exists()
