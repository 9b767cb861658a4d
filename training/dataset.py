"""Training rows from the offline store, as arrays, split by time.

A row is an interaction, with the features of its person and of its item as they were known one
microsecond before it. The offline store streams Arrow batches, and each becomes integer and float
arrays at once, in a file: neither the texts nor the arrays of the whole log need be in memory
together. Each step then gathers the rows of its batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profilestore.encoding import Arrays, Encoding, Feature, Vocabulary, plan
from profilestore.errors import InputError, ProfilestoreError
from profilestore.feature_store import FeatureStore
from training.config import TrainConfig
from training.feature_list import FeatureList
from training.on_disk import GrowingArrays

ITEM_VOCABULARY = "item_id"
TRAIN, VALIDATION, TEST = 0, 1, 2

# `asked_at` is what on-demand views take. `place` is the share of the log that is before the row;
# events of one instant have one place.
INTERACTIONS = """
    SELECT
        user_id,
        item_id,
        asked_at AS event_timestamp,
        asked_at,
        (rank() OVER (ORDER BY asked_at) - 1) / count(*) OVER () AS place
    FROM lake.main.interactions
    ORDER BY asked_at, event_id
"""


@dataclass(frozen=True)
class Dataset:
    """Every interaction with its features, oldest first.

    Attributes:
        query, candidate: arrays of `rows` rows, read-only, as `Encoding.encode` makes them; the
            candidate's also hold `item_id`, int32 [rows].
        user: int64 [rows], a number for each person.
        item: int64 [rows], index in `item_ids`.
        asked_at_us: int64 [rows], microseconds since 1970.
        split: int8 [rows], TRAIN, VALIDATION or TEST.
        item_ids: every item of the catalogue, also those that training never saw.
        lake_snapshot: number of the lake's snapshot that all this was cut from.
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
    lake_snapshot: int

    @property
    def history_column(self) -> str:
        """The query column that lists the items a person turned to, newest first."""
        return self.query_encoding.histories(ITEM_VOCABULARY)[0]

    def rows(self, split: int) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.split == split)


def load_dataset(store: FeatureStore, config: TrainConfig, scratch: Path) -> Dataset:
    """Join, split, encode. Vocabularies hold what the training window holds, and no more.

    Args:
        store: pinned to a snapshot, so that no build that ends meanwhile is half in it.
        scratch: folder for the arrays, which may be larger than memory; nothing stays in it.

    Raises:
        ProfilestoreError: the feature service lacks what a two-tower needs.
        InputError: there are too few interactions to split, or the config's list names a feature
            that the service lacks.
    """
    query_encoding, candidate_encoding = encodings(store.features(config.feature_service), config)
    if ITEM_VOCABULARY not in query_encoding.id_lists.values():
        raise ProfilestoreError(
            f"feature service {config.feature_service}: no list with `vocabulary: item_id` about "
            "the user, so there is no history to encode. Add the view that has one."
        )
    item_ids = store.keys(config.feature_service, "item")
    vocabularies = {
        name: Vocabulary(name, [])
        for name in {*query_encoding.vocabularies, *candidate_encoding.vocabularies}
    }
    query, candidates, rows = (GrowingArrays(scratch) for _ in range(3))
    people: dict[str, int] = {}
    for batch in store.training_frame(
        config.feature_service,
        INTERACTIONS,
        columns=[*query_encoding.columns, *candidate_encoding.columns],
    ):
        columns = columns_of(batch)
        split = split_by_place(columns["place"].to_numpy(), config)
        known = batch.filter(pa.array(split == TRAIN))
        # Rows come in the order of time, so what a batch's training rows hold is known before any
        # later row is encoded, and what only later rows hold stays unknown.
        for name, vocabulary in vocabularies.items():
            held = _columns(known, name, (query_encoding, candidate_encoding))
            vocabularies[name] = vocabulary.grown(held)
        asked_at_us = epoch_us(columns["event_timestamp"])
        candidates.append(candidate_inputs(candidate_encoding, columns, asked_at_us, vocabularies))
        query.append(query_encoding.encode(columns, asked_at_us, vocabularies))
        user = [people.setdefault(user, len(people)) for user in columns["user_id"].to_pylist()]
        rows.append(
            {
                "user": np.array(user, np.int64),
                "item": index_in(columns["item_id"], item_ids),
                "asked_at_us": asked_at_us,
                "split": split,
            }
        )
    if not people:
        raise InputError("the lake has no interactions. Check the source and `make build`.")
    of_rows = rows.finish()
    require_windows(of_rows["split"])
    return Dataset(
        query=query.finish(),
        candidate=candidates.finish(),
        **of_rows,
        item_ids=item_ids,
        query_encoding=query_encoding,
        candidate_encoding=candidate_encoding,
        vocabularies=vocabularies,
        lake_snapshot=store.lake_snapshot(),
    )


