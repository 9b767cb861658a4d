from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from profilestore.errors import ProfilestoreError
from profilestore.lake import connect
from profilestore.offline_store import connections
from profilestore.offline_store.connections import (
    MOST_INSTANCES,
    LakeLocation,
    cursor,
    forget_instances,
    open_cursor,
)


@pytest.fixture
def location(tmp_path):
    make_lake(tmp_path, "SELECT 1 AS n")
    yield LakeLocation(tmp_path / "catalog.sqlite", tmp_path / "files")
    forget_instances()


def make_lake(folder: Path, query: str) -> None:
    (folder / "files").mkdir(exist_ok=True)
    write(folder, f"CREATE TABLE lake.main.numbers AS {query}")


def write(folder: Path, statement: str) -> None:
    with connect() as connection:
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS lake "
            f"(DATA_PATH '{folder}/files/', OVERRIDE_DATA_PATH true)"
        )
        connection.execute(statement)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def numbers(location: LakeLocation) -> list[int]:
    with cursor(location) as connection:
        rows = connection.execute("SELECT n FROM lake.main.numbers ORDER BY n").fetchall()
    return [row[0] for row in rows]


def test_a_kept_instance_sees_the_commits_of_another_process(location):
    assert numbers(location) == [1]
    script = (
        "import sys; from pathlib import Path; import duckdb; "
        "from profilestore.lake import connect; folder = sys.argv[1]; c = connect(); "
        "c.execute(f\"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS lake "
        "(DATA_PATH '{folder}/files/', OVERRIDE_DATA_PATH true)\"); "
        "c.execute('INSERT INTO lake.main.numbers VALUES (2)'); "
        "c.execute('CREATE TABLE lake.main.later AS SELECT 3 AS n')"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(location.catalog.parent)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert numbers(location) == [1, 2]
    with cursor(location) as connection:
        assert connection.execute("FROM lake.main.later").fetchall() == [(3,)]


def test_a_lake_made_anew_under_the_same_name_is_opened_anew(location):
    assert numbers(location) == [1]
    location.catalog.unlink()
    make_lake(location.catalog.parent, "SELECT 7 AS n")
    assert numbers(location) == [7]


def test_the_lake_cannot_be_written(location):
    with cursor(location) as connection, pytest.raises(Exception, match="read-only"):
        connection.execute("INSERT INTO lake.main.numbers VALUES (2)")


def test_cursors_have_their_own_temporary_tables(location):
    with cursor(location) as one, cursor(location) as other:
        one.execute("CREATE TEMP TABLE mine AS SELECT 1 AS n")
        other.execute("CREATE TEMP TABLE mine AS SELECT 2 AS n")
        assert one.execute("FROM mine").fetchall() == [(1,)]
    with cursor(location) as third, pytest.raises(Exception, match="mine"):
        third.execute("FROM mine")


def test_a_cursor_outlives_its_instance(location):
    connection = open_cursor(location)
    forget_instances()
    gc.collect()
    assert connection.execute("FROM lake.main.numbers").fetchall() == [(1,)]
    connection.close()


def test_only_a_few_instances_are_kept(location):
    with cursor(location) as first:
        for threads in range(1, MOST_INSTANCES + 2):
            with cursor(LakeLocation(None, None, threads=threads)) as other:
                found = other.execute("SELECT current_setting('threads')").fetchone()
                assert found == (threads,)
        assert len(connections._instances) == MOST_INSTANCES
        assert first.execute("FROM lake.main.numbers").fetchall() == [(1,)]


def test_settings_reach_duckdb():
    with cursor(LakeLocation(None, None, memory_limit="1GB")) as connection:
        found = connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('TimeZone')"
        ).fetchone()
    assert found == ("953.6 MiB", "UTC")
    forget_instances()


def test_no_lake_says_where_it_looked(tmp_path):
    missing = tmp_path / "nowhere.sqlite"
    with (
        pytest.raises(ProfilestoreError, match=r"nowhere\.sqlite.*make build"),
        cursor(LakeLocation(missing, None)),
    ):
        pass


def test_threads_share_an_instance_and_leave_nothing_open(location):
    def read(_):
        return numbers(location)

    numbers(location)
    files_before = open_files()
    threads_before = threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(400)))
    assert found == [[1]] * 400
    gc.collect()
    assert open_files() <= files_before + 2
    assert threading.active_count() == threads_before
