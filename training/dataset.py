"""Training rows from the offline store, as arrays, split by time.

A row is an interaction, with the features of its person and of its item as they were known one
microsecond before it. Arrow batches become integer and float arrays once; each step then gathers
the rows of its batch, which `tf.data` does faster than any per-row pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profilestore.encoding import Arrays, Encoding, Vocabulary, plan
from profilestore.errors import InputError, ProfilestoreError
from profilestore.feature_store import FeatureStore
from training.config import TrainConfig

ITEM_VOCABULARY = "item_id"
TRAIN, VALIDATION, TEST = 0, 1, 2

_SPINE = """
    SELECT user_id, item_id, asked_at AS event_timestamp
    FROM lake.main.interactions
    ORDER BY asked_at, event_id
"""


@dataclass(frozen=True)
class Dataset:
    """Every interaction with its features, oldest first.

    Attributes:
        query, candidate: arrays of `rows` rows, as `Encoding.encode` makes them; the candidate's
            also hold `item_id`, int32 [rows].
        user: int64 [rows], a number for each person.
        item: int64 [rows], index in `item_ids`.
        asked_at_us: int64 [rows], microseconds since 1970.
        split: int8 [rows], TRAIN, VALIDATION or TEST.
        item_ids: every item of the catalogue, also those that training never saw.
    """

    query: Arrays
    candidate: Arrays
    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    asked_at_us: npt.NDArray[np.int64]
    split: npt.NDArray[np.int8]
    item_ids: list[str]
    query_encoding: Encoding
    candidate_encoding: Encoding
    vocabularies: dict[str, Vocabulary]

    def rows(self, split: int) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.split == split)


def load_dataset(store: FeatureStore, config: TrainConfig) -> Dataset:
    """Join, split, encode. Vocabularies hold what the training window holds, and no more.

    Raises:
        ProfilestoreError: the feature service lacks what a two-tower needs.
        InputError: there are too few interactions to split.
    """
    features = store.features(config.feature_service)
    query_encoding = plan(features, "user")
    # Item vectors are computed ahead of the question, so nothing that changes by the mere passing
    # of time can be in them.
    candidate_encoding = plan(features, "item").without_ages("item vectors are computed ahead")
    if ITEM_VOCABULARY not in query_encoding.id_lists.values():
        raise ProfilestoreError(
            f"feature service {config.feature_service}: no list with `vocabulary: item_id` about "
            "the user, so there is no history to encode. Add the view that has one."
        )
    frame = store.training_frame(
        config.feature_service,
        _SPINE,
        columns=[*query_encoding.columns, *candidate_encoding.columns],
    ).read_all()
    if frame.num_rows < 100:
        raise InputError(
            f"the lake has {frame.num_rows} interactions; a temporal split needs at least 100."
        )
    asked_at_us = epoch_us(frame["event_timestamp"])
    split = split_by_time(asked_at_us, config)
    known = frame.filter(pa.array(split == TRAIN))
    vocabularies = {
        name: Vocabulary.of(name, _columns(known, name, (query_encoding, candidate_encoding)))
        for name in {*query_encoding.vocabularies, *candidate_encoding.vocabularies}
    }
    columns = {name: frame[name].combine_chunks() for name in frame.column_names}
    candidate = candidate_encoding.encode(columns, asked_at_us, vocabularies)
    candidate["item_id"] = vocabularies[ITEM_VOCABULARY].ids(columns["item_id"])
    item_ids = store.keys(config.feature_service, "item")
    return Dataset(
        query=query_encoding.encode(columns, asked_at_us, vocabularies),
        candidate=candidate,
        user=columns["user_id"].dictionary_encode().indices.to_numpy().astype(np.int64),
        item=index_in(columns["item_id"], item_ids),
        asked_at_us=asked_at_us,
        split=split,
        item_ids=item_ids,
        query_encoding=query_encoding,
        candidate_encoding=candidate_encoding,
        vocabularies=vocabularies,
    )


def split_by_time(asked_at_us: npt.NDArray[np.int64], config: TrainConfig) -> npt.NDArray[np.int8]:
    """The latest `test_share` of the events is the test, the share before it the validation.

    Events of one instant are never parted.

    Args:
        asked_at_us: int64 [rows], ascending.
    """
    rows = len(asked_at_us)
    test_from = asked_at_us[int(rows * (1 - config.test_share))]
    validation_from = asked_at_us[int(rows * (1 - config.test_share - config.validation_share))]
    split = np.full(rows, TRAIN, np.int8)
    split[asked_at_us >= validation_from] = VALIDATION
    split[asked_at_us >= test_from] = TEST
    if len(np.unique(split)) < 3:
        raise InputError(
            "a temporal split of the interactions leaves a window empty: too many of them bear one "
            "and the same time. Check the time column of the source."
        )
    return split


def index_in(values: pa.Array, catalogue: list[str]) -> npt.NDArray[np.int64]:
    """int64 [rows], the place of each value in the catalogue."""
    import pyarrow.compute as pc

    found = pc.index_in(values, value_set=pa.array(catalogue, pa.string()))
    if found.null_count:
        raise ProfilestoreError(
            f"{found.null_count} interactions are with items that item_attributes does not hold. "
            "Run `make build` again, whole."
        )
    return found.to_numpy().astype(np.int64)


def epoch_us(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()


def gather(arrays: Mapping[str, npt.NDArray], rows: npt.NDArray[np.int64]) -> Arrays:
    """The same arrays, at some rows."""
    return {name: array[rows] for name, array in arrays.items()}


def _columns(frame: pa.Table, vocabulary: str, encodings: tuple[Encoding, ...]) -> list[pa.Array]:
    names = [
        name
        for encoding in encodings
        for name, kind in {**encoding.ids, **encoding.id_lists}.items()
        if kind == vocabulary
    ]
    if vocabulary == ITEM_VOCABULARY:
        # A history may hold items of before the log's cut that were never a target: they have no
        # vector of their own, so the targets alone name the vocabulary.
        names = ["item_id"]
    return [frame[name].combine_chunks() for name in names]
