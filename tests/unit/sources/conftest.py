"""A place to write to, folders of logs, and a check that a refusal leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from profilestore import lake
from profilestore.errors import InputError
from profilestore.settings import Settings
from profilestore.sources import RawLog, write_raw_logs

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

GOOD_COLUMNS = {"user": "who", "item": "what", "event_type": {"constant": "view"}, "time": "at"}
GOOD_CSV = "who,what,at\na,x,2026-01-01T10:00:00Z\nb,y,2026-01-02T10:00:00Z\n"


@pytest.fixture(autouse=True, scope="module")
def no_extensions() -> Iterator[None]:
    """A source attaches no lake, and loading the extensions is most of the time of a write.

    For a module and not for the session: the tests that come after do attach one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "load_extensions", lambda _: None)
        yield


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home")


@pytest.fixture
def logs(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder: `logs({"a.csv": "..."}, events={...}, items={...}, shift="none")`."""

    def make(contents: dict[str, str | bytes], **mapping: Any) -> Path:
        folder = tmp_path / "logs"
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        mapping.setdefault("events", {})
        mapping["events"] = {"files": "*.csv", "columns": GOOD_COLUMNS} | mapping["events"]
        (folder / "profilestore.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def write(home: Settings) -> Callable[..., RawLog]:
    def run(source: Path | str, now: datetime = NOW) -> RawLog:
        return write_raw_logs(str(source), home, now=now)

    return run


@pytest.fixture
def rows() -> Callable[..., list[dict[str, Any]]]:
    """The rows of one written table, in order."""

    def read(log: RawLog, table: str) -> list[dict[str, Any]]:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"FROM read_parquet('{log.folder}/{table}.parquet')")
            names = [column[0] for column in connection.description or []]
            return [dict(zip(names, row, strict=True)) for row in connection.fetchall()]

    return read


def everything_below(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def refused(home: Settings, tmp_path: Path) -> Callable[..., str]:
    """Writes a good log, then asserts that a source is refused and the good log is untouched.

    Returns the message.
    """
    good = tmp_path / "good"
    good.mkdir()
    (good / "a.csv").write_text(GOOD_CSV)
    (good / "profilestore.yaml").write_text(
        yaml.safe_dump({"events": {"files": "a.csv", "columns": GOOD_COLUMNS}})
    )
    write_raw_logs(str(good), home, now=NOW)
    before = everything_below(home.raw)

    def check(source: Path | str, now: datetime = NOW) -> str:
        with pytest.raises(InputError) as caught:
            write_raw_logs(str(source), home, now=now)
        message = str(caught.value)
        assert caught.value.exit_code == 2
        assert 1 <= len(message.splitlines()) <= 3
        assert everything_below(home.raw) == before
        return message

    return check


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes | None]]:
    return everything_below
