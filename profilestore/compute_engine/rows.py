"""What a materialisation carries: the offline store's rows as columns of Feast's types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL, FeatureView
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from profilestore.errors import InputError
from profilestore.online_store.columns import declared, entities, microseconds

BATCH_ROWS = 100_000
# Arrow's binary arrays end at two GiB, and packing needs a few times a batch.
BATCH_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Rows:
    """Some entities' latest rows, in the order of their keys.

    Attributes:
        entities: of `online_store.columns.entities`.
        columns: feature -> column of `online_store.columns.declared`.
        event: int64 microseconds since 1970.
        created: the same, or None where the source has no such column.
    """

    entities: pa.Array
    columns: dict[str, pa.Array]
    event: np.ndarray
    created: np.ndarray | None


def latest_rows(
    offline_store: OfflineStore,
    config: RepoConfig,
    view: FeatureView,
    start: datetime,
    end: datetime,
) -> Iterator[Rows]:
    """The latest row of each entity with start <= event time <= end.

    Raises:
        InputError: a column is not there, or a value does not fit the declared type.
    """
    source = view.batch_source
    keys = [(key.name, key.dtype.to_value_type()) for key in view.entity_columns]
    # What Feast asks for when a view has no entity.
    keys = keys or [(DUMMY_ENTITY_ID, ValueType.STRING)]
    features = [(feature.name, feature.dtype.to_value_type()) for feature in view.features]
    stored = {mapped: column for column, mapped in (source.field_mapping or {}).items()}
    created = source.created_timestamp_column or None
    job = offline_store.pull_latest_from_table_or_query(
        config=config,
        data_source=source,
        join_key_columns=[stored.get(n, n) for n, _ in keys if n != DUMMY_ENTITY_ID],
        # Feast's stream views keep a key among their features too.
        feature_name_columns=[
            stored.get(name, name) for name, _ in features if name not in dict(keys)
        ],
        timestamp_field=stored.get(source.timestamp_field, source.timestamp_field),
        created_timestamp_column=None if created is None else stored.get(created, created),
        start_date=start,
        end_date=end,
    )
    for batch in _batches(job):
        rows = _rows(view, source, keys, features, stored, created, batch)
        if len(rows.event):
            yield rows


def _rows(view, source, keys, features, stored, created, batch) -> Rows:  # type: ignore[no-untyped-def]
    where = f"feature view {view.name!r}"

    def column(name: str) -> pa.Array:
        if name == DUMMY_ENTITY_ID:
            return pa.array([DUMMY_ENTITY_VAL] * batch.num_rows)
        index = batch.schema.get_field_index(stored.get(name, name))
        if index < 0:
            raise InputError(
                f"{where}: source {source.name!r} gave no column {stored.get(name, name)!r}; "
                f"found: {', '.join(batch.schema.names)}."
            )
        return batch.column(index)

    # Nobody can ask for an entity without a key.
    for name, _ in keys:
        if column(name).null_count:
            batch = batch.filter(pc.is_valid(column(name)))
    key_columns = {
        name: declared(column(name), kind, f"{where}: key {name!r}") for name, kind in keys
    }
    return Rows(
        entities=entities(keys, key_columns),
        columns={
            name: declared(column(name), kind, f"{where}: feature {name!r}")
            for name, kind in features
        },
        event=microseconds(column(source.timestamp_field)),
        created=None if created is None else microseconds(column(created)),
    )


def _batches(job: RetrievalJob) -> Iterator[pa.RecordBatch]:
    # Ours streams; of another store's job everything comes at once.
    stream = getattr(job, "to_record_batches", None)
    if stream is not None:
        batches = stream(BATCH_ROWS)
    else:
        batches = job.to_arrow().combine_chunks().to_batches(BATCH_ROWS)
    for batch in batches:
        pieces = batch.nbytes // BATCH_BYTES + 1
        size = max(1, -(-batch.num_rows // pieces))
        for first in range(0, batch.num_rows, size):
            yield batch.slice(first, size)
