"""Many calls: as many right answers, and no more memory."""

from __future__ import annotations

import gc
import os
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureView, Field
from feast.types import Int64

from profilestore.offline_store import DuckDBSource, NativeDuckDBOfflineStore, connections
from profilestore.offline_store.connections import cursor
from profilestore.offline_store.source import lake_location

STORE = NativeDuckDBOfflineStore
WARM = 600
CALLS = 3_000
# Over 2,000 calls: 2 kB each. A forgotten cursor is 700 kB.
MOST_GROWTH = 4 * 2**20
# A leak grows in every round; an allocator that keeps a few megabytes more does so in one.
ROUNDS = 3


def resident():
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def sources(repo, write):
    """The same 90 rows as a lake table, a file, and a table of a DuckDB file."""
    rows = (
        "SELECT i // 9 AS user_id, TIMESTAMP '2024-01-01' + to_days((i % 9)::INT) AS happened, "
        "i AS n FROM range(90) t(i)"
    )
    write(f"CREATE TABLE lake.main.many AS {rows}")
    with duckdb.connect(str(repo.repo_path / "own.duckdb")) as connection:
        connection.execute(f"CREATE TABLE many AS {rows}")
        pq.write_table(connection.execute(rows).to_arrow_table(), repo.repo_path / "many.parquet")
    times = {"timestamp_field": "happened"}
    return {
        "lake": DuckDBSource(table="many", **times),
        "file": DuckDBSource(name="many", path="many.parquet", **times),
        "database": DuckDBSource(name="many", table="many", database="own.duckdb", **times),
    }


def latest(repo, source, day):
    table = STORE.pull_latest_from_table_or_query(
        repo.config, source, ["user_id"], ["n"], "happened", None, None, datetime(2024, 1, day)
    ).to_arrow()
    return dict(zip(table["user_id"].to_pylist(), table["n"].to_pylist(), strict=True))


@pytest.mark.parametrize("kind", ["lake", "file", "database"])
def test_eight_threads_of_a_hundred_reads(repo, sources, kind):
    def read(n):
        day = random.Random(n).randrange(1, 10)
        return latest(repo, sources[kind], day) == {user: 9 * user + day - 1 for user in range(10)}

    assert read(0)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(read, range(800))) == 800
    assert connections._attachments == {}


def test_memory_stays_where_it_is(applied, sources, monkeypatch):
    # DuckLake keeps something of each transaction: as in a long life, instances change.
    monkeypatch.setattr(connections, "MOST_CURSORS", 300)
    view = applied.get_feature_view("user_activity")
    on_file = FeatureView(
        name="on_file",
        entities=[applied.get_entity("user")],
        source=sources["file"],
        schema=[Field(name="n", dtype=Int64)],
    )
    applied.apply([on_file])
    on_file = applied.get_feature_view("on_file")
    spine = pa.table({"user_id": [1], "event_timestamp": [datetime(2024, 1, 5, tzinfo=UTC)]})

    def job_of(view, feature):
        return STORE.get_historical_features(
            applied.config, [view], [f"{view.name}:{feature}"], spine, applied.registry, "unit"
        )

    def call(n):
        # The lake costs ten times a file: one call in twenty.
        if n % 20 == 0:
            assert job_of(view, "clicks").to_arrow()["clicks"].to_pylist() == [20]
        elif n % 10 == 5:
            assert latest(applied, sources["database"], 3)[4] == 38
        elif n % 3 == 0:
            assert job_of(on_file, "n").to_record_batches().read_all()["n"].to_pylist() == [13]
        elif n % 3 == 1:
            # A stream that nobody reads.
            job_of(on_file, "n").to_record_batches()
        else:
            assert latest(applied, sources["file"], 3)[4] == 38

    for n in range(WARM):
        call(n)
    gc.collect()
    files = open_files()

    def growth():
        samples = []
        for n in range(CALLS):
            call(n)
            if n % 100 == 99:
                gc.collect()
                samples.append(resident())
        # The allocator takes and gives back megabytes at a time: its low marks are compared.
        third = len(samples) // 3
        return min(samples[-third:]) - min(samples[:third])

    grown = [growth()]
    while grown[-1] >= MOST_GROWTH and len(grown) < ROUNDS:
        grown.append(growth())
    assert grown[-1] < MOST_GROWTH, f"bytes a round: {grown}"
    assert open_files() <= files + 2


def test_an_instance_is_left_after_its_time(repo, sources, monkeypatch):
    monkeypatch.setattr(connections, "MOST_CURSORS", 10)
    location = lake_location(repo.config)
    seen = set()
    with cursor(location) as first:
        for _ in range(35):
            with cursor(location) as connection:
                seen.add(connection.execute("SELECT current_setting('temp_directory')").fetchone())
        # A cursor of an instance that was left goes on.
        assert first.execute("SELECT count(*) FROM lake.main.many").fetchone() == (90,)
    assert len(seen) == 4
