"""The clock: whole weeks, constant, and the same after writing and reading."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.errors import InputError, MissingStageError
from profilestore.settings import Settings
from profilestore.sources.clock import Clock, Shift, read_clock, read_clock_file

TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
WEEK = timedelta(weeks=1)


@given(last=TIMES, now=TIMES)
def test_to_now_is_the_largest_whole_number_of_weeks(last: datetime, now: datetime) -> None:
    shift = timedelta(seconds=Shift.TO_NOW.seconds(last_event_at=last, now=now))
    assert shift % WEEK == timedelta(0)
    assert last + shift <= now < last + shift + WEEK
    assert (last + shift).weekday() == last.weekday()


@given(last=TIMES, now=TIMES)
def test_none_moves_nothing(last: datetime, now: datetime) -> None:
    assert Shift.NONE.seconds(last_event_at=last, now=now) == 0


@given(shift=st.integers(-(10**9), 10**9), times=st.tuples(TIMES, TIMES, TIMES), why=st.text())
def test_it_reads_what_it_writes_and_goes_both_ways(
    tmp_path_factory: pytest.TempPathFactory,
    shift: int,
    times: tuple[datetime, datetime, datetime],
    why: str,
) -> None:
    clock = Clock(shift, *times, why=why.encode(errors="replace").decode())
    path = tmp_path_factory.mktemp("clock") / "clock.json"
    path.write_text(clock.to_json(), encoding="utf-8")
    assert read_clock_file(path) == clock
    assert set(json.loads(clock.to_json())) == {
        *("shift_seconds", "chosen_at", "first_event_at", "last_event_at", "why")
    }
    assert clock.from_log(clock.to_log(times[0])) == times[0]
    assert clock.from_log(times[0]) - times[0] == timedelta(seconds=shift)


def test_no_raw_log_is_a_missing_stage(tmp_path: Path) -> None:
    with pytest.raises(MissingStageError, match="make logs") as caught:
        read_clock(Settings(tmp_path))
    assert caught.value.exit_code == 4


def test_a_pack_that_was_deleted_is_a_missing_stage(tmp_path: Path) -> None:
    here = Settings(tmp_path)
    here.raw.mkdir(parents=True)
    (here.raw / "active.json").write_text('{"source_pack": "movielens", "origin": "x"}')
    with pytest.raises(MissingStageError, match="movielens"):
        read_clock(here)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"pack": 1}'])
def test_a_broken_active_file_is_named(tmp_path: Path, text: str) -> None:
    here = Settings(tmp_path)
    here.raw.mkdir(parents=True)
    (here.raw / "active.json").write_text(text)
    with pytest.raises(InputError, match=r"active\.json.*make logs"):
        read_clock(here)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"shift_seconds": "many"}',
        '{"shift_seconds": 0, "chosen_at": "2020-01-01T00:00:00", "first_event_at": "", '
        '"last_event_at": "", "why": ""}',
    ],
)
def test_a_broken_clock_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    with pytest.raises(InputError, match="Delete the folder") as caught:
        read_clock_file(path)
    assert str(path) in str(caught.value)
