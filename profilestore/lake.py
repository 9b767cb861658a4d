"""DuckDB connections: extensions from packages, databases attached.

DuckDB would download the `ducklake` and `sqlite_scanner` extensions at first use. Here they come
from packages pinned in requirements/, and are loaded by path: no network, nothing written to the
home folder.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import duckdb

from profilestore.errors import ProfilestoreError

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
        connection.execute(f"LOAD '{_quoted(extension_path(name))}'")


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in UTC that can attach a lake."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    load_extensions(connection)
    return connection


def attach_lake(
    connection: duckdb.DuckDBPyConnection, catalog: Path, files: Path, *, alias: str = "lake"
) -> None:
    """Attach a DuckLake read-only.

    `files` is given at each attach because the catalog stores the writer's relative path, which
    would otherwise be resolved against the folder of whoever reads.

    Raises:
        ProfilestoreError: there is no catalog at that path.
    """
    if not catalog.exists():
        raise ProfilestoreError(
            f"no lake at {catalog}. Run `make build`, or correct the path in feature_store.yaml."
        )
    connection.execute(
        f"ATTACH 'ducklake:sqlite:{_quoted(catalog)}' AS {alias} "
        f"(READ_ONLY, DATA_PATH '{_quoted(files)}/', OVERRIDE_DATA_PATH true)"
    )


def latest_snapshot(catalog: Path, files: Path) -> int:
    """Number of the lake's latest snapshot."""
    with connect() as connection:
        attach_lake(connection, catalog, files)
        row = connection.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()
    assert row is not None  # an aggregate always gives a row
    return int(row[0])


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
