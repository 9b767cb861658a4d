"""Delta tables, read through the extension from its package."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureView, FileSource
from feast.data_format import DeltaFormat

from profilestore.errors import InputError, MissingStageError
from profilestore.offline_store import DuckDBSource, NativeDuckDBOfflineStore

TYPES = {"user_id": "long", "at": "timestamp", "n": "long"}


def add(folder, version, table, remove=()):
    """Commit a file to a Delta table, as any writer of that format does."""
    log = folder / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    name = f"part-{version}.parquet"
    pq.write_table(table, folder / name)
    fields = [
        {"name": column, "type": TYPES[column], "nullable": True, "metadata": {}}
        for column in table.column_names
    ]
    start = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {
            "metaData": {
                "id": "6b1b7a4e",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {},
                "createdTime": 0,
            }
        },
    ]
    actions = [
        *(start if version == 0 else []),
        *({"remove": {"path": gone, "dataChange": True}} for gone in remove),
        {
            "add": {
                "path": name,
                "partitionValues": {},
                "size": (folder / name).stat().st_size,
                "modificationTime": 0,
                "dataChange": True,
            }
        },
    ]
    (log / f"{version:020}.json").write_text("\n".join(json.dumps(action) for action in actions))


def rows(*values):
    users, days, numbers = zip(*values, strict=True)
    return pa.table(
        {
            "user_id": users,
            "at": pa.array(
                [datetime(2024, 1, d, tzinfo=UTC) for d in days], pa.timestamp("us", "UTC")
            ),
            "n": numbers,
        }
    )


@pytest.fixture
def table(repo):
    folder = repo.repo_path / "activity"
    add(folder, 0, rows((1, 1, 10), (1, 2, 11)))
    add(folder, 1, rows((2, 1, 20)))
    return folder


SOURCES = [
    DuckDBSource(name="d", path="activity", timestamp_field="at"),
    FileSource(name="f", path="activity", timestamp_field="at", file_format=DeltaFormat()),
    # What lies in the folder decides, as it does for every reader of Delta.
    FileSource(name="p", path="activity", timestamp_field="at"),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_only_what_the_log_counts_is_read(repo, table, source):
    job = NativeDuckDBOfflineStore.pull_latest_from_table_or_query(
        repo.config, source, ["user_id"], ["n"], "at", None
    )
    assert sorted(job.to_arrow()["n"].to_pylist()) == [11, 20]
    # A file replaced by another stays on the disk.
    add(table, 2, rows((1, 3, 12)), remove=["part-0.parquet"])
    assert sorted(job.to_arrow()["n"].to_pylist()) == [12, 20]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_view_with_inferred_features_is_applied_and_asked(repo, applied, table, source):
    view = FeatureView(name="delta", entities=[applied.get_entity("user")], source=source)
    applied.apply([view])
    assert [field.name for field in applied.get_feature_view("delta").features] == ["n"]
    spine = pa.table({"user_id": [1], "event_timestamp": [datetime(2024, 1, 2, tzinfo=UTC)]})
    job = applied.get_historical_features(entity_df=spine, features=["delta:n"])
    assert job.to_arrow()["n"].to_pylist() == [11]
    assert job.to_record_batches().read_all()["n"].to_pylist() == [11]


def test_a_table_that_is_not_there_or_broken(repo, table):
    source = FileSource(name="f", path="none", timestamp_field="at", file_format=DeltaFormat())
    with pytest.raises(MissingStageError, match=r"source 'f': cannot read .*none"):
        NativeDuckDBOfflineStore().validate_data_source(repo.config, source)
    (table / "_delta_log" / f"{0:020}.json").write_text("{ no json")
    with pytest.raises(InputError, match=r"source 'd': cannot read .*activity as Delta"):
        SOURCES[0].validate(repo.config)
