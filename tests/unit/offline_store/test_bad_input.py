"""A user's mistakes: each is told what, where and what to do, and nothing is half-written."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureView, Field, FileSource
from feast.types import Int64, String

from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.offline_store import (
    DuckDBSource,
    NativeDuckDBOfflineStore,
    SavedDatasetDuckDBStorage,
    connections,
)

NOW = datetime(2024, 1, 5, tzinfo=UTC)
SPINE = pa.table({"user_id": [1], "event_timestamp": [NOW]})


def parquet(repo, name="data.parquet", rows=10_000, **columns):
    table = pa.table(
        {
            "user_id": pa.array(range(rows), pa.int64()),
            "at": pa.array([datetime(2024, 1, 1)] * rows, pa.timestamp("us")),
            "n": pa.array(range(rows), pa.int64()),
            **columns,
        }
    )
    path = repo.repo_path / name
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, compression="none", use_dictionary=False)
    return path


@pytest.fixture
def asked(applied):
    """Apply a view `v` over a source, and ask it."""

    def ask(source, dtype=Int64, spine=SPINE):
        view = FeatureView(
            name="v",
            entities=[applied.get_entity("user")],
            source=source,
            schema=[Field(name="n", dtype=dtype)],
        )
        applied.apply([view])
        return applied.get_historical_features(entity_df=spine, features=["v:n"])

    return ask


def file_source(path="data.parquet"):
    return FileSource(name="s", path=path, timestamp_field="at")


def says(message, *parts):
    for part in parts:
        assert part in str(message.value), str(message.value)


def test_a_wrong_path(applied, asked):
    parquet(applied)
    job = asked(file_source())
    (applied.repo_path / "data.parquet").rename(applied.repo_path / "moved.parquet")
    # Gone before it was asked for again, and gone between the asking and the reading.
    with pytest.raises(MissingStageError) as caught:
        applied.get_historical_features(entity_df=SPINE, features=["v:n"])
    says(caught, "feature view 'v'", "source 's'", "data.parquet", "correct the path", "repo at")
    for read in (job.to_arrow, job.to_record_batches):
        with pytest.raises(MissingStageError, match=r"'v': cannot read .*data\.parquet: No such"):
            read()
    glob = DuckDBSource(name="g", path="none/*.parquet", timestamp_field="at")
    with pytest.raises(MissingStageError, match=r"source 'g': cannot read .*No files found"):
        glob.validate(applied.config)
    (applied.repo_path / "empty").mkdir()
    with pytest.raises(MissingStageError, match="a folder is read as Parquet"):
        DuckDBSource(name="e", path="empty", timestamp_field="at").validate(applied.config)


def test_a_missing_table(applied, asked, write):
    write("CREATE TABLE lake.main.t AS SELECT 1 AS user_id, TIMESTAMP '2024-01-01' AS at, 1 AS n")
    source = DuckDBSource(table="t", timestamp_field="at")
    assert asked(source).to_arrow()["n"].to_pylist() == [1]
    write("DROP TABLE lake.main.t")
    with pytest.raises(MissingStageError) as caught:
        applied.get_historical_features(entity_df=SPINE, features=["v:n"])
    says(caught, "feature view 'v'", "no table 't'", "found: site, user_activity", "`make build`")


def test_a_lake_table_where_there_is_no_lake(repo):
    repo.config.offline_store.catalog = None
    with pytest.raises(MissingStageError, match=r"has no lake\. Give `catalog` in feature_store"):
        DuckDBSource(table="t", timestamp_field="at").validate(repo.config)


def test_a_lake_that_is_not_there_or_none(repo, tmp_path):
    connections.forget_instances()
    catalog = tmp_path / "lake" / "catalog.sqlite"
    content = catalog.read_bytes()
    catalog.unlink()
    source = DuckDBSource(table="site", timestamp_field="event_timestamp")
    with pytest.raises(MissingStageError, match=r"no lake at .*catalog\.sqlite.*make build"):
        source.validate(repo.config)
    catalog.write_bytes(b"no catalog " * 1000)
    with pytest.raises(InputError, match=r"cannot open the lake at .*catalog\.sqlite"):
        source.validate(repo.config)
    catalog.write_bytes(content)
    source.validate(repo.config)


def test_data_files_of_a_lake_that_are_gone(applied, write, tmp_path):
    write(
        "CREATE TABLE lake.main.big AS "
        "SELECT i AS user_id, now() AS at, i AS n FROM range(999) t(i)"
    )
    for file in (tmp_path / "lake" / "files").rglob("big/*.parquet"):
        file.unlink()
    job = NativeDuckDBOfflineStore.pull_latest_from_table_or_query(
        applied.config, DuckDBSource(table="big"), ["user_id"], ["n"], "at", None
    )
    with pytest.raises(InputError, match=r"source 'big': reading failed: .*No such file"):
        job.to_arrow()


@pytest.mark.parametrize("damage", ["text", "cut", "pages"])
def test_a_corrupt_parquet_file(applied, asked, damage):
    path = parquet(applied)
    job = asked(file_source())
    content = bytearray(path.read_bytes())
    if damage == "text":
        content = bytearray(b"this is no Parquet file at all")
    elif damage == "cut":
        content = content[: len(content) // 2]
    else:
        content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)
    storage = SavedDatasetDuckDBStorage("out.parquet")
    for read in (
        lambda: job.to_arrow(),
        lambda: job.to_record_batches().read_all(),
        lambda: job.persist(storage),
        lambda: pulled(applied, file_source()).to_arrow(),
    ):
        with pytest.raises(InputError) as caught:
            read()
        says(caught, "data.parquet" if damage != "pages" else "reading failed")
    assert not (applied.repo_path / "out.parquet").exists()
    assert [file.name for file in applied.repo_path.glob(".out*")] == []
    if damage != "pages":
        with pytest.raises(InputError, match=r"source 's': cannot read .* as Parquet: "):
            NativeDuckDBOfflineStore().validate_data_source(applied.config, file_source())


def pulled(store, source):
    return NativeDuckDBOfflineStore.pull_latest_from_table_or_query(
        store.config, source, ["user_id"], ["n"], "at", None
    )


def test_a_csv_with_a_broken_line(applied, asked):
    path = applied.repo_path / "data.csv"
    lines = [f"{n},2024-01-01 00:00:00,{n}" for n in range(50_000)]
    path.write_text("\n".join(["user_id,at,n", *lines, "x,2024-01-01 00:00:00,y", ""]))
    job = asked(DuckDBSource(name="s", path="data.csv", timestamp_field="at"))
    with pytest.raises(InputError, match="feature view 'v': reading failed: "):
        job.to_arrow()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda table: table.drop_columns(["n"]), "no column 'n' (a feature)"),
        (lambda table: table.drop_columns(["at"]), "no column 'at' (the event time)"),
        (lambda table: table.drop_columns(["user_id"]), "no column 'user_id' (a join key)"),
        (
            lambda table: table.set_column(2, "n", pa.array(["x"] * table.num_rows)),
            "column 'n' is VARCHAR, and feature 'n' is declared Int64",
        ),
        (
            lambda table: table.set_column(1, "at", pa.array(["2024-01-01"] * table.num_rows)),
            "column 'at' (the event time) is VARCHAR; a time is wanted",
        ),
    ],
)
def test_a_schema_changed_under_a_registered_view(applied, asked, change, wanted):
    path = parquet(applied, rows=10)
    job = asked(file_source())
    assert job.to_arrow()["n"].to_pylist() == [1]
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(InputError) as caught:
        applied.get_historical_features(entity_df=SPINE, features=["v:n"])
    says(caught, "feature view 'v'", "source 's'", wanted)
    assert (
        "Correct" in str(caught.value)
        or "correct" in str(caught.value)
        or "Cast it" in str(caught.value)
    )


def test_one_file_of_a_folder_is_of_another_kind(applied, asked):
    parquet(applied, "folder/a.parquet", 10)
    job = asked(file_source("folder"))
    parquet(applied, "folder/b.parquet", 10, n=pa.array(["x"] * 10))
    with pytest.raises(InputError, match="feature view 'v': reading failed: "):
        job.to_arrow()


def test_a_wider_type_is_no_mistake(applied, asked):
    path = parquet(applied, rows=10)
    assert asked(file_source()).to_arrow()["n"].to_pylist() == [1]
    table = pq.read_table(path)
    pq.write_table(table.set_column(2, "n", table["n"].cast(pa.float64())), path)
    found = applied.get_historical_features(entity_df=SPINE, features=["v:n"])
    assert found.to_arrow()["n"].to_pylist() == [1.0]


@pytest.mark.parametrize(
    ("spine", "wanted"),
    [
        (pa.table({"event_timestamp": [NOW]}), "no column 'user_id', a key of feature view 'v'"),
        (pa.table({"user_id": [1]}), "no column 'event_timestamp'"),
        (
            pa.table({"user_id": [1], "event_timestamp": ["2024-01-05"]}),
            "'event_timestamp' is VARCHAR; a time is wanted. Use pd.to_datetime",
        ),
        (
            pd.DataFrame({"user_id": [1], "event_timestamp": ["2024-01-05"]}),
            "'event_timestamp' is VARCHAR; a time is wanted. Use pd.to_datetime",
        ),
        ("SELECT 1 AS user_id, '2024-01-05' AS event_timestamp", "CAST(... AS TIMESTAMPTZ)"),
        ("SELECT user_id FROM nowhere", "the spine's query does not run"),
        ("SELEC 1", "the spine's query does not run"),
        (pa.table({"user_id": ["one"], "event_timestamp": [NOW]}), "user_id"),
        (42, "the spine is a int; give a pandas DataFrame"),
    ],
)
def test_a_spine_that_cannot_be_asked_with(applied, asked, spine, wanted):
    parquet(applied)
    with pytest.raises(InputError) as caught:
        asked(file_source(), spine=spine)
    says(caught, wanted)


def test_too_little_memory_says_what_to_do(reopen, applied, asked):
    parquet(applied)
    asked(file_source(), dtype=Int64)
    store = reopen(memory_limit="40MB", threads=2)
    spine = (
        "SELECT i AS user_id, TIMESTAMP '2024-01-05' AS event_timestamp, "
        "list(j) AS together FROM range(3) a(i), range(20000000) b(j) GROUP BY i"
    )
    job = store.get_historical_features(entity_df=spine, features=["v:n"])
    with pytest.raises(ProfilestoreError) as caught:
        job.to_arrow()
    says(caught, "feature view 'v'", "does not fit into memory", "memory_limit")


def test_a_declared_text_that_is_a_number(applied, asked):
    parquet(applied)
    with pytest.raises(
        InputError, match="column 'n' is BIGINT, and feature 'n' is declared String"
    ):
        asked(file_source(), dtype=String)


def test_variables_of_ours_are_no_tables(applied, asked):
    for name in ("source", "config", "connection", "SPINE"):
        query = DuckDBSource(name="q", query=f"FROM {name}", timestamp_field="at")
        with pytest.raises(InputError, match="source 'q': its query does not run"):
            query.validate(applied.config)


def test_a_database_file_that_is_locked(applied, asked, monkeypatch):
    monkeypatch.setattr(connections, "LOCK_SECONDS", 0.2)
    with duckdb.connect(str(applied.repo_path / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS user_id, now() AS at, 1 AS n")
        source = DuckDBSource(table="t", database="x.duckdb", timestamp_field="at")
        with pytest.raises(InputError, match=r"cannot read DuckDB file .*x\.duckdb: it is locked"):
            asked(source)
    assert asked(source).to_arrow().num_rows == 1
