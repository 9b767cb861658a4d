"""Repo configuration: folders of Parquet files, our engine, our online store."""

from feast_universal.sources import FeastFileDataSourceCreator, ParquetFolderDataSourceCreator
from feast_universal.stores import BATCH_ENGINE, ONLINE_STORES
from feast_universal.substitution import make_default

AVAILABLE_OFFLINE_STORES = [("local", ParquetFolderDataSourceCreator)]
AVAILABLE_ONLINE_STORES = ONLINE_STORES
make_default(ParquetFolderDataSourceCreator, BATCH_ENGINE, FeastFileDataSourceCreator)
