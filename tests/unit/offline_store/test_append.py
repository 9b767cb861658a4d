"""Appending to every kind of source: whole or not at all, from threads and processes at once."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore, FeatureView, Field, FileSource, PushSource
from feast.data_source import PushMode
from feast.types import Array, Float32, Int32, Int64, String, UnixTimestamp
from feast.types import Decimal as FeastDecimal

from profilestore.errors import InputError, MissingStageError
from profilestore.lake import attach_lake, connect
from profilestore.offline_store import DuckDBSource, NativeDuckDBOfflineStore, append, connections

ROWS = "SELECT 0::BIGINT AS user_id, TIMESTAMP '2024-01-01' AS happened, 0::BIGINT AS batch"
TIMES = {"timestamp_field": "happened"}
SOURCES = {
    "folder": DuckDBSource(name="folder", path="folder", **TIMES),
    "file folder": FileSource(name="file_folder", path="folder", **TIMES),
    "file": FileSource(name="file", path="one.parquet", **TIMES),
    "lake": DuckDBSource(name="pushed", table="pushed", **TIMES),
    "database": DuckDBSource(name="own", table="pushed", database="own.duckdb", **TIMES),
}
# Each way of writing once.
STORES = [name for name in SOURCES if name != "file folder"]
SCRIPT = """
import sys, threading, pyarrow as pa
from datetime import datetime
from feast import FeatureStore
from profilestore.offline_store import NativeDuckDBOfflineStore

repo, first, count, rows, threads = sys.argv[1], *map(int, sys.argv[2:])
store = FeatureStore(repo_path=repo)
view = store.get_feature_view("pushed")

def write(start):
    for batch in range(start, first + count, threads):
        table = pa.table({
            "user_id": pa.array(range(rows), pa.int64()),
            "happened": pa.array([datetime(2024, 1, 2)] * rows, pa.timestamp("us")),
            "batch": pa.array([batch] * rows, pa.int64()),
        })
        NativeDuckDBOfflineStore.offline_write_batch(store.config, view, table, None)

