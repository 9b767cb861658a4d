"""What dbt-duckdb loads (`plugins:` in profiles.yml): extensions, functions, folders, the pseudonym
key.

The key is a session variable of the build's connection. It never stands in compiled SQL, in the
manifest or in a log.
"""

from __future__ import annotations

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from profilestore.lake import load_extensions
from profilestore.privacy.pseudonyms import load_or_create_key, set_session_key
from profilestore.settings import load_settings
from profilestore.sql_functions import register


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt-duckdb ships no types
    """Hooks that dbt-duckdb calls before it attaches the lake, and at each new cursor."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        settings = load_settings()
        # DuckLake creates its catalog, but not the folders it lies in.
        settings.lake_files.mkdir(parents=True, exist_ok=True)
        self._key = load_or_create_key(settings)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        load_extensions(conn)
        register(conn)

    def configure_cursor(self, cursor: DuckDBPyConnection) -> None:
        set_session_key(cursor, self._key)
