"""Feast online store on LMDB, embedded: one packed record per entity and view.

The dotted path `profilestore.online_store.LMDBOnlineStore` stands in `feature_store.yaml` files and
never changes.
"""

from profilestore.online_store.keys import text_key
from profilestore.online_store.reading import ViewRecords
from profilestore.online_store.response import python_values
from profilestore.online_store.store import LMDBOnlineStore, LMDBOnlineStoreConfig

# Feast finds the store's class in the module of its config.
LMDBOnlineStoreConfig.__module__ = __name__

__all__ = [
    "LMDBOnlineStore",
    "LMDBOnlineStoreConfig",
    "ViewRecords",
    "python_values",
    "text_key",
]
