"""What a source of raw logs is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from profilestore.sources.clock import Shift


@dataclass(frozen=True)
class RawTables(ABC):
    """Raw tables that were checked and are ready to be written.

    Attributes:
        first_event_at, last_event_at: the span of the events, on the log's own clock, in UTC.
            `files` leaves out events dated after now: one device with a broken clock must not
            decide the span.
        shift: how the log's clock is to be brought to ours.
    """

    first_event_at: datetime
    last_event_at: datetime
    shift: Shift

    @abstractmethod
    def write(self, draft: Path, former: Path) -> Mapping[str, int]:
        """Write all tables as Parquet below `draft`; rows of each.

        They stream: a log larger than memory is never held whole.

        Args:
            draft: an empty folder.
            former: what was last written of the same log; perhaps not there.
        """

    def close(self) -> None:  # noqa: B027  # most hold nothing
        """Let go of what was opened to read."""


@dataclass(frozen=True)
class QueriedTables(RawTables):
    """Tables that are queries.

    Attributes:
        connection: the DuckDB session on which they run.
        queries: for each table, by its file name without `.parquet`, the query of its rows.
    """

    connection: duckdb.DuckDBPyConnection
    queries: Mapping[str, str]

    def write(self, draft: Path, former: Path) -> Mapping[str, int]:
        """A file `<table>.parquet` each."""
        return {
            table: self._write(query, draft / f"{table}.parquet")
            for table, query in self.queries.items()
        }

    def _write(self, query: str, path: Path) -> int:
        name = str(path).replace("'", "''")
        self.connection.execute(f"COPY ({query}) TO '{name}' (FORMAT parquet, COMPRESSION zstd)")
        counted = self.connection.execute(f"SELECT count(*) FROM read_parquet('{name}')").fetchone()
        assert counted is not None
        return int(counted[0])

    def close(self) -> None:
        self.connection.close()


class Source(ABC):
    """One place that raw logs come from."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The folder below `data/raw/`."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where the rows lie, for people. The same origin means the same log, perhaps longer."""

    @property
    def packs(self) -> tuple[str, ...]:
        """The folders of staging models that read it."""
        return (self.name,)

    @abstractmethod
    def read(self, *, now: datetime) -> RawTables:
        """Check everything that can be checked, and say how to get the rows.

        Raises:
            InputError: the input is not what it has to be. Nothing was written.
        """
