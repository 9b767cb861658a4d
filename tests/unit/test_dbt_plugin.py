"""What dbt loads: every cursor has the key, no query's text holds it, the lake has its folders."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.environments import Environment, create

from profilestore.dbt_plugin import Plugin
from profilestore.errors import InputError
from profilestore.privacy.pseudonyms import load_or_create_key, pseudonym, pseudonym_sql
from profilestore.settings import Settings

REPO = Path(__file__).resolve().parents[2]
PHRASE = "a phrase that shows wherever it stands"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A deployment without data, in whose dbt folder we stand, as dbt does."""
    settings = Settings(tmp_path)
    settings.dbt_project.mkdir()
    monkeypatch.chdir(settings.dbt_project)
    monkeypatch.setenv("PROFILESTORE_HOME", str(tmp_path))
    monkeypatch.delenv("PROFILESTORE_PSEUDONYM_KEY", raising=False)
    return settings


@pytest.fixture
def environment(home: Settings) -> Iterator[Callable[[], Environment]]:
    """dbt-duckdb's own environment, made from the profile of the project."""
    made: list[Environment] = []

    def make() -> Environment:
        profile = yaml.safe_load((REPO / "dbt_project" / "profiles.yml").read_text())
        output = profile["profilestore"]["outputs"]["duckdb"]
        made.append(create(DuckDBCredentials.from_dict(output)))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Recorder:
    """A cursor that only listens."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.parameters: list[Any] = []

    def execute(self, query: str, parameters: Any = None, /) -> None:
        self.texts.append(query)
        self.parameters.append(parameters)


def test_dbt_finds_it_by_the_name_in_the_profile(environment: Callable[[], Environment]) -> None:
    assert [type(one) for one in environment()._plugins.values()] == [Plugin]


def test_every_cursor_has_the_key(home: Settings, environment: Callable[[], Environment]) -> None:
    """dbt opens one per thread and per node; a cursor is a session of its own."""
    made = environment()
    handles = [made.handle() for _ in range(3)]
    wanted = pseudonym("ada", load_or_create_key(home))
    for handle in handles:
        row = handle.cursor().execute(f"SELECT {pseudonym_sql(chr(39) + 'ada' + chr(39))}")
        assert row.fetchone() == (wanted,)


def test_the_lake_can_be_written_before_it_has_a_folder(
    home: Settings, environment: Callable[[], Environment]
) -> None:
    cursor = environment().handle().cursor()
    cursor.execute("CREATE TABLE lake.main.numbers AS SELECT unnest(range(1000)) AS n")
    assert home.lake_catalog.is_file()
    assert list(home.lake_files.rglob("*.parquet"))
    assert cursor.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_the_key_is_made_once_for_all_builds(
    home: Settings, environment: Callable[[], Environment]
) -> None:
    environment()
    first = home.key_file.read_bytes()
    environment()
    assert home.key_file.read_bytes() == first
    assert stat.S_IMODE(home.key_file.stat().st_mode) == 0o600


def test_no_text_of_a_query_holds_the_key(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt logs texts; parameters it does not."""
    monkeypatch.setenv("PROFILESTORE_PSEUDONYM_KEY", PHRASE)
    plugin = Plugin("dbt_plugin", {})
    recorder = Recorder()
    plugin.configure_cursor(recorder)  # type: ignore[arg-type]
    given = [one for (one,) in recorder.parameters if isinstance(one, bytes)]
    padded = PHRASE.encode().ljust(64, b"\0")
    assert {bytes(byte ^ pad for byte in padded) for pad in (0x36, 0x5C)} == set(given)
    for text in recorder.texts:
        assert PHRASE not in text
        for secret in (PHRASE.encode(), *given):
            assert secret.hex()[:16] not in text.lower()
    assert PHRASE not in repr(plugin)
    assert not home.key_file.exists()


def test_a_key_that_is_too_short_stops_the_build_before_it_starts(
    environment: Callable[[], Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROFILESTORE_PSEUDONYM_KEY", "s3cret")
    with pytest.raises(InputError, match="found 6 characters") as caught:
        environment()
    assert "s3cret" not in str(caught.value)
