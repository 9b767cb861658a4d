"""Begin where a bundle ended: on new days of its log, or on another source of the same items.

What both know is taken over. An embedding is taken by the values that its vocabulary names, so that
an item keeps what was learned of it and a new one begins as it would have. The history encoder is
taken if it is built alike; what reads features, if their encoding is the same too. The rest begins
anew, and is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import Bundle, load
from profilestore.encoding import FIRST_ID, Encoding, Vocabulary
from profilestore.errors import InputError
from profilestore.settings import Settings
from training.batches import Source, batches
from training.compare import find_bundle
from training.config import TrainConfig
from training.dataset import Dataset
from training.runtime import tf
from training.two_tower import TwoTower

_EMBEDDING = "embedding_"
# They read nothing but embeddings of histories.
_OF_HISTORIES = ("start", "encoder")

Layers = Mapping[str, list[npt.NDArray[np.float32]]]


@dataclass(frozen=True)
class Former:
    """What a training may begin from.

    Attributes:
        name: of a bundle its version.
        query, candidate: arrays of each layer of the towers, in the order in which it made them.
        encoding, item_encoding: what the towers read; None is not known.
    """

    name: str
    query: Layers
    candidate: Layers
    encoding: Encoding
    item_encoding: Encoding | None
    vocabularies: Mapping[str, Vocabulary]

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Former:
        query, candidate = (
            _arrays(tf.saved_model.load(str(bundle.path / "saved_model" / f"{side}_tower")))
            for side in ("query", "candidate")
        )
        return cls(
            bundle.version,
            query,
            candidate,
            bundle.encoding,
            bundle.item_encoding,
            bundle.vocabularies,
        )

    @classmethod
    def of_model(cls, name: str, model: TwoTower, dataset: Dataset) -> Former:
        return cls(
            name,
            _arrays(model.query_tower),
            _arrays(model.candidate_tower),
            dataset.query_encoding,
            dataset.candidate_encoding,
            dataset.vocabularies,
        )


@dataclass(frozen=True)
class Taken:
    """What a warm start took over.

    Attributes:
        bundle: version.
        values: of each vocabulary, how many values were known already.
        layers: taken over.
        anew: layers that begin as in a cold start.
    """

    bundle: str
    values: Mapping[str, int]
    layers: tuple[str, ...]
    anew: tuple[str, ...]


def begin(
    settings: Settings, config: TrainConfig, model: TwoTower, source: Source, dataset: Dataset
) -> Taken | None:
    """Begin where the config says; None if it names no bundle.

    Raises:
        MissingStageError: there is no such bundle.
        ProfilestoreError: a file of it is not what it was.
        InputError: nothing of it fits.
    """
    if not config.warm_start:
        return None
    former = Former.of_bundle(load(find_bundle(settings, config.warm_start)))
    # Layers make their variables when they are first called.
    model.compute_loss(next(iter(batches(source, config, 0))))
    taken = warm_start(model, dataset, former)
    known = ", ".join(f"{count:,} {name}" for name, count in taken.values.items())
    print(f"begins from bundle {taken.bundle}, which knows {known or 'no value'}; {_told(taken)}")
    return taken


def _told(taken: Taken) -> str:
    if not taken.anew:
        return "all layers are taken over"
    return f"anew: {', '.join(taken.anew)}"


def warm_start(model: TwoTower, dataset: Dataset, former: Former) -> Taken:
    """Put a built model's weights to former ones, as far as both are of the same.

    Raises:
        InputError: nothing of them fits.
    """
    values: dict[str, int] = {}
    layers: list[str] = []
    anew: list[str] = []
    for tower, arrays_of, same in (
        (model.query_tower, former.query, former.encoding == dataset.query_encoding),
        (
            model.candidate_tower,
            former.candidate,
            former.item_encoding == dataset.candidate_encoding,
        ),
    ):
        for layer, own in _by_layer(tower.trainable_variables).items():
            arrays = arrays_of.get(layer, [])
            if layer.startswith(_EMBEDDING):
                name = layer.removeprefix(_EMBEDDING)
                if name not in values and name in former.vocabularies and arrays:
                    values[name] = _take_embedding(
                        own[0], arrays[0], former.vocabularies[name], dataset.vocabularies[name]
                    )
                continue
            fits = [tuple(one.shape) for one in own] == [one.shape for one in arrays]
            if fits and (same or layer in _OF_HISTORIES):
                for variable, array in zip(own, arrays, strict=True):
                    variable.assign(array)
                layers.append(layer)
            else:
                anew.append(layer)
    if not (layers or any(values.values())):
        raise InputError(
            f"nothing of bundle {former.name} fits: its vectors have another width, and its "
            "layers other shapes. Train with its dimension and encoder, or without warm start."
        )
    return Taken(former.name, values, tuple(layers), tuple(anew))


def _arrays(tower: tf.Module) -> Layers:
    layers = _by_layer(tower.trainable_variables)
    return {name: [one.numpy() for one in variables] for name, variables in layers.items()}


def _by_layer(variables: Iterable[tf.Variable]) -> dict[str, list[tf.Variable]]:
    """Variables of each layer of a tower, in the order in which the layer made them."""
    found: dict[str, list[tf.Variable]] = {}
    for variable in variables:
        # A subclassed model's own name comes first, numbered by how many were built before.
        first, *rest = variable.name.split("/")
        found.setdefault(rest[0] if first.startswith("query_tower") else first, []).append(variable)
    return found


def _take_embedding(
    own: tf.Variable,
    former: npt.NDArray[np.float32],
    of_former: Vocabulary,
    of_own: Vocabulary,
) -> int:
    """Take the rows of values that both know; how many.

    The others are turned so that what they begin with lies among the former's rows as it lay among
    their own (orthogonal Procrustes, Schönemann 1966): vectors of two trainings differ by a
    rotation that says nothing.
    """
    if own.shape[1] != former.shape[1]:
        return 0
    place = {value: n for n, value in enumerate(of_former.values, start=FIRST_ID)}
    both = [
        (n, place[value]) for n, value in enumerate(of_own.values, start=FIRST_ID) if value in place
    ]
    if not both:
        return 0
    mine, theirs = np.array(both).T
    rows = own.numpy()
    left, _, right = np.linalg.svd(rows[mine].T @ former[theirs])
    rows = rows @ (left @ right)
    rows[:FIRST_ID] = former[:FIRST_ID]
    rows[mine] = former[theirs]
    own.assign(rows)
    return len(both)
