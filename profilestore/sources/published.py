"""Data sets that were published, as their readers have them on disk.

A folder is recognised by its files, without a `profilestore.yaml`. What the warehouse does not
read (a student's gender, the cost of an item) is not landed. Each cell is kept as the text that it
is in the file, with the file and the row it stood in; what it means is decided in staging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from profilestore import lake
from profilestore.errors import InputError
from profilestore.instants import from_micros
from profilestore.sources.clock import Shift
from profilestore.sources.log_file import LogFile, identifier, literal, open_file, reading_failed
from profilestore.sources.mapping import MAPPING_FILE, nearest
from profilestore.sources.source import QueriedTables, RawTables, Source

_SHOWN_NAMES = 12


@dataclass(frozen=True)
class PublishedTable:
    """One kind of files of a data set.

    Attributes:
        name: of the table that is landed.
        patterns: of its files below the folder.
        columns: our name -> the names that it has in one edition or another.
        optional: our names that some editions lack; they are landed empty.
    """

    name: str
    patterns: Sequence[str]
    columns: Mapping[str, Sequence[str]]
    optional: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def files(self, folder: Path) -> list[Path]:
        """Its files, by name."""
        found = {path for one in self.patterns for path in folder.glob(one) if path.is_file()}
        return sorted(found)


@dataclass(frozen=True)
class Publication:
    """A data set.

    Attributes:
        tables: the events first.
        happened: of each table of events, SQL of an event's time (TIMESTAMPTZ) and what it is
            selected from. It decides the span of the log and nothing else.
        has_own_names: whether the names of its files say what it is; else its columns have to.
    """

    tables: Sequence[PublishedTable]
    happened: Sequence[tuple[str, str]]
    has_own_names: bool = True


def _named(*stems: str) -> list[str]:
    return [stem + suffix for stem in stems for suffix in (".csv", ".csv.gz", ".parquet")]


def _as_named(*names: str) -> dict[str, list[str]]:
    return {name: [name] for name in names}


TA_FENG = PublishedTable(
    "purchases",
    _named("ta_feng*"),
    {
        "transaction_date": ["TRANSACTION_DT"],
        "customer_id": ["CUSTOMER_ID"],
        "age_group": ["AGE_GROUP"],
        "pin_code": ["PIN_CODE"],
        "product_subclass": ["PRODUCT_SUBCLASS"],
        "product_id": ["PRODUCT_ID"],
        "amount": ["AMOUNT"],
        "sales_price": ["SALES_PRICE"],
    },
)

_LONDON = (
    "timezone('Europe/London', coalesce(try_cast(invoice_date AS timestamp), "
    "try_strptime(invoice_date, '%m/%d/%Y %H:%M')))"
)
_COURSE_START = (
    "make_timestamptz(try_cast(left(code_presentation, 4) AS bigint), "
    "CASE right(code_presentation, 1) WHEN 'B' THEN 2 WHEN 'J' THEN 10 END, 1, 0, 0, 0.0)"
)
_DAYS = "to_days(try_cast(try_cast({} AS double) AS integer))"
_SECONDS_OR_MILLISECONDS = (
    "make_timestamptz(try_cast(happened AS bigint) "
    "* if(try_cast(happened AS bigint) > 100000000000, 1000, 1000000))"
)

PUBLICATIONS: Mapping[str, Publication] = {
    "tafeng": Publication(
        [TA_FENG],
        [("timezone('UTC', try_strptime(transaction_date, '%m/%d/%Y'))", "purchases")],
    ),
    "online_retail": Publication(
        [
            PublishedTable(
                "invoice_lines",
                _named("online_retail", "Online Retail", "OnlineRetail"),
                {
                    "invoice_no": ["InvoiceNo"],
                    "stock_code": ["StockCode"],
                    "description": ["Description"],
                    "quantity": ["Quantity"],
                    "invoice_date": ["InvoiceDate"],
                    "unit_price": ["UnitPrice"],
                    "customer_id": ["CustomerID"],
                    "country": ["Country"],
                },
            )
        ],
        [(_LONDON, "invoice_lines")],
    ),
    "retailrocket": Publication(
        [
            PublishedTable(
                "visits",
                _named("events"),
                {
                    "visitor_id": ["visitorid", "user_id"],
                    "item_id": ["itemid", "item_id"],
                    "event": ["event", "event_type"],
                    # In milliseconds as it was published, in seconds in the subset of the papers.
                    "happened": ["timestamp", "ts"],
                },
                {"transaction_id": ["transactionid"], "split": ["split"]},
            )
        ],
        [(_SECONDS_OR_MILLISECONDS, "visits")],
        has_own_names=False,
    ),
    "globo": Publication(
        [
            PublishedTable(
                "clicks",
                [*_named("clicks"), "clicks_hour_*.csv", "clicks/clicks_hour_*.csv"],
                {
                    "user_id": ["user_id"],
                    "session_id": ["session_id"],
                    "article_id": ["click_article_id"],
                    "clicked_at": ["click_timestamp"],
                    "environment": ["click_environment"],
                    "device_group": ["click_deviceGroup"],
                    "os": ["click_os"],
                    "country": ["click_country"],
                    "region": ["click_region"],
                    "referrer_type": ["click_referrer_type"],
                },
            )
        ],
        [("make_timestamptz(try_cast(clicked_at AS bigint) * 1000)", "clicks")],
        has_own_names=False,
    ),
    "oulad": Publication(
        [
            PublishedTable(
                "submissions",
                _named("studentAssessment"),
                _as_named("id_assessment", "id_student", "date_submitted", "is_banked", "score"),
            ),
            PublishedTable(
                "registrations",
                _named("studentRegistration"),
                _as_named("code_module", "code_presentation", "id_student", "date_registration"),
                _as_named("date_unregistration"),
            ),
            PublishedTable(
                "students",
                _named("studentInfo"),
                _as_named("code_module", "code_presentation", "id_student", "region", "age_band"),
            ),
            PublishedTable(
                "assessments",
                _named("assessments"),
                _as_named("code_module", "code_presentation", "id_assessment", "assessment_type"),
            ),
        ],
        [
            (f"{_COURSE_START} + {_DAYS.format('date_registration')}", "registrations"),
            (f"{_COURSE_START} + {_DAYS.format('date_unregistration')}", "registrations"),
            (
                f"{_COURSE_START} + {_DAYS.format('date_submitted')}",
                "submissions JOIN assessments USING (id_assessment)",
            ),
        ],
    ),
}
"""The data sets that are recognised, by the pack that reads each."""


class Published(Source):
    """A data set in a folder.

    Args:
        folder: where its files lie.
        pack: which one it is.
    """

    def __init__(self, folder: Path, pack: str) -> None:
        self._folder = folder.resolve()
        self._pack = pack

    @property
    def name(self) -> str:
        return self._pack

    @property
    def origin(self) -> str:
        return str(self._folder)

    def read(self, *, now: datetime) -> RawTables:
        """Its tables, with `raw_file` and `raw_row` (from 1, without a header); all cells are text.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read to its end.
        """
        connection = lake.connect()
        try:
            publication = PUBLICATIONS[self._pack]
            opened = {
                table.name: self._open(connection, table, publication)
                for table in publication.tables
            }
            for table in publication.tables:
                rows = "\nUNION ALL ".join(
                    landed_rows(file, table, self._pack) for file in opened[table.name]
                )
                connection.execute(f"CREATE TEMP VIEW {table.name} AS {rows}")
            return published_tables(
                connection, publication, [one for some in opened.values() for one in some], now
            )
        except BaseException:
            connection.close()
            raise

    def _open(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: PublishedTable,
        publication: Publication,
    ) -> list[LogFile]:
        paths = table.files(self._folder)
        if not paths:
            raise InputError(
                f"{self._folder}: found {publication.tables[0].files(self._folder)[0].name} and no "
                f"{table.patterns[0]} (or {', '.join(table.patterns[1:])}); the pack {self._pack} "
                "reads both. Copy the missing file there."
            )
        return [open_file(connection, self._folder, path) for path in paths]


def published_in(folder: Path) -> str | None:
    """The data set whose files are in a folder; None when there is none.

    Raises:
        InputError: there are two.
    """
    found = [pack for pack, publication in PUBLICATIONS.items() if _is_there(folder, publication)]
    if len(found) > 1:
        raise InputError(
            f"{folder}: found the files of {' and '.join(found)}; needed those of one data set. "
            "Put each into a folder of its own."
        )
    return found[0] if found else None


def _is_there(folder: Path, publication: Publication) -> bool:
    table = publication.tables[0]
    files = table.files(folder)
    if not files or publication.has_own_names:
        return bool(files)
    # Whoever has a file `events.csv` need not have RetailRocket's.
    with duckdb.connect(":memory:") as connection:
        try:
            known = open_file(connection, folder, files[0]).columns
        except InputError:
            return False
    return all(any(name in known for name in names) for names in table.columns.values())


def landed_rows(file: LogFile, table: PublishedTable, pack: str) -> str:
    """A query of a file's rows as they are landed.

    Raises:
        InputError: a column is missing.
    """
    cells = []
    for ours, names in (*table.columns.items(), *table.optional.items()):
        found = next((name for name in names if name in file.columns), None)
        if found is None and ours not in table.optional:
            shown = ", ".join(list(file.columns)[:_SHOWN_NAMES])
            raise InputError(
                f"{file.name}: there is no column {names[0]!r}{nearest(names[0], file.columns)}. "
                f"Found: {shown or 'none'}.\nThe pack {pack} reads it. If this is another data "
                f"set, put a {MAPPING_FILE} beside it that says which column is what."
            )
        cell = "NULL" if found is None else f"nullif({identifier(found)}::varchar, '')"
        cells.append(f"{cell}::varchar AS {ours}")
    return (
        f"SELECT {', '.join(cells)}, {literal(file.name)} AS raw_file, "
        f"row_number() OVER () AS raw_row FROM {file.scan}"
    )


def published_tables(
    connection: duckdb.DuckDBPyConnection,
    publication: Publication,
    files: Sequence[LogFile],
    now: datetime,
) -> QueriedTables:
    """The tables of views that are there by their names.

    Raises:
        InputError: no event has a time up to now, or a file cannot be read to its end.
    """
    times = " UNION ALL ".join(
        f"SELECT {happened} AS happened FROM {relation}"
        for happened, relation in publication.happened
    )
    try:
        span = connection.execute(
            "SELECT epoch_us(min(happened)), epoch_us(max(happened)) "
            f"FROM ({times}) WHERE happened BETWEEN '0001-01-02'::timestamptz AND $1",
            [now],
        ).fetchone()
    except duckdb.Error as error:
        raise reading_failed(_named_in(files, error), error) from None
    assert span is not None
    if span[0] is None:
        raise InputError(
            f"{files[0].name}: found no event with a time that can be read and is not after now "
            f"({now:%Y-%m-%d %H:%M} UTC); needed at least one."
        )
    first, last = map(from_micros, span)
    return QueriedTables(
        connection=connection,
        queries={table.name: f"FROM {table.name}" for table in publication.tables},
        first_event_at=first,
        last_event_at=last,
        # They ended years ago.
        shift=Shift.TO_NOW,
    )


def _named_in(files: Sequence[LogFile], error: duckdb.Error) -> LogFile:
    return next((one for one in files if one.name in str(error)), files[0])
