"""A build that adds what came leaves the lake that a full build of everything would make."""

from __future__ import annotations

import csv
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from profilestore import lake
from profilestore.settings import Settings, child_environment
from profilestore.sources import write_raw_logs
from profilestore.sources.simulator import Simulation, simulate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = Simulation(users=150, days=16, seed=77)
# The file that begins with this day, or a later one, comes with this wave.
WAVES = ("0000-00-00", "2025-12-28", "2025-12-31")
SHARE_LATE = 0.04


def waves_of(simulated: Path, waves: list[Path]) -> None:
    """Folders of logs, each with all that the one before has: whole days that come later, lines of
    earlier days that come late, and a file that goes on growing."""
    rng = random.Random(5)
    tables = ("web/events", "social/events", "orders/lines", "orders/customers", "catalog/items")
    for table in tables:
        late: dict[int, list[str]] = {1: [], 2: []}
        for path in sorted((simulated / table).iterdir()):
            header, lines = [], path.read_text("utf-8", errors="surrogateescape").split("\n")[:-1]
            if path.suffix == ".csv":
                header, lines = lines[:1], lines[1:]
            first = max(n for n, day in enumerate(WAVES) if path.name >= day)
            grows = first == 0 and path.name.startswith("2025-12-27")
            for wave, folder in enumerate(waves):
                if wave < first:
                    continue
                here = lines
                if wave == 0:
                    here = []
                    for n, line in enumerate(lines):
                        if grows and n >= len(lines) // 2:
                            continue
                        if table.endswith("events") and not grows and rng.random() < SHARE_LATE:
                            late[rng.choice((1, 2))].append(line)
                        else:
                            here.append(line)
                    kept = here
                elif first == 0 and not grows:
                    here = kept
                write(folder / table / path.name, header + here)
        for wave in (1, 2):
            for later in range(wave, len(waves)):
                if late[wave]:
                    name = f"{WAVES[wave]}-9-late{Path(path.name).suffix}"
                    write(waves[later] / table / name, late[wave])
    told_again(simulated / "catalog/items", waves[-1] / "catalog/items" / f"{WAVES[2]}-9-again.csv")


def told_again(catalogue: Path, path: Path) -> None:
    """Ten items that have a category of another now."""
    lines = [
        line
        for one in sorted(catalogue.iterdir())
        for line in csv.DictReader(one.read_text("utf-8", errors="replace").splitlines())
    ]
    found = {line["item_id"]: line for line in lines if line["category"]}
    categories = sorted({line["category"] for line in found.values()})
    with path.open("w", newline="") as file:
        to = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        to.writeheader()
        for line in list(found.values())[:10]:
            other = categories[categories.index(line["category"]) - 1]
            to.writerow({**line, "category": other, "updated_at": "2026-01-01T00:00:00Z"})


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))


