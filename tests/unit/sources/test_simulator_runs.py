"""Runs of the simulator: arguments, folder, memory, and what a broken-off run leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from profilestore.cli import main
from profilestore.errors import InputError
from profilestore.sources.simulator import Simulation, simulate, vocabulary

SMALL = Simulation(users=30, days=2, seed=1)


def run(*statements: str) -> subprocess.Popen[str]:
    """Python statements in a process of their own, with the simulator imported."""
    first = "import sys; from pathlib import Path; from profilestore.sources.simulator import *"
    code = "\n".join((first, *statements))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def everything_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"users": 0}, "--users: found 0, needed 1"),
        ({"days": 0}, "--days: found 0, needed 1"),
        ({"seed": -1}, "--seed: found -1, needed 0"),
        ({"events_per_user_day": 0.0}, "--events-per-user-day: found 0.0, needed more than 0"),
        ({"events_per_user_day": float("nan")}, "--events-per-user-day: found nan"),
        ({"end": date(2000, 1, 2)}, "begin on 1999-12-30"),
        ({"end": date(1, 1, 2)}, "--end: 3 days up to 0001-01-02"),
        ({"end": date(2095, 1, 1)}, "between 2000-01-01 and 2090-01-01"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        Simulation(**{"users": 10, "days": 3, **arguments})  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize(("users", "days", "per_day"), [(1, 1, 4.0), (2, 1, 0.01), (3, 2, 500.0)])
def test_the_smallest_populations_have_all_files(
    tmp_path: Path, users: int, days: int, per_day: float
) -> None:
    counts = simulate(
        Simulation(users, days, end=date(2000, 1, 4), events_per_user_day=per_day), tmp_path / "log"
    )
    assert set(counts.rows) == {
        *("web/events", "social/events", "orders/lines", "orders/customers", "catalog/items"),
    }
    for kind in counts.rows:
        assert len(everything_in(tmp_path / "log" / kind)) >= days
    if per_day == 500.0:
        assert counts.rows["web/events"] > 1_000


def written(path: Path) -> tuple[int, int]:
    """Which file it is and when it was written: when it was read last may differ."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def test_the_same_again_does_nothing(tmp_path: Path) -> None:
    out = tmp_path / "log"
    first = simulate(SMALL, out)
    assert first.is_new
    before = written(out / "simulation.json")
    again = simulate(SMALL, out, force=True)
    assert not again.is_new
    assert again.as_json() == first.as_json()
    assert written(out / "simulation.json") == before
    assert names_in(tmp_path) == ["log"]


def test_another_simulation_is_written_over_with_force_only(tmp_path: Path) -> None:
    out = tmp_path / "log"
    simulate(SMALL, out)
    before = (out / "simulation.json").read_bytes()
    other = Simulation(users=30, days=3, seed=1)
    with pytest.raises(InputError, match=r"other arguments \(users 30, days 2.*--force"):
        simulate(other, out)
    with pytest.raises(InputError, match="truth_events False"):
        simulate(SMALL, out, truth_events=True)
    assert (out / "simulation.json").read_bytes() == before
    assert simulate(other, out, force=True).is_new
    assert json.loads((out / "simulation.json").read_text())["arguments"]["days"] == 3
    assert not (out / "truth" / "events.parquet").exists()
    assert names_in(tmp_path) == ["log"]


def test_a_folder_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(InputError, match="holds no simulation"):
        simulate(SMALL, tmp_path / "photos", force=True)
    with pytest.raises(InputError, match="this is a file"):
        simulate(SMALL, tmp_path / "photos" / "cat.jpg", force=True)
    assert everything_in(tmp_path) == {"photos", "photos/cat.jpg"}
    (tmp_path / "empty").mkdir()
    assert simulate(SMALL, tmp_path / "empty").is_new


def test_a_killed_run_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    out = tmp_path / "log"
    process = run(f"simulate(Simulation(users=2_000, days=400), Path({str(out)!r}))")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".log.new/web/events/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(InputError, match="another process is writing"):
        simulate(SMALL, out)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names_in(tmp_path) == [".log.new"]
    assert not (tmp_path / ".log.new" / "simulation.json").exists()
    # The next one clears it away.
    simulate(SMALL, out)
    assert names_in(tmp_path) == ["log"]
    assert len(everything_in(out / "web" / "events")) == 2


