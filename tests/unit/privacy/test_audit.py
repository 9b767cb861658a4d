"""The audit log: whatever is changed, moved, taken out or cut is seen, and nothing is lost."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from profilestore.errors import ProfilestoreError
from profilestore.privacy.audit import EVERYBODY, AuditError, AuditLog, Read
from profilestore.settings import Settings

KEY = b"k" * 32
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(number: int = 0, at: datetime = NOON, people: tuple[str, ...] = ("u-ann",)) -> Read:
    return Read(
        *(at, "shop", "/v1/profiles/{user_id}", f"r{number}", 200, "recommendation"),
        [(("user_activity", "user_history"), people)],
    )


def written(folder: Path, lines: int = 6) -> AuditLog:
    log = AuditLog(folder, KEY)
    for n in range(lines):
        log.append(read(n, NOON + timedelta(hours=8 * n)))
    log.close()
    return AuditLog(folder, KEY)


def test_what_was_read_is_found_again(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, KEY)
    log.append(read(people=("u-ann", "u-bob")))
    log.append(Read(NOON, "", "/v1/audiences", "r2", 200, None, [(("user_value",), EVERYBODY)]))
    first, second = log.lines()
    assert first["reads"] == [
        {
            "views": ["user_activity", "user_history"],
            "people": [log.audit_name("u-ann"), log.audit_name("u-bob")],
        }
    ]
    assert (first["n"], first["client"], first["purpose"], first["status"]) == (
        *(1, "shop", "recommendation"),
        200,
    )
    assert second["reads"] == [{"views": ["user_value"], "people": "everybody"}]
    assert "u-ann" not in (tmp_path / "2026-03-01.jsonl").read_text()
    assert log.audit_name("u-ann") != AuditLog(tmp_path, b"x" * 32).audit_name("u-ann")


def test_a_day_is_a_file_and_the_chain_goes_through_all(tmp_path: Path) -> None:
    log = written(tmp_path)
    names = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert names == [f"2026-03-0{n}.jsonl" for n in (1, 2, 3)]
    checked = log.check()
    assert (checked.lines, checked.first, checked.head.split(":")[0]) == (6, 1, "6")
    # A clock that is set back goes on where it is.
    log.append(read(7, NOON))
    assert log.check(checked.head).lines == 7
    assert (tmp_path / "2026-03-03.jsonl").read_text().count('"r7"') == 1
    assert stat.S_IMODE((tmp_path / "2026-03-01.jsonl").stat().st_mode) == 0o600


def changed(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = folder / "2026-03-02.jsonl"
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0].replace('"shop"', '"shed"'), *lines[1:]],
        lambda lines: lines[1:],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0], *lines],
        lambda lines: [*lines[:-1], lines[-1].replace('"n":', '"n": ')],
        lambda lines: [*lines[:-1], lines[-1].replace('"}\n', '","client":"shed"}\n')],
        lambda lines: [*lines[:-1], lines[-1].replace('"}\n', '" }\n')],
        lambda lines: [*lines[:-1], lines[-1].replace('{"n":', '{"n":"x","n":')],
        lambda lines: ['{"n":"x","seal":"x"}\n', *lines],
        lambda lines: [*lines, "{}\n"],
        lambda lines: [*lines, "nothing\n"],
        lambda lines: [*lines[:-1], lines[-1].split(',"seal"')[0] + "}\n"],
        lambda lines: [],
    ],
)
def test_a_line_that_is_not_as_it_was_written_is_named(
    tmp_path: Path, change: Callable[[list[str]], list[str]]
) -> None:
    log = written(tmp_path)
    log.check()
    changed(tmp_path, change)
    with pytest.raises(AuditError, match=r"2026-03-0[23]\.jsonl, line \d"):
        log.check()


def test_any_bit_that_turns_is_seen(tmp_path: Path) -> None:
    written(tmp_path, 3)
    path = tmp_path / "2026-03-01.jsonl"
    whole = path.read_bytes()
    for place in random.Random(7).sample(range(len(whole) - 1), 200):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(AuditError):
            AuditLog(tmp_path, KEY).check()


def test_what_is_cut_off_the_end_is_seen_by_who_noted_the_head(tmp_path: Path) -> None:
    log = written(tmp_path)
    head = log.check().head
    changed_file = tmp_path / "2026-03-03.jsonl"
    changed_file.unlink()
    assert log.check().lines < 6
    with pytest.raises(AuditError, match="there is no line"):
        log.check(head)


def test_another_key_does_not_fit(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(AuditError, match="the seal does not fit"):
        AuditLog(tmp_path, b"x" * 32).check()


def test_old_files_can_go_from_the_beginning(tmp_path: Path) -> None:
    log = written(tmp_path)
    (tmp_path / "2026-03-01.jsonl").unlink()
    checked = log.check()
    assert checked.first == 3
    assert checked.lines == 4


def test_a_torn_last_line_is_cut_and_the_chain_goes_on(tmp_path: Path) -> None:
    written(tmp_path, 2)
    path = tmp_path / "2026-03-01.jsonl"
    with path.open("ab") as file:
        file.write(b'{"n":3,"at"')
    log = AuditLog(tmp_path, KEY)
    assert log.check().lines == 2
    log.append(read(3))
    assert log.check().lines == 3


def test_a_process_that_was_killed_before_the_first_line_of_a_day(tmp_path: Path) -> None:
    written(tmp_path, 2)
    (tmp_path / "2026-03-04.jsonl").touch()
    log = AuditLog(tmp_path, KEY)
    log.append(read(3, NOON + timedelta(days=4)))
    assert log.check().lines == 3


def _write(folder: Path, name: str) -> None:
    log = AuditLog(folder, KEY)
    for n in range(60):
        log.append(read(n, NOON + timedelta(hours=n), people=(name,)))
    log.close()


def test_processes_and_threads_write_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(tmp_path, f"u-{n}")) for n in range(3)]
    for process in processes:
        process.start()
    log = AuditLog(tmp_path, KEY)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: log.append(read(n, NOON + timedelta(hours=n))), range(60)))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert log.check().lines == 240
    by_person = [line["reads"][0]["people"][0] for line in log.lines()]
    assert sorted(map(by_person.count, set(by_person))) == [60] * 4


def test_a_full_disk_is_said_and_leaves_the_chain_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path, KEY)
    log.append(read())
    whole, said = os.write, []

    def full(handle: int, data: bytes) -> int:
        if said:
            raise OSError(errno.ENOSPC, "No space left on device")
        said.append(whole(handle, bytes(data[:20])))
        return said[0]

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ProfilestoreError, match="cannot be noted"):
        log.append(read(1))
    monkeypatch.undo()
    log.append(read(2))
    assert [json.loads(line)["request"] for line in log_lines(tmp_path)] == ["r0", "r2"]
    assert log.check().lines == 2


def log_lines(folder: Path) -> list[str]:
    return (folder / "2026-03-01.jsonl").read_text().splitlines()


def test_the_log_of_a_home_has_a_key_of_its_own(tmp_path: Path) -> None:
    here = Settings(tmp_path)
    AuditLog.of(here).append(read())
    assert AuditLog.of(here).check().lines == 1
    assert here.audit_key_file.exists()
    assert not here.key_file.exists()
