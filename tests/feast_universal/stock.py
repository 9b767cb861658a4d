"""Repo configuration: what Feast itself has for DuckDB, to compare with.

The tests for files only stay with Feast's Dask store, as in Feast's own run.
"""

from feast_universal.substitution import make_default
from tests.universal.feature_repos.duckdb_repo_configuration import DuckDBDataSourceCreator
from tests.universal.feature_repos.universal.data_sources.file import FileDataSourceCreator

AVAILABLE_OFFLINE_STORES = [("local", DuckDBDataSourceCreator)]
AVAILABLE_ONLINE_STORES = {"sqlite": ({"type": "sqlite"}, None)}
make_default(DuckDBDataSourceCreator, "local", FileDataSourceCreator)