def test_a_run_that_was_killed_between_two_renames_is_mended(tmp_path: Path) -> None:
    out = tmp_path / "log"
    simulate(SMALL, out)
    out.rename(tmp_path / ".log.old")
    assert not simulate(SMALL, out).is_new
    assert names_in(tmp_path) == ["log"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    process = run(
        "import resource; from profilestore.errors import InputError",
        # No file may be longer: what a full disk does, for one process.
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))",
        "try:",
        f"    simulate(Simulation(users=2_000, days=2), Path({str(tmp_path / 'log')!r}))",
        "except InputError as error:",
        "    print(error)",
    )
    said, errors = process.communicate(timeout=60)
    assert "could not be written: File too large. Nothing was changed." in said, errors
    assert names_in(tmp_path) == []


def test_memory_does_not_grow_with_the_days(tmp_path: Path) -> None:
    peaks = []
    for days in (40, 160):
        out = str(tmp_path / str(days))
        process = run(
            f"counts = simulate(Simulation(users=1_000, days={days}), Path({out!r}))",
            "print(counts.rows['web/events'])",
            # Of this program alone: ru_maxrss would also know of the one that started it.
            "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])",
        )
        said, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        events, peak = map(int, said.split())
        assert events > 3 * 1_000 * days
        peaks.append(peak)
    # To hold the events of the longer one would take 200 MB more: as much again.
    assert peaks[1] < 1.1 * peaks[0], peaks


def test_whose_each_row_is_is_told_on_request(tmp_path: Path) -> None:
    counts = simulate(SMALL, tmp_path / "log", truth_events=True)
    rows = pq.read_table(tmp_path / "log" / "truth" / "events.parquet").num_rows
    logs = ("web/events", "social/events", "orders/lines")
    assert rows == sum(counts.rows[name] for name in logs) > 0


def test_the_command_writes_and_says_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "log"
    command = ["simulate", "--users", "40", "--days", "2", "--seed", "5", "--out", str(out)]
    assert main([*command, "--end", "2025-03-01"]) == 0
    assert "rows of web/events" in capsys.readouterr().out
    assert (out / "web" / "events" / "2025-02-28-000.jsonl").exists()
    assert main([*command, "--end", "2025-03-01"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert main(command) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--end", "soon"]) == 2
    assert "found 'soon', needed a date" in capsys.readouterr().err
    assert main([*command, "--force", "--events-per-user-day", "2"]) == 0


def test_the_words_fit_the_tables_they_are_looked_up_in() -> None:
    """Lines are joined from pieces: no piece may need an escape, and none may be missing."""
    texts = []
    for category in vocabulary.CATEGORIES:
        assert [len(words.split()) for words in category.words] == [vocabulary.WORDS] * 4
        texts += [category.path, *category.words]
    assert len(vocabulary.BRANDS) == len(vocabulary.GROUPS) * vocabulary.BRANDS_PER_GROUP
    for country in vocabulary.COUNTRIES:
        assert (len(country.cities), len(country.given), len(country.family)) == (4, 10, 8)
        assert all(one.encode("cp1252") for one in (*country.cities, *country.given))
        texts += [*country.cities, *country.given, *country.family]
    assert sum(country.share for country in vocabulary.COUNTRIES) == pytest.approx(1)
    for brand in vocabulary.BRANDS:
        assert brand.name.encode("cp1252")
        texts += [brand.name, *brand.words]
    assert (len(vocabulary.OPENINGS), len(vocabulary.FROM), len(vocabulary.ENDINGS)) == (16, 4, 12)
    spoken = [*vocabulary.OPENINGS, *vocabulary.FROM, *vocabulary.ENDINGS]
    assert not [one for one in texts if set(one) & set('",\\\n')]
    assert not [one for one in spoken if set(one) & set('"\\\n')]
