"""Where a saved dataset is kept: one Parquet file, replaced whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.saved_dataset import SavedDatasetStorage

from profilestore.errors import InputError
from profilestore.offline_store.source import DuckDBSource

# The file of a dataset whose storage is a folder. One name, so that renaming replaces it.
FILE_IN_FOLDER = "dataset.parquet"


class SavedDatasetDuckDBStorage(SavedDatasetStorage):  # type: ignore[misc]
    """A Parquet file, or a folder with one, relative to the feature repo."""

    # Shared with the storages of other stores: the proto carries the class that wrote it.
    _proto_attr_name = "custom_storage"

    def __init__(self, path: str) -> None:
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SavedDatasetDuckDBStorage) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @staticmethod
    def from_proto(storage_proto: Any) -> SavedDatasetDuckDBStorage:
        options = json.loads(storage_proto.custom_storage.configuration)
        return SavedDatasetDuckDBStorage(path=options["path"])

    def to_proto(self) -> Any:
        options = DataSourceProto.CustomSourceOptions(
            configuration=json.dumps({"path": self.path}).encode()
        )
        return self._custom_storage_proto(options)

    def to_data_source(self) -> DataSource:
        """The source from which Feast reads the dataset back."""
        return DuckDBSource(name=self.path, path=self.path, timestamp_field="event_timestamp")

    @staticmethod
    def from_data_source(data_source: DataSource) -> SavedDatasetDuckDBStorage:
        """The storage behind a source made by `to_data_source`.

        Raises:
            InputError: the source is not a path.
        """
        if not isinstance(data_source, DuckDBSource) or not data_source.path:
            raise InputError(
                f"source {data_source.name!r} cannot hold a saved dataset: wanted "
                f"DuckDBSource(path=...)."
            )
        return SavedDatasetDuckDBStorage(path=data_source.path)


def dataset_file(storage: Any, repo_path: Path, *, allow_overwrite: bool) -> Path:
    """The Parquet file that a dataset is to be written to.

    Args:
        storage: its path ends in `.parquet`, or is a folder, in which the file is then called
            `dataset.parquet`.

    Raises:
        InputError: another kind of storage, another format, or a folder with other Parquet files,
            which would be read as part of the dataset.
        SavedDatasetLocationAlreadyExists: there is something, and `allow_overwrite` is false.
    """
    if isinstance(storage, SavedDatasetDuckDBStorage):
        path = storage.path
    elif isinstance(storage, SavedDatasetFileStorage):
        path = storage.file_options.uri.removeprefix("file://")
        given = storage.file_options.file_format
        if given is not None and not isinstance(given, ParquetFormat):
            raise InputError(
                f"cannot persist to {path} as {type(given).__name__}: wanted ParquetFormat."
            )
    else:
        raise InputError(
            f"cannot persist to {type(storage).__name__}: wanted a SavedDatasetDuckDBStorage or a "
            f"SavedDatasetFileStorage."
        )
    if "://" in path:
        raise InputError(f"cannot persist to {path}: wanted a path on the local disk.")
    target = repo_path / path
    if target.is_dir() or target.suffix == "":
        others = [file for file in target.rglob("*.parquet") if file != target / FILE_IN_FOLDER]
        if others:
            raise InputError(
                f"cannot persist to the folder {target}: it holds other Parquet files "
                f"({others[0].name} ...), which would be read as part of the dataset. Give a "
                f"folder of its own, or a path that ends in .parquet."
            )
        target = target / FILE_IN_FOLDER
    elif target.suffix != ".parquet":
        raise InputError(
            f"cannot persist to {target}: wanted a file that ends in .parquet, or a folder."
        )
    if target.exists() and not allow_overwrite:
        raise SavedDatasetLocationAlreadyExists(location=str(target))
    return target
