"""What dbt-duckdb loads (`plugins:` in profiles.yml): extensions, functions, folders, the pseudonym
key, and a digest of the code.

The key is a session variable of the build's connection. It never stands in compiled SQL, in the
manifest or in a log.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from profilestore.lake import load_extensions
from profilestore.privacy.pseudonyms import load_or_create_key, set_session_key
from profilestore.settings import load_settings
from profilestore.sql_functions import register

_CODE = {".sql", ".yml", ".csv"}
_NO_CODE = {"target", "logs", "dbt_packages", "tests", "docs"}


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt-duckdb ships no types
    """Hooks that dbt-duckdb calls before it attaches the lake, and at each new cursor."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        settings = load_settings()
        # DuckLake creates its catalog, but not the folders it lies in.
        settings.lake_files.mkdir(parents=True, exist_ok=True)
        self._key = load_or_create_key(settings)
        self._code = _code(settings.dbt_project)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        load_extensions(conn)
        register(conn)

    def configure_cursor(self, cursor: DuckDBPyConnection) -> None:
        set_session_key(cursor, self._key)
        cursor.execute("SET VARIABLE project_code = ?", [self._code])


def _code(project: Path) -> str:
    """What tells one state of the models' code from another; see macros/builds.sql."""
    digest = hashlib.sha256()
    # What SQL calls is code too.
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    for path in sorted(project.rglob("*")):
        parts = path.relative_to(project).parts
        if path.suffix in _CODE and parts[0] not in _NO_CODE:
            digest.update(f"{Path(*parts)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
