"""`profilestore.yaml`: read strictly, and every message says the key and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from profilestore.sources.clock import Shift
from profilestore.sources.mapping import Column, Constant, LogMapping, Several, read_mapping

FOUR = "user: u, item: i, event_type: e, time: t"
LEAST = f"events: {{files: '*.csv', columns: {{{FOUR}}}}}\n"


def mapping(folder: Path, text: str) -> LogMapping:
    (folder / "profilestore.yaml").write_text(text)
    return read_mapping(folder)


def test_the_least_mapping_has_these_defaults(tmp_path: Path) -> None:
    read = mapping(tmp_path, LEAST)
    assert (read.items, read.unit, read.zone, read.shift) == (None, "iso", "UTC", Shift.NONE)
    assert read.events.files == "*.csv"
    assert read.events.columns == {
        **{"user": Column("u"), "item": Column("i")},
        **{"event_type": Column("e"), "time": Column("t")},
    }


def test_all_forms_of_a_column(tmp_path: Path) -> None:
    read = mapping(
        tmp_path,
        "events:\n  files: e.csv\n  columns:\n"
        "    user: {column: u}\n    item: i\n    event_type: {constant: view}\n    time: t\n"
        "    value: {constant: 1.5}\n    context: [a, b]\n"
        "items:\n  files: i.csv\n"
        "  columns: {item: i, categories: {column: c, separator: '|'}}\n"
        "shift: to_now\n",
    )
    assert read.events.columns["user"] == Column("u")
    assert read.events.columns["event_type"] == Constant("view")
    assert read.events.columns["value"] == Constant("1.5")
    assert read.events.columns["context"] == Several(("a", "b"))
    assert read.items is not None
    assert read.items.columns["categories"] == Column("c", separator="|")
    assert read.shift is Shift.TO_NOW


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["found nothing", "events, items, shift"]),
        ("- a\n", ["found a list", "events"]),
        ("events: [\n", ["not valid YAML", "line 2"]),
        ("events: {files: a.csv}\n", ["events: the key 'columns' is missing"]),
        ("event: {}\n", ["unknown key 'event' (did you mean 'events'?)"]),
        (LEAST + "shft: none\n", ["unknown key 'shft' (did you mean 'shift'?)"]),
        (LEAST + "shift: later\n", ["shift: found 'later'", "needed one of none, to_now"]),
        (LEAST + "shift: to-now\n", ["found 'to-now' (did you mean 'to_now'?)"]),
        (LEAST.replace("user", "usr"), ["events.columns", "'usr' (did you mean 'user'?)"]),
        (LEAST.replace("item: i, ", ""), ["events.columns: the key 'item' is missing"]),
        (LEAST.replace("*.csv", "/etc/*.csv"), ["events.files", "inside this folder"]),
        (LEAST.replace("*.csv", "../*.csv"), ["events.files", "inside this folder"]),
        (LEAST.replace("user: u", "user: 7"), ["events.columns.user: found 7", "quote it"]),
        (LEAST.replace("user: u", "user: {constant: x}"), ["columns.user: found a constant"]),
        (LEAST.replace("user: u", "user: [a]"), ["columns.user: found a list"]),
        (
            LEAST.replace("event_type: e", "event_type: {constant: on}"),
            ["event_type.constant: found True", "quote it"],
        ),
        (LEAST.replace("time: t", "time: t, value: {constant: x}"), ["'x'; needed a number"]),
        (LEAST.replace("time: t", "time: t, value: {constant: .nan}"), ["needed a number"]),
        (LEAST.replace("user: u", "user: {colum: u}"), ["'colum' (did you mean 'column'?)"]),
        (
            LEAST.replace("user: u", "user: {column: u, separator: x}"),
            ["unknown key 'separator'"],
        ),
        (
            LEAST.replace("}}", "}, time: {unit: seconds}}"),
            ["events.time.unit: found 'seconds'", "s, ms, us, iso"],
        ),
        (
            LEAST.replace("}}", "}, time: {zon: UTC}}"),
            ["events.time: unknown key 'zon' (did you mean 'zone'?)"],
        ),
        (LEAST + "items: {files: i.csv, columns: {title: t}}", ["items.columns", "'item'"]),
        (LEAST + "items: i.csv", ["items: found 'i.csv'; needed the keys files, columns"]),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    refused: Callable[..., str], tmp_path: Path, text: str, parts: list[str]
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "profilestore.yaml").write_text(text)
    (folder / "a.csv").write_text("u,i,e,t\na,b,view,2026-01-01\n")
    message = refused(folder)
    assert str(folder / "profilestore.yaml") in message
    for part in parts:
        assert part in message


def test_a_folder_without_a_mapping(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = refused(tmp_path / "empty")
    assert "there is no profilestore.yaml" in message
    assert "docs/your-own-logs.md" in message


def test_a_mapping_that_is_no_text(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "profilestore.yaml").write_bytes(b"events: \xff\n")
    assert "UTF-8" in refused(tmp_path / "own")
