"""A model's vectors of people and items, written back to the lake.

The marts `user_vectors` and `item_vectors` are views over these tables: what a training writes is
in the feature views at once, and look-alikes and similar items are a search of plain Feast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profilestore import lake
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.config import TrainConfig
from training.dataset import Dataset, columns_of, epoch_us
from training.evaluate import predict
from training.towers import QueryTower

USERS, ITEMS = "trained_user_vectors", "trained_item_vectors"
# People whose features are read at once.
_PEOPLE = 50_000


def write_vectors(
    settings: Settings,
    store: FeatureStore,
    config: TrainConfig,
    dataset: Dataset,
    query_tower: QueryTower,
    item_vectors: npt.NDArray[np.float32],
    version: str,
    now: datetime,
) -> None:
    """Append the vectors of everybody and everything, as of now, in one commit.

    Args:
        item_vectors: float32 [items, dimension], in the order of `dataset.item_ids`.
        version: of the bundle that they are of.

    Raises:
        ProfilestoreError: somebody else writes to the lake, or it was built by an older checkout.
    """
    people = store.keys(config.feature_service, "user")
    try:
        with lake.connect() as connection:
            lake.attach_lake(connection, settings.lake_catalog, settings.lake_files, writable=True)
            connection.execute("BEGIN")
            for keys, vectors in _of_people(store, config, dataset, query_tower, people, now):
                _append(connection, USERS, "user_id", keys, vectors, version, now)
            _append(connection, ITEMS, "item_id", dataset.item_ids, item_vectors, version, now)
            connection.execute("COMMIT")
    except duckdb.CatalogException as error:
        raise ProfilestoreError(
            f"the lake at {settings.lake_catalog} has no table for a model's vectors: it was built "
            "by an older checkout. Run `make build`, then `python -m training export`, which goes "
            "on from the last checkpoint. The last good bundle stays in place."
        ) from error
    except duckdb.Error as error:
        raise ProfilestoreError(
            f"the model's vectors cannot be written to the lake at {settings.lake_catalog}: "
            f"{error}. Wait for a build that runs, then `python -m training export` goes on from "
            "the last checkpoint. The last good bundle stays in place."
        ) from error


def _of_people(
    store: FeatureStore,
    config: TrainConfig,
    dataset: Dataset,
    query_tower: QueryTower,
    people: Sequence[str],
    now: datetime,
) -> Iterator[tuple[list[str], npt.NDArray[np.float32]]]:
    encoding = dataset.query_encoding
    for first in range(0, len(people), _PEOPLE):
        some = people[first : first + _PEOPLE]
        at = pa.array([now] * len(some), pa.timestamp("us", tz="UTC"))
        spine = pa.table(
            {"user_id": pa.array(some, pa.string()), "event_timestamp": at, "asked_at": at}
        )
        frame = store.training_frame(config.feature_service, spine, columns=encoding.columns)
        for batch in frame:
            columns = columns_of(batch)
            asked_at_us = epoch_us(columns["event_timestamp"])
            inputs = encoding.encode(columns, asked_at_us, dataset.vocabularies)
            yield (
                columns["user_id"].to_pylist(),
                predict(query_tower, inputs, np.arange(len(asked_at_us))),
            )


def _append(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    key: str,
    keys: Sequence[str],
    vectors: npt.NDArray[np.float32],
    version: str,
    now: datetime,
) -> None:
    width = vectors.shape[1]
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(len(vectors) + 1) * width, pa.int32()), pa.array(vectors.ravel())
    )
    rows = pa.table({"key": pa.array(keys, pa.string()), "vector": lists})
    connection.register("rows", rows)
    connection.execute(
        f"INSERT INTO lake.{table} ({key}, event_timestamp, loaded_at, vector, model) "
        "SELECT key, $now, $now, vector, $model FROM rows",
        {"now": now, "model": version},
    )
    connection.unregister("rows")