@dataclass(frozen=True)
class Deployment:
    """A home of its own, that reads the logs in `logs`."""

    settings: Settings
    logs: Path

    def land(self, wave: Path) -> None:
        shutil.copytree(wave, self.logs, dirs_exist_ok=True)
        write_raw_logs(str(self.logs), self.settings, now=NOW)

    def dbt(self, *arguments: str) -> None:
        """dbt by hand, as an engineer runs it."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), *arguments, "--vars", self._variables()],
            cwd=self.settings.dbt_project,
            env=child_environment(
                DBT_PROFILES_DIR=str(self.settings.dbt_project),
                PROFILESTORE_HOME=str(self.settings.home),
                PROFILESTORE_PSEUDONYM_KEY=self.settings.pseudonym_key or "",
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def _variables(self) -> str:
        return '{"source_packs": ["web", "social", "orders", "catalog"]}'

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with lake.connect() as connection:
            lake.attach_lake(connection, self.settings.lake_catalog, self.settings.lake_files)
            return connection.execute(query).fetchall()

    def call_complete(self) -> None:
        """Say of each build that it was whole."""
        with lake.connect() as connection:
            catalog, files = self.settings.lake_catalog, self.settings.lake_files
            lake.attach_lake(connection, catalog, files, writable=True)
            connection.execute("UPDATE lake.builds SET is_complete = true")

    def builds(self) -> list[tuple[bool, bool]]:
        """Of each build whether it was full, and whether it was complete."""
        return [
            (full, complete)
            for full, complete in self.rows(
                "SELECT is_full, is_complete FROM lake.builds ORDER BY number"
            )
        ]


# Rows of one user's marts: which of them a build has written anew.
ROW_IDS = "SELECT user_id, list(rowid ORDER BY rowid) FROM lake.user_activity GROUP BY user_id"


@dataclass(frozen=True)
class Grown:
    """What adding has left, and what it did with the last wave; and a full build of the same."""

    adding: Deployment
    full: Deployment
    row_ids: tuple[dict[str, list[int]], dict[str, list[int]]]


@pytest.fixture(scope="module")
def grown(
    tmp_path_factory: pytest.TempPathFactory,
    build_in: Callable[[Settings], Any],
    home_in: Callable[[Path], Settings],
) -> Grown:
    folder = tmp_path_factory.mktemp("incremental")
    simulate(SHOP, folder / "simulated")
    waves = [folder / f"wave-{n}" for n in range(len(WAVES))]
    waves_of(folder / "simulated", waves)

    adding, full = (
        Deployment(home_in(folder / name), folder / name / "logs") for name in ("adding", "full")
    )
    # And makes in many groups what the other makes in one.
    project = adding.settings.dbt_project / "dbt_project.yml"
    declared = project.read_text()
    project.write_text(re.sub(r"group_events: \d+", "group_events: 3000", declared))
    assert project.read_text() != declared
    before: dict[str, list[int]] = {}
    for wave in waves:
        before = dict(adding.rows(ROW_IDS)) if wave == waves[-1] else {}
        adding.land(wave)
        done = build_in(adding.settings)
        assert done.returncode == 0, done.stderr
    full.land(waves[-1])
    done = build_in(full.settings)
    assert done.returncode == 0, done.stderr
    return Grown(adding, full, (before, dict(adding.rows(ROW_IDS))))


def test_only_the_first_build_was_full(grown: Grown) -> None:
    assert grown.adding.builds() == [(True, True), (False, True), (False, True)]
    assert grown.full.builds() == [(True, True)]


def test_every_table_is_that_of_a_full_build_row_for_row(grown: Grown) -> None:
    connection = lake.connect()
    for name, one in (("adding", grown.adding), ("whole", grown.full)):
        catalog, files = one.settings.lake_catalog, one.settings.lake_files
        lake.attach_lake(connection, catalog, files, alias=name)
    tables = [
        table
        for (table,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'whole' "
            "AND schema_name = 'main' AND table_name <> 'builds' ORDER BY table_name"
        ).fetchall()
    ]
    assert {"user_activity", "item_popularity", "user_history", "quarantined_events"} <= set(tables)
    different = {}
    for table in tables:
        # Which build read a row is what differs.
        columns = "* EXCLUDE (build)" if table == "int_events_read" else "*"
        ours, theirs = (
            f"SELECT {columns} FROM {name}.main.{table}" for name in ("adding", "whole")
        )
        counts = tuple(
            connection.execute(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchall()[0][0]
            for one, other in ((ours, theirs), (theirs, ours))
        )
        # A text that nobody says any more keeps its vector: it may be said again.
        if counts != (0, 0) and not (table == "int_text_embeddings" and counts[1] == 0):
            different[table] = counts
    assert different == {}


def test_what_came_late_changed_what_was_there(grown: Grown) -> None:
    """Else the comparison would prove little."""
    gone = dict(
        grown.adding.rows(
            "SELECT 'events', count(*) FILTER (is_gone) FROM lake.int_user_events__changes "
            "UNION ALL SELECT 'rejections', count(*) FROM lake.int_rejections__changes "
            "UNION ALL SELECT 'identities', count(*) FROM lake.int_identities__changes "
            "UNION ALL SELECT 'items', count(*) FILTER (is_gone) FROM lake.int_items__changes"
        )
    )
    assert min(gone.values()) > 0, gone


def test_nothing_else_was_written(grown: Grown) -> None:
    before, after = grown.row_ids
    touched = {
        user for (user,) in grown.adding.rows("SELECT user_id FROM lake.int_user_events__changes")
    }
    others = before.keys() - touched
    assert len(others) > len(before) / 4
    assert all(before[user] == after[user] for user in others)
    # Of those that were touched, the past stays as it was.
    stayed = sum(
        len(set(before[user]) & set(after.get(user, []))) for user in touched & set(before)
    )
    assert stayed > 0


def test_what_is_not_a_whole_build_of_the_same_code_is_followed_by_a_full_one(grown: Grown) -> None:
    one = grown.full
    one.dbt("run", "--select", "int_items")
    assert one.builds()[1:] == [(False, False)]
    one.dbt("run", "--select", "int_items")
    assert one.builds()[2:] == [(True, False)]

    one.call_complete()
    macro = one.settings.dbt_project / "macros" / "clock.sql"
    macro.write_text(macro.read_text() + "\n{# Another comment. #}\n")
    one.dbt("run", "--select", "int_items")
    assert one.builds()[3:] == [(True, False)]

    one.call_complete()
    one.dbt("run", "--select", "int_items", "--full-refresh")
    assert one.builds()[4:] == [(True, False)]

    one.call_complete()
    part = next((one.settings.raw / "logs" / "web_events").iterdir())
    os.utime(part, (0, 0))
    one.dbt("run", "--select", "int_items")
    assert one.builds()[5:] == [(True, False)]
