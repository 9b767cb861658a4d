"""Saved datasets, end to end through Feast; and exports."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore, Field, RequestSource
from feast.data_format import DeltaFormat
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.saved_dataset import SavedDatasetStorage
from feast.types import Int64

from profilestore.errors import InputError
from profilestore.offline_store import DuckDBSource, SavedDatasetDuckDBStorage, retrieval_job
from profilestore.offline_store.saved_dataset import dataset_file

pytestmark = pytest.mark.filterwarnings(
    "ignore:(Saving|Retrieving) dataset:RuntimeWarning",
    "ignore:On demand feature view is an experimental:RuntimeWarning",
)

SPINE = pa.table(
    {
        "user_id": [2, 1, 1],
        "event_timestamp": [datetime(2024, 1, day, tzinfo=UTC) for day in (5, 2, 4)],
    }
)


def job_of(store, spine=SPINE, **options):
    return store.get_historical_features(
        entity_df=spine, features=["user_activity:clicks", "site:load"], **options
    )


@pytest.mark.parametrize("full_feature_names", [False, True])
@pytest.mark.parametrize("kind", [SavedDatasetDuckDBStorage, SavedDatasetFileStorage])
@pytest.mark.parametrize("path", ["out/training.parquet", "out/training"])
def test_created_and_found_again(applied, kind, path, full_feature_names):
    job = job_of(applied, full_feature_names=full_feature_names)
    saved = applied.create_saved_dataset(from_=job, name="training", storage=kind(path=path))
    # In another process everything comes from the registry.
    again = FeatureStore(repo_path=str(applied.repo_path)).get_saved_dataset("training")
    names = ["user_activity__clicks", "site__load"] if full_feature_names else ["clicks", "load"]
    expected = job.to_arrow().to_pylist()
    for dataset in (saved, again):
        found = dataset._retrieval_job.to_arrow()
        assert found.column_names == ["user_id", *names, "event_timestamp"]
        assert [{name: row[name] for name in expected[0]} for row in found.to_pylist()] == expected
    assert type(again.storage) is kind


def test_the_registry_says_which_class_wrote_it():
    storage = SavedDatasetDuckDBStorage("a/b.parquet")
    proto = storage.to_proto()
    # The public path, which never changes.
    assert b"profilestore.offline_store.SavedDatasetDuckDBStorage" in (
        proto.custom_storage.configuration
    )
    assert SavedDatasetStorage.from_proto(type(proto).FromString(proto.SerializeToString())) == (
        storage
    )
    assert SavedDatasetDuckDBStorage.from_data_source(storage.to_data_source()) == storage
    assert hash(storage) == hash(SavedDatasetDuckDBStorage("a/b.parquet"))
    with pytest.raises(InputError, match="source 't' cannot hold a saved dataset"):
        SavedDatasetDuckDBStorage.from_data_source(DuckDBSource(table="t"))


@pytest.mark.parametrize("path", ["training.parquet", "training"])
def test_overwritten_only_when_asked_and_then_whole(applied, path):
    storage = SavedDatasetDuckDBStorage(path)
    job_of(applied).persist(storage)
    file = dataset_file(storage, Path(applied.repo_path), allow_overwrite=True)
    other = job_of(applied, SPINE.slice(0, 1))
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        other.persist(storage)
    assert pq.read_table(file).num_rows == 3

    sizes, done = set(), threading.Event()

    def watch():
        while not done.is_set():
            sizes.add(pq.read_table(io.BytesIO(file.read_bytes())).num_rows)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(10):
        other.persist(storage, allow_overwrite=True)
        job_of(applied).persist(storage, allow_overwrite=True)
    done.set()
    watcher.join()
    assert sizes <= {1, 3}
    assert [child.name for child in file.parent.glob(".*")] == []
    assert len(list(Path(applied.repo_path).rglob("*.parquet"))) == 1


def test_where_it_cannot_be_kept(applied):
    job = job_of(applied)
    with pytest.raises(InputError, match="as DeltaFormat: wanted ParquetFormat"):
        job.persist(SavedDatasetFileStorage("x", file_format=DeltaFormat()))
    with pytest.raises(InputError, match="wanted a path on the local disk"):
        job.persist(SavedDatasetFileStorage("s3://bucket/x.parquet"))
    (applied.repo_path / "mixed").mkdir()
    pq.write_table(SPINE, applied.repo_path / "mixed" / "other.parquet")
    with pytest.raises(InputError, match=r"holds other Parquet files \(other\.parquet"):
        job.persist(SavedDatasetDuckDBStorage("mixed"), allow_overwrite=True)


def test_exported_as_several_files(applied, reopen, monkeypatch):
    assert not job_of(applied).supports_remote_storage_export()
    with pytest.raises(InputError, match="no staging_path"):
        job_of(applied).to_remote_storage()
    store = reopen(staging_path="staging", threads=4)
    monkeypatch.setattr(retrieval_job, "EXPORT_FILE_SIZE", "1MB")
    spine = (
        "SELECT i % 3 AS user_id, i AS n, hash(i) AS noise, TIMESTAMP '2024-01-05' AS "
        "event_timestamp FROM range(400000) t(i) ORDER BY i"
    )
    job = job_of(store, spine)
    assert job.supports_remote_storage_export()
    files = job.to_remote_storage()
    assert len(files) > 1
    assert {Path(file).parent.parent for file in files} == {applied.repo_path / "staging"}
    found = pa.concat_tables([pq.read_table(file) for file in files])
    assert sorted(found["n"].to_pylist()) == list(range(400_000))
    assert len(list((applied.repo_path / "staging").iterdir())) == 1


def test_exported_with_on_demand_features(applied, reopen):
    request = RequestSource(name="factor", schema=[Field(name="factor", dtype=Int64)])
    view = on_demand_feature_view(
        sources=[applied.get_feature_view("user_activity")[["clicks"]], request],
        schema=[Field(name="scaled", dtype=Int64)],
        mode="pandas",
    )(scaled)
    applied.apply([view])
    job = reopen(staging_path="staging").get_historical_features(
        entity_df=SPINE.append_column("factor", pa.array([2, 2, 2])), features=["scaled:scaled"]
    )
    (file,) = job.to_remote_storage()
    assert pq.read_table(file)["scaled"].to_pylist() == [None, 20, 40]


def scaled(inputs):
    import pandas as pd

    return pd.DataFrame({"scaled": inputs["clicks"] * inputs["factor"]})


def test_an_export_that_fails_leaves_nothing(applied, reopen):
    store = reopen(staging_path="staging")
    job = job_of(
        store, "SELECT 1 AS user_id, TIMESTAMP '2024-01-05' AS event_timestamp, error('x')"
    )
    with pytest.raises(InputError, match=r"reading failed: .*x"):
        job.to_remote_storage()
    assert list((applied.repo_path / "staging").iterdir()) == []


def test_a_training_set_larger_than_memory_goes_to_parquet(applied, reopen):
    store = reopen(memory_limit="150MB", threads=2)
    # Numbers that do not compress: 2 M rows of 200 bytes.
    wide = ", ".join(f"hash(i + {n}) AS noise_{n}" for n in range(25))
    spine = (
        f"SELECT i % 3 AS user_id, i AS n, {wide}, TIMESTAMP '2024-01-05' AS event_timestamp "
        "FROM range(2000000) t(i)"
    )
    job = job_of(store, spine)
    job.persist(SavedDatasetDuckDBStorage("large.parquet"))
    file = pq.ParquetFile(applied.repo_path / "large.parquet")
    assert file.metadata.num_rows == 2_000_000
    assert sum(file.metadata.row_group(n).total_byte_size for n in range(file.num_row_groups)) > (
        2 * 150_000_000
    )
    assert file.read_row_group(0, ["n"])["n"].to_pylist()[:3] == [0, 1, 2]