print("ready", flush=True)
input()
workers = [threading.Thread(target=write, args=(first + n,)) for n in range(threads)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
"""


@pytest.fixture(params=SOURCES)
def source(request, repo, write):
    """A source of each kind, with one row."""
    write(f"CREATE TABLE lake.main.pushed AS {ROWS}")
    (repo.repo_path / "folder" / "deep").mkdir(parents=True)
    with connect() as connection:
        for name in ("folder/deep/first.parquet", "one.parquet"):
            connection.execute(f"COPY ({ROWS}) TO '{repo.repo_path / name}'")
    with duckdb.connect(str(repo.repo_path / "own.duckdb")) as connection:
        connection.execute(f"CREATE TABLE pushed AS {ROWS}")
    return SOURCES[request.param]


@pytest.fixture
def view(applied, source):
    """A view over the source, applied."""
    view = FeatureView(
        name="pushed",
        entities=[applied.get_entity("user")],
        source=source,
        schema=[Field(name="batch", dtype=Int64)],
    )
    applied.apply([view])
    return view


def rows_of(count, number, **changes):
    columns = {
        "user_id": pa.array(range(count), pa.int64()),
        "happened": pa.array([datetime(2024, 1, 2)] * count, pa.timestamp("us")),
        "batch": pa.array([number] * count, pa.int64()),
    }
    return pa.table({**columns, **changes})


def write_rows(store, view, rows):
    NativeDuckDBOfflineStore.offline_write_batch(store.config, view, rows, None)


def counts(store, source):
    """batch -> rows."""
    table = NativeDuckDBOfflineStore.pull_all_from_table_or_query(
        store.config, source, ["user_id"], ["batch"], "happened"
    ).to_arrow()
    found = table.group_by("batch").aggregate([("batch", "count")])
    return dict(zip(found["batch"].to_pylist(), found["batch_count"].to_pylist(), strict=True))


@pytest.fixture
def start(applied):
    """Start a process that appends; none outlives the test."""
    processes = []

    def started(first, count, rows, threads):
        numbers = map(str, (first, count, rows, threads))
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(applied.repo_path), *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def test_appended_through_feast(applied, view, source):
    told = []
    NativeDuckDBOfflineStore.offline_write_batch(applied.config, view, rows_of(3, 1), told.append)
    assert told == [3]
    frame = pd.DataFrame(
        {
            "batch": [2.0, None],
            "happened": pd.to_datetime(["2024-01-03", "2024-01-04"], utc=True),
            "user_id": [1, 2],
        },
        index=[7, 9],
    )
    applied.write_to_offline_store("pushed", frame)
    assert counts(applied, source) == {0: 1, 1: 3, 2: 1, None: 0}
    spine = pa.table({"user_id": [1], "event_timestamp": [datetime(2024, 1, 5, tzinfo=UTC)]})
    found = applied.get_historical_features(entity_df=spine, features=["pushed:batch"])
    assert found.to_arrow()["batch"].to_pylist() == [2]


def test_pushed(applied, source):
    pushed = PushSource(name="push", batch_source=source)
    applied.apply(
        [
            FeatureView(
                name="by_push",
                entities=[applied.get_entity("user")],
                source=pushed,
                schema=[Field(name="batch", dtype=Int64)],
            )
        ]
    )
    frame = rows_of(2, 5).to_pandas()
    applied.push("push", frame, to=PushMode.OFFLINE)
    assert counts(applied, source) == {0: 1, 5: 2}


def test_threads_lose_nothing_and_double_nothing(applied, view, source):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda batch: write_rows(applied, view, rows_of(7, batch)), range(1, 17)))
    assert counts(applied, source) == {0: 1, **dict.fromkeys(range(1, 17), 7)}


@pytest.mark.parametrize("source", STORES, indirect=True)
def test_processes_lose_nothing_and_a_killed_one_leaves_whole_batches(applied, view, source, start):
    # One with an end and two threads, one that goes on until it is killed, and readers beside them.
    ending = start(100, 10, 50, 2)
    endless = start(1000, 10**6, 5_000, 1)
    for writer in (ending, endless):
        assert writer.stdout.readline() == "ready\n"
    for writer in (ending, endless):
        writer.stdin.write("\n")
        writer.stdin.flush()
    while ending.poll() is None:
        assert set(counts(applied, source).values()) <= {1, 50, 5_000}
    endless.kill()
    endless.wait()
    assert ending.returncode == 0
    found = counts(applied, source)
    killed = {batch: found.pop(batch) for batch in list(found) if batch >= 1000}
    assert found == {0: 1, **dict.fromkeys(range(100, 110), 50)}
    assert set(killed.values()) == {5_000}
    # And whoever comes next can write.
    write_rows(applied, view, rows_of(3, 1))
    assert counts(applied, source)[1] == 3


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"batch": ["x", "y"]}, r"column 'batch': found VARCHAR, wanted BIGINT; 2 value"),
        ({"batch": [1.5, 2.0]}, r"column 'batch': found DOUBLE, wanted BIGINT; 1 value.*'1\.5'"),
        ({"happened": ["2024-01-01"] * 2}, r"'happened': found VARCHAR, wanted .*pd\.to_datetime"),
        ({"other": [1, 2]}, r"column 'other': found BIGINT, and there is no such column"),
    ],
)
def test_rows_that_do_not_fit_are_refused_whole(applied, view, source, changes, wanted):
    with pytest.raises(InputError, match=wanted) as caught:
        write_rows(applied, view, rows_of(2, 1, **changes))
    for part in ("feature view 'pushed'", f"source {source.name!r}", "nothing was written"):
        assert part in str(caught.value)
    with pytest.raises(InputError, match="column 'batch': found none, wanted BIGINT"):
        write_rows(applied, view, rows_of(2, 1).drop_columns(["batch"]))
    with pytest.raises(InputError, match="rows are a DataFrame; give an Arrow table"):
        write_rows(applied, view, rows_of(2, 1).to_pandas())
    assert counts(applied, source) == {0: 1}


def test_no_rows_are_nothing(applied, view, source):
    write_rows(applied, view, rows_of(0, 1))
    assert counts(applied, source) == {0: 1}


@pytest.fixture
def user(applied):
    return applied.get_entity("user")


def test_an_append_to_a_folder_costs_what_it_appends(applied, user, monkeypatch):
    """Whatever lies there already: only the new rows are written, and one footer read."""
    folder = applied.repo_path / "folder"
    folder.mkdir()
    pq.write_table(rows_of(1_000_000, 1), folder / "a.parquet")
    view = FeatureView(name="v", entities=[user], source=SOURCES["folder"])
    write_rows(applied, view, rows_of(10, 2))
    new = [file for file in folder.iterdir() if file.name != "a.parquet"]
    assert len(new) == 1
    assert new[0].stat().st_size < 5_000
    assert pq.read_table(new[0]).num_rows == 10


def test_the_first_file_of_a_folder_has_the_declared_types(applied, user):
    (applied.repo_path / "folder").mkdir()
    source = DuckDBSource(
        name="f",
        path="folder",
        timestamp_field="happened",
        created_timestamp_column="learned",
        field_mapping={"b": "batch"},
    )
    view = FeatureView(
        name="v",
        entities=[user],
        source=source,
        schema=[
            Field(name="user_id", dtype=Int64),
            Field(name="batch", dtype=Int32),
            Field(name="vector", dtype=Array(Float32)),
            Field(name="seen", dtype=UnixTimestamp),
            Field(name="amount", dtype=FeastDecimal),
        ],
    )
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    rows = {
        "user_id": [1],
        "happened": [moment],
        "learned": [moment],
        "batch": [3],
        "vector": [[0.1]],
        "seen": [moment],
        "amount": pa.array([1], pa.decimal128(7, 2)),
    }
    with pytest.raises(InputError, match="column 'learned': found none, wanted TIMESTAMP WITH"):
        write_rows(applied, view, pa.table({k: v for k, v in rows.items() if k != "learned"}))
    assert list((applied.repo_path / "folder").iterdir()) == []
    write_rows(applied, view, pa.table(rows))
    assert dict(source.get_table_column_names_and_types(applied.config)) == {
        "user_id": "BIGINT",
        "b": "INTEGER",
        "vector": "FLOAT[]",
        "seen": "TIMESTAMP WITH TIME ZONE",
        "amount": "DECIMAL(7,2)",
        "happened": "TIMESTAMP WITH TIME ZONE",
        "learned": "TIMESTAMP WITH TIME ZONE",
    }


def test_mapped_names_are_undone(applied, user, write):
    write("CREATE TABLE lake.main.t AS SELECT 1 AS user_id, TIMESTAMP '2024-01-01' AS at, 1 AS n")
    source = DuckDBSource(
        table="t", timestamp_field="happened", field_mapping={"at": "happened", "n": "batch"}
    )
    view = FeatureView(
        name="v", entities=[user], source=source, schema=[Field(name="batch", dtype=Int64)]
    )
    write_rows(applied, view, rows_of(1, 5))
    own = rows_of(1, 6).rename_columns(["user_id", "at", "n"])
    write_rows(applied, view, own)
    found = NativeDuckDBOfflineStore.pull_all_from_table_or_query(
        applied.config, source, ["user_id"], ["n"], "at"
    )
    assert sorted(found.to_arrow()["n"].to_pylist()) == [1, 5, 6]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"query": "SELECT 1 AS a"}, "to a query: append to the tables"),
        ({"path": "a.csv"}, "to CSV, which has no types"),
        ({"path": "folder/*.parquet"}, r"to a glob .*: give the folder itself"),
        ({"path": "delta"}, "to a Delta table, which this store only reads"),
    ],
)
def test_what_cannot_be_appended_to(applied, user, options, wanted):
    (applied.repo_path / "delta" / "_delta_log").mkdir(parents=True)
    source = DuckDBSource(name="s", **options, **TIMES)
    view = FeatureView(name="v", entities=[user], source=source)
    with pytest.raises(InputError, match=rf"'v': source 's': rows cannot be appended {wanted}"):
        write_rows(applied, view, rows_of(1, 1))


def test_what_is_not_there(applied, user):
    for options in ({"path": "none"}, {"table": "none"}, {"table": "t", "database": "none.duckdb"}):
        view = FeatureView(
            name="v", entities=[user], source=DuckDBSource(name="s", **options, **TIMES)
        )
        with pytest.raises(MissingStageError, match="none"):
            write_rows(applied, view, rows_of(1, 1))


def test_views_of_tables_and_constraints(applied, user, write):
    write("CREATE TABLE lake.main.t AS SELECT * FROM (" + ROWS + ")")
    write("CREATE VIEW lake.main.v AS SELECT * FROM lake.main.t")
    with duckdb.connect(str(applied.repo_path / "own.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t (user_id BIGINT PRIMARY KEY, happened TIMESTAMP, batch BIGINT); "
            "CREATE VIEW v AS SELECT * FROM t"
        )
    for database in (None, "own.duckdb"):
        source = DuckDBSource(table="v", database=database, **TIMES)
        view = FeatureView(name="x", entities=[user], source=source)
        with pytest.raises(InputError, match="nothing was written to 'v'"):
            write_rows(applied, view, rows_of(1, 1))
    source = DuckDBSource(table="t", database="own.duckdb", **TIMES)
    view = FeatureView(name="x", entities=[user], source=source)
    twice = pa.concat_tables([rows_of(2, 1), rows_of(1, 2)])
    with pytest.raises(InputError, match="keep its constraints"):
        write_rows(applied, view, twice)
    assert counts(applied, source) == {}


def test_a_lake_that_stays_locked(applied, user, write, monkeypatch):
    write(f"CREATE TABLE lake.main.pushed AS {ROWS}")
    view = FeatureView(name="v", entities=[user], source=SOURCES["lake"])
    # In another process: SQLite's locks do not hold between two libraries of one process.
    code = (
        "import sqlite3, sys; catalog = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "catalog.execute('BEGIN IMMEDIATE'); print('ready', flush=True); input()"
    )
    catalog = Path(applied.repo_path).parent / "lake" / "catalog.sqlite"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(catalog)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "ready\n"
    monkeypatch.setattr(append, "WRITE_SECONDS", 0.3)
    with pytest.raises(InputError, match=r"nothing was written, because the lake .* was locked"):
        write_rows(applied, view, rows_of(1, 1))
    # Locked for less than is waited: written after all.
    monkeypatch.setattr(append, "WRITE_SECONDS", 30)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write_rows, applied, view, rows_of(2, 2))
        time.sleep(0.5)
        assert not written.done()
        holder.communicate("\n")
        written.result()
    assert counts(applied, SOURCES["lake"]) == {0: 1, 2: 2}


def test_a_pinned_lake_takes_nothing(reopen, applied, user, write):
    write(f"CREATE TABLE lake.main.pushed AS {ROWS}")
    view = FeatureView(name="v", entities=[user], source=SOURCES["lake"])
    store = reopen(snapshot=3)
    with pytest.raises(InputError, match="the lake is pinned to a snapshot"):
        write_rows(store, view, rows_of(1, 1))


def test_a_locked_database_and_a_locked_file(applied, user, monkeypatch):
    monkeypatch.setattr(connections, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(append, "WRITE_SECONDS", 0.2)
    with duckdb.connect(str(applied.repo_path / "own.duckdb")) as connection:
        connection.execute(f"CREATE TABLE pushed AS {ROWS}")
        view = FeatureView(name="v", entities=[user], source=SOURCES["database"])
        with pytest.raises(
            InputError, match=r"cannot write DuckDB file .*own\.duckdb: it is locked"
        ):
            write_rows(applied, view, rows_of(1, 1))
    pq.write_table(rows_of(1, 0), applied.repo_path / "one.parquet")
    view = FeatureView(name="v", entities=[user], source=SOURCES["file"])
    with (
        append._locked((applied.repo_path / "one.parquet").resolve()),
        pytest.raises(InputError, match=r"one\.parquet was being written by others"),
    ):
        write_rows(applied, view, rows_of(1, 1))
    assert counts(applied, SOURCES["file"]) == {0: 1}


def test_a_damaged_file_is_left_as_it_is(applied, user):
    file = applied.repo_path / "one.parquet"
    pq.write_table(rows_of(1000, 0), file)
    content = bytearray(file.read_bytes())
    content[4:200] = b"\0" * 196
    file.write_bytes(content)
    view = FeatureView(name="v", entities=[user], source=SOURCES["file"])
    with pytest.raises(InputError, match=r"nothing was written, because .*one\.parquet cannot"):
        write_rows(applied, view, rows_of(1, 1))
    assert file.read_bytes() == bytes(content)
    assert sorted(p.name for p in applied.repo_path.glob(".one*")) == [".one.parquet.lock"]


@pytest.mark.parametrize(
    ("held", "given", "expected"),
    [
        ("INTEGER", pa.array([7.0, None]), [7, None]),
        ("SMALLINT", pa.array([-32768, 32767]), [-32768, 32767]),
        ("FLOAT", pa.array([0.1, None]), [pytest.approx(0.1), None]),
        ("DOUBLE", pa.array([1, 2**53]), [1.0, 2.0**53]),
        ("FLOAT[]", pa.array([[0.5, 0.1], None]), [pytest.approx([0.5, 0.1]), None]),
        ("VARCHAR", pa.nulls(2), [None, None]),
        ("VARCHAR", pa.array([None, None], pa.float64()), [None, None]),
        ("VARCHAR", pa.array(["ä", None]).dictionary_encode(), ["ä", None]),
        ("TIMESTAMP", pa.array([0, 1_000], pa.timestamp("ns", "UTC")), "same"),
        ("TIMESTAMP WITH TIME ZONE", pa.array([0, 1], pa.timestamp("us", "Europe/Berlin")), "same"),
        ("DATE", pa.array([0, 86_400], pa.timestamp("s")), "same"),
        ("UUID", pa.array(["6B1B7A4E-0000-4000-8000-000000000000"] * 2), "same"),
    ],
    ids=str,
)
def test_values_that_come_back_the_same_are_taken(applied, user, write, held, given, expected):
    write(f"CREATE TABLE lake.main.t (user_id BIGINT, happened TIMESTAMP, batch {held})")
    source = DuckDBSource(table="t", **TIMES)
    view = FeatureView(name="v", entities=[user], source=source)
    write_rows(applied, view, rows_of(2, 0, batch=given))
    found = NativeDuckDBOfflineStore.pull_all_from_table_or_query(
        applied.config, source, ["user_id"], ["batch"], "happened"
    ).to_arrow()
    assert found.num_rows == 2
    if expected != "same":
        assert found.sort_by("user_id")["batch"].to_pylist() == expected


@pytest.mark.parametrize(
    ("held", "given"),
    [
        ("SMALLINT", pa.array([0, 32768])),
        ("INTEGER", pa.array([0, 7.5])),
        ("DOUBLE", pa.array([0, 2**53 + 1])),
        ("FLOAT", pa.array([0.0, 1e300])),
        ("DECIMAL(4,1)", pa.array([0.5, 0.25])),
        ("DECIMAL(4,1)", pa.array([0, 1000])),
        ("TIMESTAMP", pa.array([0, 1], pa.timestamp("ns"))),
        ("DATE", pa.array([0, 1], pa.timestamp("s"))),
        ("BOOLEAN", pa.array([0, 1])),
        ("BIGINT", pa.array([False, True])),
        ("BIGINT[]", pa.array([[1], [2.5]])),
        ("BIGINT[]", pa.array([1, 2])),
        ("UUID", pa.array([None, "not one"])),
        ("ENUM('a', 'b')", pa.array(["a", "c"])),
    ],
    ids=str,
)
def test_values_that_do_not_are_refused(applied, user, held, given):
    with duckdb.connect(str(applied.repo_path / "own.duckdb")) as connection:
        connection.execute(
            f"CREATE TABLE pushed (user_id BIGINT, happened TIMESTAMP, batch {held})"
        )
    view = FeatureView(name="v", entities=[user], source=SOURCES["database"])
    with pytest.raises(InputError, match=r"column 'batch': found .*, wanted .* value\(s\) do not"):
        write_rows(applied, view, rows_of(2, 0, batch=given))


def test_appends_to_a_lake_leave_no_stray_files(applied, user, write):
    """Losers of a race leave no data files behind that no snapshot knows."""
    write(f"CREATE TABLE lake.main.pushed AS {ROWS}")
    view = FeatureView(name="v", entities=[user], source=SOURCES["lake"])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: write_rows(applied, view, rows_of(2_000, n)), range(8)))
    lake = Path(applied.repo_path).parent / "lake"
    with connect() as connection:
        attach_lake(connection, lake / "catalog.sqlite", lake / "files")
        known = connection.execute(
            "SELECT count(*) FROM ducklake_list_files('lake', 'pushed')"
        ).fetchone()[0]
    assert len(list((lake / "files").rglob("pushed/*.parquet"))) == known


def test_strings_and_names_of_any_kind(applied, user):
    (applied.repo_path / "folder").mkdir()
    pq.write_table(rows_of(1, 0, **{'it\'s "so"': ["a"]}), applied.repo_path / "folder/a.parquet")
    view = FeatureView(
        name="v",
        entities=[user],
        source=SOURCES["folder"],
        schema=[Field(name='it\'s "so"', dtype=String)],
    )
    write_rows(applied, view, rows_of(1, 1, **{'it\'s "so"': ["Łódź"]}))
    store = FeatureStore(repo_path=str(applied.repo_path))
    assert counts(store, SOURCES["folder"]) == {0: 1, 1: 1}
