from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Field, RequestSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Int64

from profilestore.errors import InputError, ProfilestoreError
from profilestore.offline_store import DuckDBSource, NativeDuckDBOfflineStore
from profilestore.offline_store.connections import cursor
from profilestore.offline_store.source import lake_location

FEATURES = ["user_activity:clicks", "user_activity:vector", "user_activity:amount", "site:load"]


@pytest.fixture
def spine():
    return pd.DataFrame(
        {
            "user_id": [2, 1, 1],
            "note": ["a", None, "c"],
            "event_timestamp": pd.to_datetime(["2024-01-05", "2024-01-02", "2024-01-04"], utc=True),
        }
    )


@pytest.fixture
def job(applied, spine):
    return applied.get_historical_features(entity_df=spine, features=FEATURES)


@pytest.fixture
def doubled(applied):
    """An on-demand view beside the stored ones."""
    activity = applied.get_feature_view("user_activity")
    factor = RequestSource(name="factor", schema=[Field(name="factor", dtype=Int64)])

    def multiply(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"scaled": inputs["clicks"] * inputs["factor"]})

    view = on_demand_feature_view(
        sources=[activity[["clicks"]], factor],
        schema=[Field(name="scaled", dtype=Int64)],
        mode="pandas",
    )(multiply)
    with pytest.warns(RuntimeWarning, match="On demand feature view is an experimental feature"):
        applied.apply([view])
    return applied


def test_arrow_and_pandas(job):
    table = job.to_arrow()
    assert table.column_names == [
        "user_id",
        "note",
        "event_timestamp",
        "clicks",
        "vector",
        "amount",
        "load",
    ]
    assert table["clicks"].to_pylist() == [None, 10, 20]
    assert table["load"].to_pylist() == [8, 7, 8]
    assert str(table.schema.field("vector").type) == "list<item: float>"
    assert table.schema.field("amount").type == pa.decimal128(10, 2)
    # Feast's local engine reads the first chunk only.
    assert all(column.num_chunks == 1 for column in table.columns)
    assert list(job.to_df().columns) == table.column_names
    assert not job.full_feature_names
    assert job.on_demand_feature_views == []


def test_the_result_has_the_rows_of_each_call(job, write):
    before = job.to_arrow()["load"].to_pylist()
    write("INSERT INTO lake.main.site VALUES (TIMESTAMPTZ '2024-01-04 12:00:00+00', 9)")
    assert before == [8, 7, 8]
    assert job.to_arrow()["load"].to_pylist() == [9, 7, 8]


def test_the_statement_alone_gives_the_result(applied):
    query = "SELECT user_id, event_timestamp AS asked FROM lake.main.user_activity"
    for known_only in (False, True):
        job = applied.get_historical_features(
            entity_df=query, features=FEATURES, filter_by_created_timestamp=known_only
        )
        with cursor(lake_location(applied.config)) as connection:
            alone = connection.execute(job.to_sql()).to_arrow_table()
        assert alone.to_pylist() == job.to_arrow().to_pylist()


def test_the_statement_of_a_frame_reads_the_spine_by_name(job):
    assert "FROM profilestore_spine AS spine" in job.to_sql()


def test_batches_are_the_table_in_pieces(applied):
    spine = pa.table(
        {
            "user_id": pa.array([1, 2, 7] * 5_000, pa.int32()),
            "kind": pa.array(["a", "b", None] * 5_000).dictionary_encode(),
            "event_timestamp": pa.array(
                [datetime(2024, 1, 5, tzinfo=UTC)] * 15_000, pa.timestamp("ns", "UTC")
            ),
        }
    )
    job = applied.get_historical_features(entity_df=spine, features=FEATURES)
    with job.to_record_batches(batch_size=2_048) as reader:
        assert isinstance(reader, pa.RecordBatchReader)
        batches = list(reader)
    assert len(batches) > 1
    assert max(batch.num_rows for batch in batches) <= 2_048
    whole = job.to_arrow()
    assert batches[0].schema == whole.schema
    assert pa.Table.from_batches(batches).to_pylist() == whole.to_pylist()


def test_batches_may_be_left_unread(job):
    reader = job.to_record_batches()
    reader.close()
    del reader


def test_batches_and_on_demand_views_do_not_go_together(doubled, spine):
    spine["factor"] = 3
    job = doubled.get_historical_features(
        entity_df=spine, features=["user_activity:clicks", "multiply:scaled"]
    )
    assert job.to_df()["scaled"].tolist()[1:] == [30, 60]
    with pytest.raises(InputError, match=r"\(multiply\).*use to_arrow"):
        job.to_record_batches()


def test_what_an_on_demand_view_takes_has_to_be_in_every_spine(doubled, spine):
    query = "SELECT 1::BIGINT AS user_id, TIMESTAMP '2024-01-05' AS event_timestamp"
    for without in (pa.Table.from_pandas(spine), query):
        with pytest.raises(InputError, match=r"no column 'factor'.*'multiply'.*found: user_id"):
            doubled.get_historical_features(entity_df=without, features=["multiply:scaled"])
    job = doubled.get_historical_features(
        entity_df=query.replace(" AS user_id", " AS user_id, 3::BIGINT AS factor"),
        features=["multiply:scaled"],
    )
    assert job.to_arrow()["scaled"].to_pylist() == [60]


