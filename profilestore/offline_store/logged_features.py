"""Features as they were served, logged to a folder of Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_logging import (
    LOG_TIMESTAMP_FIELD,
    LoggingConfig,
    LoggingDestination,
    LoggingSource,
)
from feast.infra.offline_stores.file_source import FileLoggingDestination
from feast.infra.registry.base_registry import BaseRegistry
from feast.protos.feast.core.FeatureService_pb2 import LoggingConfig as LoggingConfigProto
from feast.repo_config import RepoConfig

from profilestore.errors import InputError
from profilestore.offline_store.append import write_new_file
from profilestore.offline_store.connections import cursor
from profilestore.offline_store.incoming import fitted, receive
from profilestore.offline_store.point_in_time import Column
from profilestore.offline_store.source import DuckDBSource, describe, lake_location, repo_root


class DuckDBLoggingDestination(LoggingDestination):  # type: ignore[misc]
    """A folder of Parquet files, relative to the feature repo; made with the first log."""

    # Written into registries: never change it.
    _proto_kind = "profilestore.offline_store.DuckDBLoggingDestination"

    def __init__(self, *, path: str) -> None:
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DuckDBLoggingDestination) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @classmethod
    def from_proto(cls, config_proto: Any) -> DuckDBLoggingDestination:
        return cls(path=config_proto.custom_destination.config["path"])

    def to_proto(self) -> Any:
        return LoggingConfigProto(
            custom_destination=LoggingConfigProto.CustomDestination(
                kind=self._proto_kind, config={"path": self.path}
            )
        )

    def to_data_source(self) -> DataSource:
        """The source from which the logs are read."""
        return DuckDBSource(name=self.path, path=self.path, timestamp_field=LOG_TIMESTAMP_FIELD)


def write_logged_features(
    config: RepoConfig,
    data: pa.Table | Path,
    source: LoggingSource,
    logging_config: LoggingConfig,
    registry: BaseRegistry,
) -> None:
    """Append logs to the folder of their destination, as one new file.

    Rows of a folder of Parquet go from there to the new file without passing through Python.

    Args:
        data: an Arrow table, or a path of Parquet, with the columns of `source.get_schema`.
        logging_config: its destination is a DuckDBLoggingDestination, or a FileLoggingDestination,
            whose `partition_by` is not followed: DuckDB finds a range of time by the files'
            statistics, and one file is what makes the append whole.

    Raises:
        InputError: the columns are others, a value does not fit, or the destination is of another
            kind. Nothing is written.
        MissingStageError: there is nothing at the path `data`.
    """
    destination = logging_config.destination
    if not isinstance(destination, (DuckDBLoggingDestination, FileLoggingDestination)):
        raise InputError(
            f"features cannot be logged to a {type(destination).__name__}: wanted a "
            f"DuckDBLoggingDestination or a FileLoggingDestination."
        )
    path = destination.path.removeprefix("file://")
    if "://" in path:
        raise InputError(f"features cannot be logged to {path}: wanted a folder on the local disk.")
    folder = repo_root(config) / path
    if folder.is_file():
        raise InputError(f"features cannot be logged to {folder}: it is a file, wanted a folder.")
    try:
        schema = source.get_schema(registry)
    except KeyError as error:
        raise InputError(
            f"features cannot be logged to {folder}: Feast has no log column for type "
            f"{error.args[0]}. Leave such features out of the service that is logged."
        ) from error
    with cursor(lake_location(config)) as connection:
        connection.register("profilestore_schema", schema.empty_table())
        held = describe(connection, "profilestore_schema")
        wanted = [
            Column(name, column.type) for name, column in zip(schema.names, held, strict=True)
        ]
        given = receive(connection, data)
        select = fitted(connection, given, wanted, f"logs for {folder}")
        count = connection.execute(f"SELECT count(*) FROM ({select})").fetchall()[0][0]
        if count:
            write_new_file(connection, select, folder)
