"""Pseudonyms: Python and SQL agree, the key decides, and the key never shows."""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilestore.errors import InputError
from profilestore.privacy.keys import create
from profilestore.privacy.pseudonyms import (
    load_or_create_key,
    pseudonym,
    pseudonym_sql,
    set_session_key,
)
from profilestore.settings import Settings

# DuckDB, like UTF-8, has no lone surrogates.
IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
KEYS = st.binary(min_size=1, max_size=200)
KEY = b"a key of one deployment"

# The first statement of a process is slow; what the session holds is replaced by each example.
shared_connection = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        yield connection


@shared_connection
@given(raw_ids=st.lists(st.none() | IDS, min_size=1, max_size=20), key=KEYS)
def test_sql_says_what_python_says_and_null_stays_null(
    connection: duckdb.DuckDBPyConnection, raw_ids: list[str | None], key: bytes
) -> None:
    set_session_key(connection, key)
    rows = connection.execute(
        f"SELECT id, {pseudonym_sql('id')} FROM (SELECT unnest(?::varchar[]) AS id)", [raw_ids]
    ).fetchall()
    assert rows == [(id, None if id is None else pseudonym(id, key)) for id in raw_ids]


@given(raw_id=IDS, key=KEYS)
def test_it_is_the_first_half_of_the_hmac(raw_id: str, key: bytes) -> None:
    digest = hmac.digest(key, b"user:" + raw_id.encode(), hashlib.sha256)
    assert pseudonym(raw_id, key) == "u-" + digest[:16].hex()


@given(raw_id=IDS, keys=st.lists(st.binary(min_size=16, max_size=32), min_size=2, unique=True))
def test_different_keys_give_different_pseudonyms(raw_id: str, keys: list[bytes]) -> None:
    # HMAC pads a key with zeros, so keys that differ only there are one key.
    distinct = {key.rstrip(b"\0") for key in keys}
    assert len({pseudonym(raw_id, key) for key in keys}) == len(distinct)


@given(raw_ids=st.lists(IDS, min_size=2, unique=True))
def test_different_people_get_different_pseudonyms(raw_ids: list[str]) -> None:
    made = {pseudonym(raw_id, KEY) for raw_id in raw_ids}
    assert len(made) == len(raw_ids)
    assert all(re.fullmatch(r"u-[0-9a-f]{32}", one) for one in made)


def test_numbers_in_sql_are_the_text_of_the_number(connection: duckdb.DuckDBPyConnection) -> None:
    set_session_key(connection, KEY)
    row = connection.execute(f"SELECT {pseudonym_sql('671::bigint')}").fetchone()
    assert row == (pseudonym("671", KEY),)


def test_a_session_without_a_key_fails_instead_of_giving_null(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    set_session_key(connection, KEY)
    other_session = connection.cursor()
    with pytest.raises(duckdb.Error, match="no pseudonym key in this session"):
        other_session.execute(f"SELECT {pseudonym_sql('id')} FROM (VALUES ('a')) t(id)")


def test_the_expression_holds_no_key() -> None:
    assert pseudonym_sql("a") == pseudonym_sql("a")
    assert KEY.hex() not in pseudonym_sql("user_id")
    assert "cast(user_id as varchar)" in pseudonym_sql("user_id")


def test_a_phrase_from_the_environment_is_the_key(tmp_path: Path) -> None:
    phrase = "sixteen letters!"
    assert load_or_create_key(Settings(tmp_path, pseudonym_key=phrase)) == phrase.encode()
    assert not Settings(tmp_path).key_file.exists()


def test_a_short_phrase_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_or_create_key(Settings(tmp_path, pseudonym_key="fifteen letters"))
    assert caught.value.exit_code == 2
    assert "found 15 characters, needed at least 16" in str(caught.value)
    assert "fifteen letters" not in str(caught.value) + repr(caught.value)


def test_a_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    here = Settings(tmp_path)
    key = load_or_create_key(here)
    assert len(key) == 32
    assert load_or_create_key(here) == key
    assert stat.S_IMODE(here.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(here.key_file.parent.stat().st_mode) == 0o700
    assert [path.name for path in here.key_file.parent.iterdir()] == [here.key_file.name]
    assert load_or_create_key(Settings(tmp_path / "elsewhere")) != key


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_create_key(Settings(tmp_path)), range(8)))
    assert len(set(keys)) == 1


def test_a_key_that_another_process_made_meanwhile_is_kept(tmp_path: Path) -> None:
    here = Settings(tmp_path)
    key = load_or_create_key(here)
    create(here.key_file)
    assert load_or_create_key(here) == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    here = Settings(tmp_path)
    key = load_or_create_key(here)
    here.key_file.chmod(mode)
    with pytest.raises(InputError, match=f"found mode {mode:04o}.*chmod 600") as caught:
        load_or_create_key(here)
    assert key.hex() not in str(caught.value)


@pytest.mark.parametrize("content", ["", "abc", "ab" * 31, "ab" * 33, "zz" * 32, "ä" * 64])
def test_a_file_that_is_no_key_is_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    here = Settings(tmp_path)
    load_or_create_key(here)
    here.key_file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="no pseudonym key; needed 64 hexadecimal") as caught:
        load_or_create_key(here)
    assert not content or content not in str(caught.value)
    assert here.key_file.read_text(encoding="utf-8") == content


def test_a_folder_that_cannot_be_made_is_said_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    with pytest.raises(InputError, match="cannot be read or made"):
        load_or_create_key(Settings(tmp_path))
