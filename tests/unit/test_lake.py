"""DuckDB connections: extensions from packages, never from the network; lakes attached to read."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from profilestore import lake
from profilestore.errors import InputError, MissingStageError, ProfilestoreError

EXTENSIONS = list(lake.EXTENSIONS)


def make_lake(folder: Path, *statements: str) -> tuple[Path, Path]:
    """A lake with one table `numbers`, and one more snapshot for each further statement."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog, files = folder / "catalog.sqlite", folder / "files"
    quoted = [str(path).replace("'", "''") for path in (catalog, files)]
    with lake.connect() as connection:
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{quoted[0]}' AS lake (DATA_PATH '{quoted[1]}/')"
        )
        connection.execute("CREATE TABLE lake.numbers AS SELECT unnest(range(1000)) AS n")
        for statement in statements:
            connection.execute(statement)
    return catalog, files


@pytest.mark.parametrize("name", EXTENSIONS)
def test_each_extension_comes_from_its_package(name: str) -> None:
    path = lake.extension_path(name)
    assert path.is_file()
    assert path.parent.name == f"v{duckdb.__version__}"
    assert f"duckdb_extension_{name}" in path.parts


@pytest.mark.parametrize("name", EXTENSIONS)
def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ProfilestoreError) as caught:
        lake.extension_path(name)
    message = str(caught.value)
    assert message.startswith(f"DuckDB extension {name!r}: package 'duckdb_extension_{name}' is no")
    assert f"pip install duckdb_extension_{name}=={duckdb.__version__}" in message


def test_a_package_for_another_duckdb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "extensions" / "v0.0.1" / "ducklake.duckdb_extension"
    old.parent.mkdir(parents=True)
    old.touch()
    spec = importlib.machinery.ModuleSpec("p", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(ProfilestoreError) as caught:
        lake.extension_path("ducklake")
    assert f"v{duckdb.__version__}/ducklake.duckdb_extension is missing" in str(caught.value)
    assert f"built for another DuckDB than {duckdb.__version__}" in str(caught.value)


def test_a_connection_attaches_a_lake_with_downloads_off(tmp_path: Path) -> None:
    catalog, files = make_lake(tmp_path)
    with lake.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET extension_directory = '/nonexistent'")
        lake.attach_lake(connection, catalog, files)
        assert connection.execute("SELECT sum(n) FROM lake.numbers").fetchone() == (499500,)


def test_a_connection_is_in_utc_wherever_the_machine_stands() -> None:
    """In a process of its own: DuckDB asks for the machine's zone once."""
    query = "SELECT timestamptz '2026-01-01 00:00:00'::varchar"
    code = f"from profilestore import lake; print(lake.connect().execute({query!r}).fetchone())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TZ": "Asia/Tokyo"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "('2026-01-01 00:00:00+00',)\n"


def test_an_attached_lake_cannot_be_written(tmp_path: Path) -> None:
    catalog, files = make_lake(tmp_path)
    with lake.connect() as connection:
        lake.attach_lake(connection, catalog, files, alias="marts")
        for statement in ("INSERT INTO marts.numbers VALUES (1)", "DROP TABLE marts.numbers"):
            with pytest.raises(duckdb.Error, match="read-only"):
                connection.execute(statement)
        assert connection.execute("SELECT count(*) FROM marts.numbers").fetchone() == (1000,)


def test_a_lake_that_was_moved_is_read_where_it_lies(tmp_path: Path) -> None:
    """dbt writes a path relative to its own folder into the catalog; readers lie elsewhere."""
    make_lake(tmp_path / "before")
    moved = (tmp_path / "before").rename(tmp_path / "after")
    with lake.connect() as connection:
        lake.attach_lake(connection, moved / "catalog.sqlite", moved / "files")
        assert connection.execute("SELECT sum(n) FROM lake.numbers").fetchone() == (499500,)


def test_a_quote_in_a_path(tmp_path: Path) -> None:
    catalog, files = make_lake(tmp_path / "Ada's lake")
    with lake.connect() as connection:
        lake.attach_lake(connection, catalog, files)
        assert connection.execute("SELECT count(*) FROM lake.numbers").fetchone() == (1000,)


def test_no_lake_is_said_and_none_is_made(tmp_path: Path) -> None:
    with lake.connect() as connection, pytest.raises(ProfilestoreError) as caught:
        lake.attach_lake(connection, tmp_path / "catalog.sqlite", tmp_path / "files")
    assert str(caught.value).startswith(f"no lake at {tmp_path / 'catalog.sqlite'}. Run `make bu")
    assert list(tmp_path.iterdir()) == []


def test_the_latest_snapshot_counts_commits(tmp_path: Path) -> None:
    one = lake.latest_snapshot(*make_lake(tmp_path / "one"))
    two = lake.latest_snapshot(*make_lake(tmp_path / "two", "DELETE FROM lake.numbers WHERE n = 1"))
    assert (two - one, lake.latest_snapshot(*_paths(tmp_path / "one"))) == (1, one)


def _paths(folder: Path) -> tuple[Path, Path]:
    return folder / "catalog.sqlite", folder / "files"


def _snapshots(place: tuple[Path, Path]) -> dict[int, datetime]:
    with lake.connect() as connection:
        lake.attach_lake(connection, *place)
        return dict(
            connection.execute("SELECT snapshot_id, snapshot_time FROM lake.snapshots()").fetchall()
        )


def test_a_snapshot_by_number_or_by_time(tmp_path: Path) -> None:
    place = make_lake(tmp_path, "DELETE FROM lake.numbers WHERE n = 1")
    made_at = _snapshots(place)
    for number, at in made_at.items():
        assert lake.find_snapshot(*place, number) == number
        assert lake.find_snapshot(*place, at) == number
        assert lake.find_snapshot(*place, at.astimezone(UTC).replace(tzinfo=None)) == number
    last = max(made_at)
    assert lake.find_snapshot(*place, made_at[last] - timedelta(microseconds=1)) == last - 1
    assert lake.find_snapshot(*place, datetime(2999, 1, 1, tzinfo=UTC)) == last


def test_a_snapshot_that_never_was_or_was_expired(tmp_path: Path) -> None:
    place = make_lake(tmp_path, "DELETE FROM lake.numbers WHERE n = 1")
    with lake.connect() as connection:
        lake.attach_lake(connection, *place, writable=True)
        connection.execute("CALL ducklake_expire_snapshots('lake', versions => [1])")
    for wanted, said in (
        (99, "snapshot 99"),
        (1, "snapshot 1"),
        (datetime(2001, 1, 1), "snapshot made by 2001-01-01T00:00:00"),
    ):
        with pytest.raises(InputError, match=rf"{tmp_path}.* has no {said}.*it has 0 to 2.*Name"):
            lake.find_snapshot(*place, wanted)
    with pytest.raises(MissingStageError, match="no lake"):
        lake.find_snapshot(tmp_path / "none.sqlite", tmp_path, 1)
