"""DuckDB connections: extensions from packages, databases attached.

DuckDB would download the `ducklake`, `sqlite_scanner` and `delta` extensions at first use. Here
they come from packages pinned in requirements/, and are loaded by path: no network, nothing written
to the home folder.
"""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from profilestore.errors import InputError, MissingStageError, ProfilestoreError

EXTENSIONS = ("sqlite_scanner", "ducklake")


def extension_path(name: str) -> Path:
    """The file of a DuckDB extension inside its package, for this version of DuckDB."""
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ProfilestoreError(
            f"DuckDB extension {name!r}: package {package!r} is not installed. "
            f"Run `make setup`, or `pip install {package}=={duckdb.__version__}`."
        )
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    path = folder / f"{name}.duckdb_extension"
    if not path.exists():
        raise ProfilestoreError(
            f"DuckDB extension {name!r}: {path} is missing; the package {package!r} is built for "
            f"another DuckDB than {duckdb.__version__}. Install {package}=={duckdb.__version__}."
        )
    return path


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load what a DuckLake with a SQLite catalog needs."""
    for name in EXTENSIONS:
        load_extension(connection, name)


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load one extension from its package; again is nothing."""
    connection.execute(f"LOAD '{_quoted(extension_path(name))}'")


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in UTC that can attach a lake."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    # In DuckDB 1.5.0 to 1.5.5 it gives a wrong row for `row_number() ... = 1` where values are null
    # (duckdb/duckdb#23677 and its kin).
    connection.execute("SET disabled_optimizers = 'top_n_window_elimination'")
    load_extensions(connection)
    return connection


def attach_lake(
    connection: duckdb.DuckDBPyConnection,
    catalog: Path,
    files: Path,
    *,
    alias: str = "lake",
    snapshot: int | None = None,
    snapshot_time: datetime | None = None,
    writable: bool = False,
) -> None:
    """Attach a DuckLake.

    `files` is given at each attach because the catalog stores the writer's relative path, which
    would otherwise be resolved against the folder of whoever reads.

    Args:
        snapshot: read the lake as it was at this snapshot.
        snapshot_time: read the lake as it was at this instant; UTC if naive.
        writable: for an append; never with a snapshot.

    Raises:
        MissingStageError: there is no catalog at that path.
        InputError: the lake has no such snapshot.
    """
    if not catalog.exists():
        raise MissingStageError(
            f"no lake at {catalog}. Run `make build`, or correct the path in feature_store.yaml."
        )
    options = ["OVERRIDE_DATA_PATH true", f"DATA_PATH '{_quoted(files)}/'"]
    if not writable:
        options.append("READ_ONLY")
    if snapshot is not None:
        options.append(f"SNAPSHOT_VERSION {int(snapshot)}")
    if snapshot_time is not None:
        moment = snapshot_time if snapshot_time.tzinfo else snapshot_time.replace(tzinfo=UTC)
        options.append(f"SNAPSHOT_TIME '{moment.astimezone(UTC).isoformat()}'")
    statement = f"ATTACH 'ducklake:sqlite:{_quoted(catalog)}' AS {alias} ({', '.join(options)})"
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        if "file is not a database" in str(error):
            raise InputError(
                f"cannot open the lake at {catalog}: the file is not a SQLite database. Correct "
                f"the path in feature_store.yaml, or make the lake anew with `make build`."
            ) from error
        if "No snapshot found" not in str(error):
            raise
        pinned = snapshot if snapshot is not None else snapshot_time
        raise InputError(
            f"the lake at {catalog} has no snapshot {pinned}; it has "
            f"{_snapshots(catalog, files)}. Correct `snapshot` or `snapshot_time` of the offline "
            f"store in feature_store.yaml, or take it out to read the latest."
        ) from error


def _snapshots(catalog: Path, files: Path) -> str:
    with connect() as connection:
        attach_lake(connection, catalog, files)
        row = connection.execute(
            "SELECT min(snapshot_id), max(snapshot_id), min(snapshot_time), max(snapshot_time) "
            "FROM lake.snapshots()"
        ).fetchone()
    assert row is not None  # an aggregate always gives a row
    return f"{row[0]} to {row[1]}, made from {row[2]} to {row[3]}"


def find_snapshot(catalog: Path, files: Path, wanted: int | datetime) -> int:
    """Number of the snapshot that is meant.

    Args:
        wanted: its number, or an instant (UTC if it has no zone): the last one made by then.

    Raises:
        MissingStageError: there is no catalog at that path.
        InputError: it never was, was expired, or none was made by then.
    """
    if isinstance(wanted, datetime):
        wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
        meant, what = "snapshot_time <= ?", f"snapshot made by {wanted.isoformat()}"
    else:
        meant, what = "snapshot_id = ?", f"snapshot {wanted}"
    with connect() as connection:
        attach_lake(connection, catalog, files)
        found = connection.execute(
            f"SELECT max(snapshot_id) FROM lake.snapshots() WHERE {meant}", [wanted]
        ).fetchall()[0][0]
    if found is None:
        raise InputError(
            f"the lake at {catalog} has no {what}; it has {_snapshots(catalog, files)}, less "
            f"what was expired. Name one that it has, or none for the latest."
        )
    return int(found)


def latest_snapshot(catalog: Path, files: Path) -> int:
    """Number of the lake's latest snapshot."""
    with connect() as connection:
        attach_lake(connection, catalog, files)
        row = connection.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()
    assert row is not None  # an aggregate always gives a row
    return int(row[0])


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
