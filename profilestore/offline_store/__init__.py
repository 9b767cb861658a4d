"""Feast offline store and data source on native DuckDB and DuckLake.

The dotted paths `profilestore.offline_store.NativeDuckDBOfflineStore` and
`profilestore.offline_store.DuckDBSource` are written into registries and never change.
"""

from profilestore.offline_store.contract import check_view
from profilestore.offline_store.logged_features import DuckDBLoggingDestination
from profilestore.offline_store.retrieval_job import DuckDBRetrievalJob
from profilestore.offline_store.saved_dataset import SavedDatasetDuckDBStorage
from profilestore.offline_store.source import DuckDBSource
from profilestore.offline_store.store import (
    NativeDuckDBOfflineStore,
    NativeDuckDBOfflineStoreConfig,
)

# Feast writes these into the registry as `<__module__>.<__name__>`: that has to be the public path.
DuckDBSource.__module__ = __name__
SavedDatasetDuckDBStorage.__module__ = __name__

__all__ = [
    "DuckDBLoggingDestination",
    "DuckDBRetrievalJob",
    "DuckDBSource",
    "NativeDuckDBOfflineStore",
    "NativeDuckDBOfflineStoreConfig",
    "SavedDatasetDuckDBStorage",
    "check_view",
]
