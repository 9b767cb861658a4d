"""What Feast's test suite needs to know of our offline store: how to put a frame where it is read.

Feast's tests make their data as pandas frames and hand each to a `DataSourceCreator`. There is one
per kind of source that people have: tables of a lake, folders of Parquet files, and the files that
a feature repo has had all along.

Runs only beside Feast's tests (`tests` here is their package), started by run.py.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from tests.universal.feature_repos.universal.data_source_creator import DataSourceCreator
from tests.universal.feature_repos.universal.data_sources.file import FileDataSourceCreator

from profilestore.lake import connect
from profilestore.offline_store import (
    DuckDBLoggingDestination,
    DuckDBSource,
    NativeDuckDBOfflineStoreConfig,
    SavedDatasetDuckDBStorage,
)

# Feast's frames call their event time ts_1 and expect to find it as ts, where they say nothing.
TIMESTAMP_FIELD = "ts"
CREATED_COLUMN = "created_ts"
FIELD_MAPPING = {"ts_1": "ts"}


class _FolderDataSourceCreator(DataSourceCreator):
    """All that a test writes lies in one folder, which goes when the test ends."""

    def __init__(self, project_name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(project_name, *args, **kwargs)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{project_name}_"))
        self._sources = 0

    def create_saved_dataset_destination(self) -> SavedDatasetDuckDBStorage:
        return SavedDatasetDuckDBStorage(path=str(self._new_folder("saved") / "dataset.parquet"))

    def create_logged_features_destination(self) -> DuckDBLoggingDestination:
        return DuckDBLoggingDestination(path=str(self._new_folder("logged")))

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def _new_name(self, name: str) -> str:
        """A name of its own for each frame: Feast's tests give several frames the same one."""
        self._sources += 1
        return f"{name}_{self._sources}"

    def _new_folder(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{prefix}_", dir=self.folder))


class LakeTableDataSourceCreator(_FolderDataSourceCreator):
    """Tables of a DuckLake with a SQLite catalog, made as dbt makes them: CREATE TABLE AS."""

    def create_offline_store_config(self) -> NativeDuckDBOfflineStoreConfig:
        # A lake is there before anything reads from it, also where a test makes no table.
        self._lake().close()
        return NativeDuckDBOfflineStoreConfig(
            catalog=str(self.folder / "catalog.sqlite"), data_path=str(self.folder / "files")
        )

    def create_data_source(
        self,
        df: pd.DataFrame,
        destination_name: str,
        created_timestamp_column: str | None = CREATED_COLUMN,
        field_mapping: Mapping[str, str] | None = None,
        timestamp_field: str | None = TIMESTAMP_FIELD,
    ) -> DuckDBSource:
        name = self._new_name(destination_name)
        with self._lake() as connection:
            connection.register("frame", pa.Table.from_pandas(df, preserve_index=False))
            columns = _columns(connection, "frame")
            connection.execute(f"CREATE TABLE lake.main.{name} AS SELECT {columns} FROM frame")
        return DuckDBSource(
            name=name,
            # With its database: a test puts this into a query of its own.
            table=f"lake.main.{name}",
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            field_mapping=dict(field_mapping or FIELD_MAPPING),
        )

    def _lake(self) -> duckdb.DuckDBPyConnection:
        connection = connect()
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{self.folder}/catalog.sqlite' AS lake "
            f"(DATA_PATH '{self.folder}/files/')"
        )
        return connection


class ParquetFolderDataSourceCreator(_FolderDataSourceCreator):
    """Folders of Parquet files, without a lake."""

    def create_offline_store_config(self) -> NativeDuckDBOfflineStoreConfig:
        return NativeDuckDBOfflineStoreConfig()

    def create_data_source(
        self,
        df: pd.DataFrame,
        destination_name: str,
        created_timestamp_column: str | None = CREATED_COLUMN,
        field_mapping: Mapping[str, str] | None = None,
        timestamp_field: str | None = TIMESTAMP_FIELD,
    ) -> DuckDBSource:
        name = self._new_name(destination_name)
        folder = self._new_folder(name)
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("frame", pa.Table.from_pandas(df, preserve_index=False))
            columns = _columns(connection, "frame")
            connection.execute(
                f"COPY (SELECT {columns} FROM frame) TO '{folder}/rows.parquet' (FORMAT parquet)"
            )
        return DuckDBSource(
            name=name,
            path=str(folder),
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            field_mapping=dict(field_mapping or FIELD_MAPPING),
        )


class FeastFileDataSourceCreator(FileDataSourceCreator):
    """Feast's own `FileSource`, read by our store: for the tests that Feast keeps for files."""

    def create_offline_store_config(self) -> NativeDuckDBOfflineStoreConfig:
        return NativeDuckDBOfflineStoreConfig()


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """The select list for a frame, with floats as doubles, which is what a warehouse has.

    Feast's tests append 0.1 to a frame of 32-bit floats and expect to read 0.1.
    """
    described = connection.execute(f"DESCRIBE {relation}").fetchall()
    return ", ".join(
        f'CAST("{name}" AS DOUBLE) AS "{name}"' if kind == "FLOAT" else f'"{name}"'
        for name, kind, *_ in described
    )
