"""A bundle's own towers, asked again about its test window."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from profilestore.artifacts import Bundle, load
from profilestore.encoding import Arrays
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.config import TrainConfig
from training.dataset import TEST, VALIDATION, Dataset, load_dataset
from training.evaluate import ItemTimeline, TwoTowerScorer
from training.kept_ranks import KeptRanks
from training.measurement import measure, say
from training.ranking import Seen
from training.report import write_report
from training.runtime import tf

# What a bundle's metrics.json says beside the ranking of its test window, and stays as it was.
_OF_TRAINING = (
    *("curve", "training_seconds", "device", "id_dropout", "heads", "heads_left_out"),
    *("query_tower", "item_index"),
)


class SavedTower:
    """A tower of a bundle's `saved_model/`, to be called as the Keras model that it was.

    Attributes:
        takes: name of each input -> its shape without the rows.
        output_shape: (None, dimension).
    """

    def __init__(self, folder: Path) -> None:
        self._saved = tf.saved_model.load(str(folder))  # its signature alone does not keep it alive
        self._vectors = self._saved.signatures["serving_default"]
        _, inputs = self._vectors.structured_input_signature
        self.takes = {name: tuple(spec.shape[1:]) for name, spec in inputs.items()}
        (self._output,) = self._vectors.structured_outputs
        self.output_shape = tuple(self._vectors.structured_outputs[self._output].shape)

    def __call__(self, inputs: Arrays, training: bool = False) -> tf.Tensor:
        """Vectors float32 [rows, dimension]; a saved tower has nothing that training would change.

        Args:
            inputs: those of `takes`, of their types; others are let be.
        """
        taken = {name: tf.constant(inputs[name]) for name in self.takes}
        return self._vectors(**taken)[self._output]


def evaluate_bundle(settings: Settings, path: Path) -> Path:
    """Measure a bundle on its test window, cut from its own snapshot of the lake.

    Returns:
        data/evaluations/<version>: the report, metrics.json and ranks. The bundle stays as it is.

    Raises:
        ProfilestoreError: a file of the bundle is not what it was, or the feature service does not
            give what the bundle was trained on.
        InputError: the lake no longer has the snapshot.
    """
    bundle = load(path)
    config = data_config(bundle)
    store = FeatureStore(settings).pinned(bundle.manifest["lake_snapshot"])
    scratch = settings.training_scratch
    dataset = load_dataset(store, config, scratch)
    require_same_inputs(bundle, dataset)
    query, candidate = (
        SavedTower(path / "saved_model" / f"{side}_tower") for side in ("query", "candidate")
    )
    require_taken(bundle, candidate, dataset.candidate)
    validation, test = dataset.rows(VALIDATION), dataset.rows(TEST)
    start_us, end_us = (int(dataset.asked_at_us[row]) for row in (validation[0], test[-1]))
    timeline = ItemTimeline(store, config, dataset, start_us, end_us, scratch)
    seen = None if bundle.recommends_seen else Seen(dataset)
    measurement = measure(
        settings, dataset, timeline, TwoTowerScorer(query, candidate, dataset, timeline), seen
    )
    trained = json.loads((path / "metrics.json").read_text())
    metrics = measurement.metrics | {name: trained.get(name, {}) for name in _OF_TRAINING}
    folder = settings.evaluations / bundle.version
    draft = settings.evaluations / f".{bundle.version}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    KeptRanks.of(dataset, test, measurement.rankings).write(draft)
    write_report(draft, bundle.version, bundle.manifest, metrics)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    say(metrics)
    print(f"report: {folder / 'report.html'}")
    return folder


def data_config(bundle: Bundle) -> TrainConfig:
    """The part of a bundle's config that says what data it was trained and measured on."""
    trained = bundle.manifest["config"]
    return TrainConfig(
        feature_service=bundle.feature_service,
        features=tuple(trained.get("features", ())),
        validation_share=trained["validation_share"],
        test_share=trained["test_share"],
    )


def require_same_inputs(bundle: Bundle, dataset: Dataset) -> None:
    """Raise if people would be encoded otherwise than they were when the towers were trained."""
    trained = {name: vocabulary.values for name, vocabulary in bundle.vocabularies.items()}
    now = {name: vocabulary.values for name, vocabulary in dataset.vocabularies.items()}
    for what, is_same in (
        ("encoding of people", bundle.encoding == dataset.query_encoding),
        ("set of vocabularies", trained == now),
        ("catalogue", bundle.item_ids == dataset.item_ids),
    ):
        if not is_same:
            raise _changed(bundle, what)


def require_taken(bundle: Bundle, candidate: SavedTower, inputs: Arrays) -> None:
    """Raise if the features of items are not those that the candidate tower takes."""
    # An array without columns is no input of a Keras model.
    given = {name: array.shape[1:] for name, array in inputs.items() if array.shape[1:] != (0,)}
    if candidate.takes != given:
        raise _changed(bundle, "encoding of items")


def _changed(bundle: Bundle, what: str) -> ProfilestoreError:
    return ProfilestoreError(
        f"bundle {bundle.version}: the {what} that {bundle.feature_service} gives at lake snapshot "
        f"{bundle.manifest['lake_snapshot']} is not what the bundle was trained on. Evaluate it "
        "with the registry and the commit that it was trained with."
    )
