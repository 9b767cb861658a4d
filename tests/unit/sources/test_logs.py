"""A folder of logs in the formats of our packs becomes the raw log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from profilestore.errors import InputError
from profilestore.settings import Settings
from profilestore.sources import active_log, read_clock, write_raw_logs

NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    for name, text in {
        "web/events/2026-01-01-000.jsonl": '{"event_id": "a"}\n',
        "web/events/2026-01-03-000.jsonl": '{"event_id": "b"}\n{"event_id": "c"}\n',
        "catalog/items/2026-01-01.csv": "item_id,title\ni1,One\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_packs_that_are_there(tmp_path: Path, shop: Path) -> None:
    home = Settings(tmp_path / "home")
    log = write_raw_logs(str(shop), home, now=NOW)
    assert log.packs == ("web", "catalog")
    assert log.rows == {"web_events": 3, "catalog_items": 1}
    active = active_log(home)
    assert active is not None
    assert (active.source_pack, active.packs) == ("logs", ("web", "catalog"))
    assert sorted(path.name for path in (home.raw / "logs").iterdir()) == [
        *("catalog_items", "clock.json", "landed.json", "source.json", "web_events")
    ]
    clock = read_clock(home)
    assert (clock.first_event_at, clock.last_event_at, clock.shift_seconds) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 4, tzinfo=UTC),
        0,
    )


def test_new_files_are_added_and_old_ones_are_not_read_again(tmp_path: Path, shop: Path) -> None:
    home = Settings(tmp_path / "home")
    write_raw_logs(str(shop), home, now=NOW)
    events = home.raw / "logs" / "web_events"
    before = {part.name: part.stat().st_ino for part in events.iterdir()}
    (shop / "web/events/2026-01-04-000.jsonl").write_text('{"event_id": "d"}\n')
    assert write_raw_logs(str(shop), home, now=NOW).rows["web_events"] == 4
    after = {part.name: part.stat().st_ino for part in events.iterdir()}
    assert after.items() > before.items()
    assert len(after) == len(before) + 1


def test_a_failure_leaves_the_last_landing(tmp_path: Path, shop: Path) -> None:
    home = Settings(tmp_path / "home")
    write_raw_logs(str(shop), home, now=NOW)
    (shop / "web/events/2026-01-03-000.jsonl").write_text("")
    with pytest.raises(InputError, match="found 0 bytes"):
        write_raw_logs(str(shop), home, now=NOW)
    parts = (home.raw / "logs" / "web_events").iterdir()
    assert sum(pq.read_table(part).num_rows for part in parts) == 3
    assert json.loads((home.raw / "active.json").read_text())["packs"] == ["web", "catalog"]


def test_a_file_without_a_day_is_refused(tmp_path: Path, shop: Path) -> None:
    (shop / "web/events/today.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"today\.jsonl: the name of a log file begins with the d"):
        write_raw_logs(str(shop), Settings(tmp_path / "home"), now=NOW)


def test_simulated_logs_are_made_once_and_read_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from profilestore.sources import raw_log
    from profilestore.sources.simulator import Simulation, simulate

    def small(_: Simulation, folder: Path) -> None:
        simulate(Simulation(users=30, days=3), folder)

    monkeypatch.setattr(raw_log, "simulate", small)
    home = Settings(tmp_path / "home")
    everything = write_raw_logs("simulated", home, now=NOW)
    assert everything.packs == ("web", "social", "orders", "catalog")
    monkeypatch.setattr(raw_log, "simulate", None)
    web = write_raw_logs("web", home, now=NOW)
    assert web.packs == ("web", "catalog")
    assert web.rows == {name: everything.rows[name] for name in ("web_events", "catalog_items")}
    # Whole weeks, so that it ends within the week before now.
    ended = web.clock.from_log(datetime(2026, 1, 1, tzinfo=UTC))
    assert 0 <= (NOW - ended).days < 7
