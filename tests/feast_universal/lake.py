"""Repo configuration: tables of a lake, our engine, our online store."""

from feast_universal.sources import FeastFileDataSourceCreator, LakeTableDataSourceCreator
from feast_universal.stores import BATCH_ENGINE, ONLINE_STORES
from feast_universal.substitution import make_default

AVAILABLE_OFFLINE_STORES = [("local", LakeTableDataSourceCreator)]
AVAILABLE_ONLINE_STORES = ONLINE_STORES
make_default(LakeTableDataSourceCreator, BATCH_ENGINE, FeastFileDataSourceCreator)
