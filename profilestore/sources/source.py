"""What a source of raw logs is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from profilestore.sources.clock import Shift


@dataclass(frozen=True)
class RawTables:
    """Raw tables that were checked and are ready to be written.

    Attributes:
        connection: the DuckDB session on which the queries below run.
        queries: for each table, by its file name without `.parquet`, the query of its rows. They
            stream: a log larger than memory is never held whole.
        first_event_at, last_event_at: the span of the events, on the log's own clock, in UTC.
            `files` leaves out events dated after now: one device with a broken clock must not
            decide the span.
        shift: how the log's clock is to be brought to ours.
    """

    connection: duckdb.DuckDBPyConnection
    queries: Mapping[str, str]
    first_event_at: datetime
    last_event_at: datetime
    shift: Shift


class Source(ABC):
    """One place that raw logs come from."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The pack: the folder below `data/raw/` and the suffix of its staging models."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where the rows lie, for people. The same origin means the same log, perhaps longer."""

    @abstractmethod
    def read(self, *, now: datetime) -> RawTables:
        """Check everything that can be checked, and say how to get the rows.

        Raises:
            InputError: the input is not what it has to be. Nothing was written.
        """
