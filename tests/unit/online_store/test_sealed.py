"""Records at rest: no value lies in a file, and what is not as it was written is refused."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lmdb
import pytest
from feast.types import Float32, String

from profilestore.errors import InputError, ProfilestoreError
from profilestore.online_store.database import BATCH, LIVE, _databases
from profilestore.privacy.sealing import BrokenSealError, Seal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY_FILE = "keys/online.key"
VALUE = "a very distinctive value of ann"
FEATURES = [("note", String), ("share", Float32)]


@pytest.fixture
def kept() -> dict[str, str]:
    return {"key_file": KEY_FILE}


@pytest.fixture
def view(online: Any) -> Any:
    return online.view(features=FEATURES)


def fill(online: Any, view: Any) -> None:
    online.materialise(
        view,
        *[(name, {"note": f"{VALUE} {name}", "share": 0.5}, NOON, None) for name in ("ann", "bob")],
    )
    online.push(view, ("eve", {"note": f"{VALUE} eve"}, NOON, None))


def close() -> None:
    """Let go of every store, as the end of a process does."""
    for one in _databases.values():
        one.close()
    _databases.clear()


def changed(online: Any, change: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]) -> None:
    """Change records below the store, as somebody with the file could."""
    close()
    (folder,) = [path for path in online.folder.glob("generation-*") if path.is_dir()]
    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        records = {
            bytes(key): bytes(value)
            for key, value in transaction.cursor()
            if bytes(key[:1]) in (BATCH, LIVE)
        }
        for key, value in change(records).items():
            transaction.put(key, value)


def key_of(records: dict[bytes, bytes], user: str) -> bytes:
    (found,) = [key for key in records if user.encode() in key]
    return found


def test_no_value_lies_in_a_file(online: Any, view: Any, tmp_path: Path) -> None:
    with online.load(view, ("ann", {"note": f"{VALUE} ann"}, NOON, None)) as load:
        load.finish()
        collected = list(online.folder.glob("generation-load-*"))
        assert len(collected) == 1
        assert collected[0].stat().st_size > 0
        assert not holding(tmp_path, VALUE)
    fill(online, view)
    assert not holding(tmp_path, VALUE)
    assert [row["note"] for _, row in online.read(view, "ann", "eve")] == [
        *(f"{VALUE} ann", f"{VALUE} eve"),
    ]
    online.store.compact(online.config)
    assert not holding(tmp_path, VALUE)
    key_file = tmp_path / KEY_FILE
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_the_search_would_find_it(another: Callable[..., Any], tmp_path: Path, view: Any) -> None:
    plain = another(key_file=None, path="plain")
    plain.materialise(view, ("ann", {"note": VALUE}, NOON, None))
    assert holding(tmp_path, VALUE)


def holding(folder: Path, text: str) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()
    ]


def moved(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key_of(records, "ann"): records[key_of(records, "bob")]}


def made_materialised(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """A pushed record in the place of a materialised one of the same person."""
    key = key_of(records, "eve")
    return {BATCH + key[1:]: records[key]}


def flipped(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    key = key_of(records, "ann")
    return {key: records[key][:-1] + bytes([records[key][-1] ^ 1])}


def cut(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    key = key_of(records, "ann")
    return {key: records[key][:-1]}


def emptied(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key_of(records, "ann"): b"x"}


@pytest.mark.parametrize("change", [moved, flipped, cut, emptied, made_materialised])
def test_what_is_not_as_it_was_written_is_refused_by_name(
    online: Any, view: Any, change: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]
) -> None:
    fill(online, view)
    changed(online, change)
    who = "eve" if change is made_materialised else "ann"
    with pytest.raises(ProfilestoreError, match=f"the record of user_id={who} in view number 0"):
        online.read(view, who)
    assert [row["note"] for _, row in online.read(view, "bob")] == [f"{VALUE} bob"]


def test_another_key_is_refused_and_a_lost_one(online: Any, view: Any, tmp_path: Path) -> None:
    fill(online, view)
    close()
    key_file = tmp_path / KEY_FILE
    right = key_file.read_text()
    key_file.write_text("ab" * 32)
    with pytest.raises(InputError, match="encrypted with another key"):
        online.read(view, "ann")
    close()
    key_file.unlink()
    with pytest.raises(InputError, match="is not there any more"):
        online.read(view, "ann")
    assert not key_file.exists()
    close()
    key_file.write_text(right)
    key_file.chmod(0o600)
    assert online.read(view, "ann")[0][1]["note"] == f"{VALUE} ann"


def test_a_store_is_sealed_from_the_beginning_or_not_at_all(
    online: Any, view: Any, another: Callable[..., Any]
) -> None:
    fill(online, view)
    with pytest.raises(InputError, match="one folder has one key"):
        another(key_file=None).read(view, "ann")
    close()
    with pytest.raises(InputError, match=r"is encrypted, and feature_store\.yaml says no key_file"):
        another(key_file=None).read(view, "ann")
    plain = another(key_file=None, path="plain")
    plain.materialise(view, ("ann", {"note": VALUE}, NOON, None))
    close()
    with pytest.raises(InputError, match="is not encrypted"):
        another(path="plain").read(view, "ann")


def test_a_value_is_never_sealed_twice_alike() -> None:
    seal = Seal(b"k" * 32)
    assert seal.seal(b"n", b"value") != seal.seal(b"n", b"value")
    (first, one), (second, two) = seal.seal_all([(b"a", b"value"), (b"b", b"value")])
    assert (first, second) == (b"a", b"b")
    assert one[:12] != two[:12]
    assert seal.open(b"a", one) == seal.open(b"b", two) == b"value"
    for name, sealed in ((b"b", one), (b"a", one[:20]), (b"a", b""), (b"a", two)):
        with pytest.raises(BrokenSealError):
            seal.open(name, sealed)
    with pytest.raises(BrokenSealError):
        Seal(b"x" * 32).open(b"a", one)