@pytest.mark.parametrize("full", [False, True])
def test_computed_nulls_have_the_declared_type(applied, full):
    activity = applied.get_feature_view("user_activity")

    def nothing(inputs: dict) -> dict:
        return {"known": list(inputs["clicks"])}

    view = on_demand_feature_view(
        sources=[activity[["clicks"]]], schema=[Field(name="known", dtype=Int64)], mode="python"
    )(nothing)
    with pytest.warns(RuntimeWarning, match="On demand feature view is an experimental feature"):
        applied.apply([view])
    spine = pa.table({"user_id": [7], "event_timestamp": [datetime(2024, 1, 5, tzinfo=UTC)]})
    table = applied.get_historical_features(
        entity_df=spine, features=["nothing:known"], full_feature_names=full
    ).to_arrow()
    found = table.column("nothing__known" if full else "known")
    assert found.type == pa.int64()
    assert found.to_pylist() == [None]


def test_persisted_and_read_back(applied, job, spine):
    with pytest.warns(RuntimeWarning, match="Saving dataset is an experimental feature"):
        saved = applied.create_saved_dataset(
            from_=job, name="training", storage=SavedDatasetFileStorage("out/training.parquet")
        )
    assert pq.read_table(applied.repo_path / "out" / "training.parquet").num_rows == 3
    frame = saved.to_df()
    assert sorted(frame["clicks"].dropna()) == [10, 20]
    assert [path.name for path in (applied.repo_path / "out").iterdir()] == ["training.parquet"]


def test_persisting_over_something(applied, job):
    storage = SavedDatasetFileStorage("training.parquet")
    target = applied.repo_path / "training.parquet"
    target.write_text("not parquet")
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)
    assert target.read_text() == "not parquet"
    job.persist(storage, allow_overwrite=True)
    assert pq.read_table(target).num_rows == 3


def test_persisting_that_fails_leaves_what_was_there(applied, job, monkeypatch):
    target = applied.repo_path / "training.parquet"
    job.persist(SavedDatasetFileStorage("training.parquet"))
    before = target.read_bytes()
    broken = "SELECT error('no more')"
    monkeypatch.setattr(job, "_query", type(job._query)(broken, lambda _: broken, ["x"]))
    with pytest.raises(Exception, match="no more"):
        job.persist(SavedDatasetFileStorage("training.parquet"), allow_overwrite=True)
    assert target.read_bytes() == before
    assert list(applied.repo_path.glob(".training*")) == []


def test_persisting_on_demand_features(doubled, spine):
    spine["factor"] = 2
    job = doubled.get_historical_features(entity_df=spine, features=["multiply:scaled"])
    job.persist(SavedDatasetFileStorage("scaled.parquet"))
    assert pq.read_table(doubled.repo_path / "scaled.parquet")["scaled"].to_pylist()[1:] == [20, 40]


def test_persisting_elsewhere(job):
    with pytest.raises(InputError, match=r"wanted a file that ends in \.parquet"):
        job.persist(SavedDatasetFileStorage("folder.csv"))
    with pytest.raises(InputError, match="cannot persist to object"):
        job.persist(object())


def test_metadata(job):
    found = job.metadata
    assert found.features == FEATURES
    assert found.keys == ["user_id", "note"]
    assert found.min_event_timestamp == datetime(2024, 1, 2, tzinfo=UTC)
    assert found.max_event_timestamp == datetime(2024, 1, 5, tzinfo=UTC)
    assert job.metadata is found


def test_a_timeout_stops_the_query(applied):
    job = applied.get_historical_features(
        entity_df="SELECT i AS user_id, TIMESTAMP '2024-01-03' + to_microseconds(i * j) AS t "
        "FROM range(100000) a(i), range(100000) b(j)",
        features=["user_activity:clicks"],
    )
    started = datetime.now()
    with pytest.raises(ProfilestoreError, match="stopped after 1 s"):
        job.to_arrow(timeout=1)
    assert datetime.now() - started < timedelta(seconds=30)


def test_a_file_replaced_while_it_is_read(repo):
    """A reader has the old rows or the new ones, all of them, however often the file changes."""
    source = DuckDBSource(name="s", path="data.parquet", timestamp_field="happened")

    def write(number):
        moment = "TIMESTAMP '2024-01-01'"
        count = 20_000 + 5_000 * (number % 4)
        with cursor(lake_location(repo.config)) as connection:
            draft = repo.repo_path / f"draft{number % 2}"
            connection.execute(
                f"COPY (SELECT i AS user_id, {moment} AS happened, {number} AS n "
                f"FROM range({count}) t(i)) TO '{draft}' (FORMAT parquet, ROW_GROUP_SIZE 5000)"
            )
            draft.replace(repo.repo_path / "data.parquet")

    write(0)
    done = threading.Event()

    def keep_writing():
        number = 1
        while not done.is_set():
            write(number)
            number += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for n in range(60):
            job = NativeDuckDBOfflineStore.pull_all_from_table_or_query(
                repo.config, source, ["user_id"], ["n"], "happened"
            )
            table = job.to_record_batches().read_all() if n % 2 else job.to_arrow()
            (number,) = set(table["n"].to_pylist())
            assert table.num_rows == 20_000 + 5_000 * (number % 4)
    finally:
        done.set()
        writer.join()