def catalogue_at(
    store: FeatureStore,
    config: TrainConfig,
    dataset: Dataset,
    instants_us: Sequence[int],
    scratch: Path,
) -> list[Arrays]:
    """The candidate inputs of every item, in the catalogue's order, as known at each instant."""
    encoding = dataset.candidate_encoding
    catalogues = []
    for instant in instants_us:
        spine = pa.table(
            {
                "item_id": dataset.item_ids,
                "event_timestamp": pa.array(
                    [instant] * len(dataset.item_ids), pa.timestamp("us", tz="UTC")
                ),
            }
        )
        arrays = GrowingArrays(scratch)
        for batch in (
            store.training_frame(config.feature_service, spine, columns=encoding.columns)
            if encoding.columns
            else spine.to_batches()
        ):
            columns = columns_of(batch)
            at_us = epoch_us(columns["event_timestamp"])
            arrays.append(candidate_inputs(encoding, columns, at_us, dataset.vocabularies))
        catalogues.append(arrays.finish())
    return catalogues


def encodings(features: Sequence[Feature], config: TrainConfig) -> tuple[Encoding, Encoding]:
    """How the query tower and the candidate tower read the features of the config's service.

    Raises:
        ProfilestoreError: `weights_of` names a column that the view does not have.
        InputError: the config's list names a feature that the service lacks.
    """
    if config.features:
        listed = FeatureList(config.feature_service, config.features)
        features = listed.of(features, config.feature_service)
    # Item vectors are computed ahead of the question, so nothing that changes by the mere passing
    # of time can be in them.
    why = "item vectors are computed ahead"
    return plan(features, "user"), plan(features, "item").without_ages(why)


def columns_of(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return {name: batch.column(name) for name in batch.schema.names}


def candidate_inputs(
    encoding: Encoding,
    columns: Mapping[str, pa.Array],
    asked_at_us: npt.NDArray[np.int64],
    vocabularies: Mapping[str, Vocabulary],
) -> Arrays:
    """What the candidate tower takes: the features as `Encoding.encode` makes them, and `item_id`,
    int32 [rows]."""
    arrays = encoding.encode(columns, asked_at_us, vocabularies)
    arrays[ITEM_VOCABULARY] = vocabularies[ITEM_VOCABULARY].ids(columns["item_id"])
    return arrays


def split_by_place(place: npt.NDArray[np.float64], config: TrainConfig) -> npt.NDArray[np.int8]:
    """The latest `test_share` of the events is the test, the share before it the validation.

    Args:
        place: float64 [rows], the share of all events that are before each row's instant.
    """
    split = np.full(len(place), TRAIN, np.int8)
    split[place >= 1 - config.test_share - config.validation_share] = VALIDATION
    split[place >= 1 - config.test_share] = TEST
    return split


def require_windows(split: npt.NDArray[np.int8]) -> None:
    """Raise if a window has no rows, or the log too few to learn from.

    Raises:
        InputError: what is wrong, and what to do.
    """
    if len(split) < 100:
        raise InputError(
            f"the lake has {len(split)} interactions; a temporal split needs at least 100."
        )
    windows = {"training": TRAIN, "validation": VALIDATION, "test": TEST}
    empty = [name for name, window in windows.items() if not (split == window).any()]
    if empty:
        raise InputError(
            f"a temporal split of {len(split)} interactions leaves the {' and the '.join(empty)} "
            "window empty: too many of them bear one and the same time, or its share is too small. "
            "Check the time column of the source, validation_share and test_share."
        )


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


def evenly(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most `most` of the rows, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // most))]


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
    return [frame.column(name) for name in names]
