"""Law 6: raw identifiers stop in staging, and a build that would break that writes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from warehouse_logs import RAW_PREFIX

from profilestore import lake
from profilestore.codegen import read_marts, render
from profilestore.privacy.pseudonyms import pseudonym_sql
from profilestore.settings import Settings

REPO = Path(__file__).resolve().parents[2]
SECRET = "zebra-quilt"
# A mart and a column of it, and what its YAML says of the column.
MART = "mart user_history"
COLUMN = f"{MART}, column event_types"
WORDS = "description: What happened to each."
ABOUT = (
    "config: {meta: {class: behaviour, vocabulary: event_type, along: item_ids, default: [], "
    "live: newest 50 event_type}}"
)


def files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def values_of(parquet: Path) -> Iterator[str]:
    """Every row of a Parquet file as text: pages are compressed, so bytes alone prove little."""
    with duckdb.connect(":memory:") as connection:
        for (row,) in connection.execute(
            f"SELECT one::varchar FROM read_parquet('{parquet}') AS one"
        ).fetchall():
            yield row


def holds(path: Path, text: str) -> bool:
    if text.lower().encode() in path.read_bytes().lower():
        return True
    return path.suffix == ".parquet" and any(text.lower() in row.lower() for row in values_of(path))


def test_the_search_would_find_it(warehouse: Any) -> None:
    found = [path.name for path in files(warehouse.settings.raw) if holds(path, RAW_PREFIX)]
    assert found == ["events.parquet"]


@pytest.mark.parametrize("which", ["warehouse", "shifted"])
def test_raw_user_ids_are_nowhere_behind_staging(
    request: pytest.FixtureRequest, which: str
) -> None:
    here = request.getfixturevalue(which).settings
    searched = files(here.lake_catalog.parent, here.dbt_project)
    assert any(path.suffix == ".parquet" for path in searched)
    assert any(path.name == "manifest.json" for path in searched)
    assert [path for path in searched if holds(path, RAW_PREFIX)] == []


def test_the_key_is_nowhere(warehouse: Any) -> None:
    """Neither as it was given, nor as hexadecimal digits, nor padded as the session holds it."""
    here = warehouse.settings
    key = here.pseudonym_key.encode()
    padded = key.ljust(64, b"\0")
    forms = [SECRET.encode(), key.hex().encode()[:24]]
    for pad in (0x36, 0x5C):
        inner = bytes(byte ^ pad for byte in padded)
        escaped = "".join(f"\\x{byte:02x}" for byte in inner[:8]).encode()
        forms += [inner[:16], inner.hex().encode()[:24], escaped]
    searched = files(here.lake_catalog.parent, here.dbt_project)
    assert any(path.name == "dbt.log" for path in searched)
    for path in searched:
        content = path.read_bytes().lower()
        assert not [form for form in forms if form.lower() in content], path


def test_pseudonyms_are_made_in_the_session_by_the_expression_that_python_has(
    warehouse: Any,
) -> None:
    compiled = warehouse.settings.dbt_project / "target" / "compiled"
    text = next(compiled.rglob("int_events_read.sql")).read_text()
    assert pseudonym_sql("events.user_id") in text


def test_staging_leaves_no_table(warehouse: Any) -> None:
    with lake.connect() as connection:
        lake.attach_lake(connection, warehouse.settings.lake_catalog, warehouse.settings.lake_files)
        names = {
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake'"
            ).fetchall()
        }
    assert {"user_activity", "int_events_checked"} <= names
    assert not [name for name in names if name.startswith("stg_")]


def test_feature_views_do_not_depend_on_the_pack(warehouse: Any) -> None:
    """The committed file is made with MovieLens; a build of one's own logs leaves it fresh."""
    committed = (REPO / "feature_repo" / "feature_views.py").read_text(encoding="utf-8")
    assert render(read_marts(warehouse.settings.manifest)) == committed


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ((ABOUT, "config: {meta: {}}"), f"{COLUMN}: privacy class is not set"),
        (
            (ABOUT, "config: {meta: {class: direct_identifier}}"),
            f"{COLUMN}: a direct identifier may not pass staging",
        ),
        ((WORDS, "description: ''"), f"{COLUMN}: it has no description"),
        (
            (ABOUT, "config: {meta: {class: behaviour, purposes: [advertising]}}"),
            f"{COLUMN}: purposes is ['advertising']",
        ),
        (("      meta:\n", "      meta:\n        owner: ''\n"), f"{MART}: it has no owner"),
        (("      meta:\n", "      meta:\n        purposes: []\n"), f"{MART}: purposes is not set"),
    ],
    ids=["no class", "direct identifier", "no words", "purpose", "no owner", "no purpose"],
)
def test_a_build_that_would_break_the_law_writes_nothing(
    warehouse: Any,
    tmp_path: Path,
    build_in: Callable[[Settings], Any],
    declared: tuple[str, str],
    said: str,
) -> None:
    here = Settings(tmp_path / "home")
    shutil.copytree(warehouse.settings.home, here.home)
    yml = here.dbt_project / "models" / "marts" / "user_history.yml"
    text = yml.read_text()
    before, after = declared
    if before == ABOUT:
        before, after = f"{WORDS}\n        {before}", f"{WORDS}\n        {after}"
    assert text.count(before) == 1
    yml.write_text(text.replace(before, after))
    # SQLite rewrites its header when it is opened, so the catalog is asked and not compared.
    content = {path: path.read_bytes() for path in files(here.lake_files)}
    snapshot = lake.latest_snapshot(here.lake_catalog, here.lake_files)
    done = build_in(here)
    assert done.returncode == 1
    assert said in done.stderr
    assert lake.latest_snapshot(here.lake_catalog, here.lake_files) == snapshot
    assert {path: path.read_bytes() for path in files(here.lake_files)} == content
