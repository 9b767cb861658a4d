"""Tables and views of DuckDB files: read while a job runs, and locked no longer."""

from __future__ import annotations

import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from feast import FeatureView, Field, PushSource
from feast.types import Int64

from profilestore.errors import InputError, MissingStageError
from profilestore.offline_store import DuckDBSource, NativeDuckDBOfflineStore, connections
from profilestore.offline_store.connections import LakeLocation, Needs, cursor, writable_database

NOW = datetime(2024, 1, 5, tzinfo=UTC)


@pytest.fixture
def database(repo):
    path = repo.repo_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT * FROM (VALUES "
            "(1::BIGINT, TIMESTAMP '2024-01-01', 5::BIGINT), (1, TIMESTAMP '2024-01-03', 6)) "
            'AS t(user_id, "at", orders); '
            "CREATE VIEW big AS SELECT * FROM orders WHERE orders > 5; "
            "CREATE SCHEMA old; CREATE TABLE old.orders AS SELECT * FROM orders LIMIT 1"
        )
    return path


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr(connections, "LOCK_SECONDS", 0.2)


def source(table="orders", **options):
    return DuckDBSource(
        name="shop", database="shop.duckdb", table=table, timestamp_field="at", **options
    )


def latest(repo, given):
    return (
        NativeDuckDBOfflineStore.pull_latest_from_table_or_query(
            repo.config, given, ["user_id"], ["orders"], "at", None
        )
        .to_arrow()
        .to_pydict()
    )


@contextmanager
def another_process(path, code):
    """A process that has run `code` on the file and is still there."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb; connection = duckdb.connect({str(path)!r}); "
            f"connection.execute({code!r}); print('ready', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.communicate("\n")


@pytest.mark.parametrize(
    ("table", "expected"), [("orders", 6), ("big", 6), ("old.orders", 5), ("main.orders", 6)]
)
def test_the_latest_row_of_a_table_or_view(repo, database, table, expected):
    found = latest(repo, source(table))
    assert found["orders"] == [expected]
    assert latest(repo, PushSource(name="pushed", batch_source=source(table))) == found


def test_joined_with_a_lake_table(applied, database):
    view = FeatureView(
        name="orders",
        entities=[applied.get_entity("user")],
        source=source(),
        schema=[Field(name="orders", dtype=Int64)],
    )
    applied.apply([view])
    spine = pa.table({"user_id": [1, 2], "event_timestamp": [NOW, NOW]})
    job = applied.get_historical_features(
        entity_df=spine, features=["user_activity:clicks", "orders:orders"]
    )
    assert job.to_arrow()["orders"].to_pylist() == [6, None]
    assert job.to_arrow()["clicks"].to_pylist() == [20, None]
    assert job.metadata.max_event_timestamp == NOW
    assert job.to_record_batches().read_all()["orders"].to_pylist() == [6, None]


def test_columns_and_their_types(repo, database):
    assert list(source().get_table_column_names_and_types(repo.config)) == [
        ("user_id", "BIGINT"),
        ("at", "TIMESTAMP"),
        ("orders", "BIGINT"),
    ]
    source().validate(repo.config)


def test_between_jobs_anyone_may_write(repo, database):
    assert latest(repo, source())["orders"] == [6]
    insert = "INSERT INTO orders VALUES (1, TIMESTAMP '2024-01-04', 7)"
    with another_process(database, insert):
        pass
    assert latest(repo, source())["orders"] == [7]


def test_a_stream_holds_the_file_until_its_last_batch(repo, database):
    def job():
        return NativeDuckDBOfflineStore.pull_all_from_table_or_query(
            repo.config, source(), ["user_id"], ["orders"], "at"
        )

    reader = job().to_record_batches(batch_size=1)
    with pytest.raises(InputError, match=r"cannot write .*shop\.duckdb.*locked by another job"):
        writable_database(database).__enter__()
    assert reader.read_all().num_rows == 2
    with writable_database(database):
        pass
    # Or until nobody reads on, even if nobody ever did.
    for batches in (0, 1):
        reader = job().to_record_batches(batch_size=1)
        for _ in range(batches):
            reader.read_next_batch()
        del reader
        gc.collect()
        with writable_database(database):
            pass
    assert connections._attachments == {}


def test_a_locked_file_says_who_has_it(repo, database):
    with (
        another_process(database, "BEGIN; INSERT INTO orders VALUES (1, now(), 9)") as process,
        pytest.raises(InputError) as caught,
    ):
        latest(repo, source())
    message = str(caught.value)
    for part in ("shop.duckdb", f"PID {process.pid}", "Close it there and try again"):
        assert part in message
    assert latest(repo, source())["orders"] == [6]


def test_a_file_that_this_process_has_open_for_writing(repo, database):
    with (
        duckdb.connect(str(database)),
        pytest.raises(InputError, match="locked by another connection of this process"),
    ):
        latest(repo, source())


def test_what_is_not_there(repo, database):
    missing = DuckDBSource(name="x", database="none.duckdb", table="t", timestamp_field="at")
    with pytest.raises(MissingStageError, match=r"no DuckDB file at .*none\.duckdb"):
        missing.validate(repo.config)
    with pytest.raises(MissingStageError, match=r"no table 'order' in .*; found: big, orders"):
        source("order").validate(repo.config)
    database.write_text("not a database " * 100)
    with pytest.raises(InputError, match=r"cannot open .*shop\.duckdb as a DuckDB file"):
        source().validate(repo.config)
    assert connections._attachments == {}


def test_a_database_goes_with_a_table():
    with pytest.raises(InputError, match="goes with a table of it; given: path"):
        DuckDBSource(name="x", database="x.duckdb", path="y.parquet")


def test_threads_and_instances_take_turns(repo, database):
    path = database.resolve()

    def read(n):
        # Two instances: what one closes must not unlock what the other reads.
        location = LakeLocation(None, None, threads=1 + n % 2)
        with cursor(location, Needs(frozenset({path}))) as connection:
            return connection.execute(f'SELECT count(*) FROM "{path}".main.orders').fetchall()

    connections.LOCK_SECONDS = 30
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(200))) == [[(2,)]] * 200
    assert connections._attachments == {}
    with another_process(database, "DROP TABLE orders CASCADE"):
        pass
