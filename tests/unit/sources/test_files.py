"""The owner's folder: rows in are rows out, and a refusal leaves no trace."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilestore.errors import InputError
from profilestore.settings import Settings
from profilestore.sources import RawLog, write_raw_logs

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DOC = Path(__file__).resolve().parents[3] / "docs" / "your-own-logs.md"

EVENT_COLUMNS = [
    *("event_id", "user_id", "item_id", "event_type", "event_at", "loaded_at", "value"),
    *("session_hint", "context", "text", "raw_payload", "file_name", "row_number"),
]
COLUMNS = {"user": "who", "item": "what", "event_type": "kind", "time": "at", "value": "worth"}

# A zero byte ends a text in some readers; nobody's log has one.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))
AMOUNTS = st.decimals(-(10**13), 10**13, places=4)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "who": st.none() | TEXTS,
            "what": st.none() | TEXTS,
            "kind": st.none() | TEXTS,
            "at": st.none() | TIMES,
            "worth": st.none() | AMOUNTS,
        }
    ),
    max_size=8,
).map(
    # One row at least has everything: an empty column is an error, tested below.
    lambda rows: [
        *rows,
        {
            **{"who": "u", "what": "i", "kind": "view"},
            **{"at": datetime(2020, 1, 1, tzinfo=UTC), "worth": Decimal(1)},
        },
    ]
)


def as_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        at = row["at"]
        writer.writerow(row | {"at": "" if at is None else at.isoformat()})
    path.write_bytes(text.getvalue().encode())


def as_packed_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    as_csv(path, rows)
    path.write_bytes(gzip.compress(path.read_bytes()))


def as_json(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        plain = {
            **{key: value for key, value in row.items() if value is not None},
            **({} if row["at"] is None else {"at": row["at"].isoformat()}),
            **({} if row["worth"] is None else {"worth": str(row["worth"])}),
        }
        lines.append(json.dumps(plain) + "\n")
    path.write_text("".join(lines))


def as_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("who", "what", "kind")),
            ("at", pa.timestamp("us", "UTC")),
            ("worth", pa.decimal128(20, 4)),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=2)


KINDS = {
    **{"a.csv": as_csv, "b.csv.gz": as_packed_csv, "c.jsonl": as_json},
    **{"d.ndjson": as_json, "e.parquet": as_parquet},
}


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=st.dictionaries(st.sampled_from(sorted(KINDS)), ROWS, min_size=1))
def test_rows_in_are_rows_out(
    tmp_path_factory: pytest.TempPathFactory,
    rows: Callable[..., list[dict[str, Any]]],
    files: dict[str, list[dict[str, Any]]],
) -> None:
    home = tmp_path_factory.mktemp("any")
    folder = home / "logs"
    folder.mkdir()
    for name, content in files.items():
        KINDS[name](folder / name, content)
    (folder / "profilestore.yaml").write_text(
        yaml.safe_dump({"events": {"files": "*", "columns": COLUMNS}})
    )
    log = write_raw_logs(str(folder), Settings(home), now=NOW)
    expected = [
        {
            **{"user_id": row["who"], "item_id": row["what"], "event_type": row["kind"]},
            **{"event_at": row["at"], "value": row["worth"]},
            **{"file_name": name, "row_number": place},
        }
        for name in sorted(files)
        for place, row in enumerate(files[name], start=1)
    ]
    written = rows(log, "events")
    assert [{key: row[key] for key in expected[0]} for row in written] == expected
    assert log.rows["events"] == len(expected)
    assert len({row["event_id"] for row in written}) == len(written)
    for row in written:
        assert list(row) == EVENT_COLUMNS
        payload = json.loads(row["raw_payload"])
        assert payload.get("who") == row["user_id"]
    items = [row["item_id"] for row in rows(log, "items")]
    assert sorted(items) == sorted({row["what"] for row in expected_rows(files)} - {None})
    times = [row["event_at"] for row in expected if row["event_at"] is not None]
    assert (log.clock.first_event_at, log.clock.last_event_at) == (min(times), max(times))
    # Read again, everything is the same: ids too.
    before = (log.folder / "events.parquet").read_bytes()
    write_raw_logs(str(folder), Settings(home), now=NOW + timedelta(days=1))
    assert (log.folder / "events.parquet").read_bytes() == before


def expected_rows(files: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for content in files.values() for row in content]


def test_the_example_of_the_guide_runs(
    tmp_path: Path, write: Callable[..., RawLog], rows: Callable[..., list[dict[str, Any]]]
) -> None:
    blocks = re.findall(r"`([\w./-]+)`:\n\n```\w+\n(.*?)```", DOC.read_text(), flags=re.DOTALL)
    assert [name for name, _ in blocks] == ["profilestore.yaml", "events/2026-05.csv", "items.csv"]
    for name, text in blocks:
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_text(text)
    log = write(tmp_path / "shop")
    assert log.rows == {"events": 4, "items": 3}
    assert log.clock.shift_seconds == 0
    events = rows(log, "events")
    assert [row["user_id"] for row in events] == ["0017", "0017", "0042", None]
    assert [f"{row['event_at']:%d %H:%M:%S}" for row in events] == [
        *("30 07:15:00", "31 20:01:30", "31 20:30:00", "31 21:00:00")
    ]
    assert [row["value"] for row in events] == [
        *(Decimal("24.9000"), Decimal("8.0000"), Decimal("24.9000"), None)
    ]
    assert json.loads(events[3]["context"]) == {"shop": "Berlin", "device": "till"}
    assert {row["event_type"] for row in events} == {"purchase"}
    assert all(row["loaded_at"] is None and row["session_hint"] is None for row in events)
    untold = {
        **{"title": None, "brand": None, "description": None, "released_year": None},
        **{"available_from": None, "available_until": None},
    }
    bread = {"title": "A Year of Bread", "categories": ["cooking", "baking"], "released_year": 2024}
    salt = {"title": "Salt", "categories": ["cooking"], "released_year": 2019}
    assert rows(log, "items") == [
        {**untold, "item_id": "B-1", **bread},
        {**untold, "item_id": "B-2", **salt},
        {**untold, "item_id": "B-3", "categories": []},
    ]


# --- what is data ---------------------------------------------------------------------------------


def test_missing_and_strange_values_are_data(
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    content = (
        "who,what,kind,at,worth\n"
        "a,x,view,2026-01-01,NaN\n"
        ",,,,\n"
        "a,x,view,2090-01-01,900000\n"
        "a,x,view,0001-01-01,-1\n"
        "a,x,view,2026-01-01, 5 \n"
    )
    log = write(logs({"a.csv": content}, events={"columns": COLUMNS}))
    events = rows(log, "events")
    assert [row["user_id"] for row in events] == ["a", None, "a", "a", "a"]
    assert [row["event_at"] and row["event_at"].year for row in events] == [
        *(2026, None, 2090, 1, 2026)
    ]
    assert [row["value"] for row in events] == [None, None, 900000, -1, 5]
    # One broken clock does not decide the span.
    assert log.clock.last_event_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_an_event_far_ahead_does_not_pull_the_log_back(
    logs: Callable[..., Path], write: Callable[..., RawLog]
) -> None:
    content = "who,what,at\na,x,2026-01-01\nb,x,90000-01-01\n".replace("90000", "9999")
    assert write(logs({"a.csv": content}, shift="to_now")).clock.shift_seconds > 0


def test_a_constant_context_session_and_text(
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    columns = {
        **{"user": "who", "item": "what", "event_type": {"constant": "it's"}, "time": "at"},
        **{"value": {"constant": 2}, "context": {"constant": "web"}, "session": "s"},
        **{"text": "t", "event_id": "id", "loaded_at": "l"},
    }
    content = (
        "who,what,at,s,t,id,l\n"
        'a,x,2026-01-01,s1,"so, good",e1,2026-01-03T00:00:00Z\n'
        "a,x,2026-01-01,,,,\n"
    )
    first, second = rows(write(logs({"a.csv": content}, events={"columns": columns})), "events")
    assert first["event_type"] == "it's"
    assert first["value"] == 2
    assert json.loads(first["context"]) == "web"
    assert (first["session_hint"], first["text"], first["event_id"]) == ("s1", "so, good", "e1")
    assert first["loaded_at"] == datetime(2026, 1, 3, tzinfo=UTC)
    assert (second["session_hint"], second["text"], second["loaded_at"]) == (None, None, None)
    # An id that is missing in one row is made as for a log without ids.
    assert re.fullmatch("[0-9a-f]{32}", second["event_id"])


@pytest.mark.parametrize(
    ("name", "cell", "context"),
    [
        ("a.csv", '"{""k"": [1]}"', {"k": [1]}),
        ("a.csv", "plain", "plain"),
        ("a.csv", "", None),
        ("a.jsonl", '{"k": [1]}', {"k": [1]}),
        ("a.jsonl", '"plain"', "plain"),
        ("a.jsonl", "null", None),
    ],
)
def test_context_is_json_whatever_it_was(
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    rows: Callable[..., list[dict[str, Any]]],
    name: str,
    cell: str,
    context: object,
) -> None:
    content = f"who,what,at,c\na,x,2026-01-01,{cell}\n"
    if name.endswith(".jsonl"):
        content = f'{{"who": "a", "what": "x", "at": "2026-01-01", "c": {cell}}}\n'
    columns = {
        **{"user": "who", "item": "what", "event_type": {"constant": "view"}, "time": "at"},
        "context": "c",
    }
    log = write(logs({name: content}, events={"files": name, "columns": columns}))
    (event,) = rows(log, "events")
    assert (event["context"] and json.loads(event["context"])) == context


def test_names_that_need_quoting_are_only_names(
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    odd = ["w\"h'o", "wh/at~", "a;t"]
    columns = {
        **{"user": odd[0], "item": odd[1], "time": odd[2]},
        "event_type": {"constant": "view"},
    }
    values = ["a", "x", "2026-01-01"]
    text = io.StringIO()
    csv.writer(text).writerows([odd, values])
    contents = {
        "it's [1]*.csv": text.getvalue(),
        "it's ?.jsonl": json.dumps(dict(zip(odd, values, strict=True))),
    }
    log = write(logs(contents, events={"files": "it's*", "columns": columns}))
    events = rows(log, "events")
    assert [row["file_name"] for row in events] == sorted(contents)
    assert [(row["user_id"], row["item_id"]) for row in events] == [("a", "x")] * 2
    assert all(json.loads(row["raw_payload"])[odd[0]] == "a" for row in events)


def test_columns_called_like_ours_do_not_collide(
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    content = "json,place,row_number,t,time_made,user_id\nj,p,7,2026-01-01,tm,u\n"
    columns = {
        **{"user": "json", "item": "place", "time": "t"},
        **{"event_type": "row_number", "text": "time_made", "session": "user_id"},
    }
    (event,) = rows(write(logs({"a.csv": content}, events={"columns": columns})), "events")
    assert (event["user_id"], event["item_id"], event["event_type"]) == ("j", "p", "7")
    assert (event["text"], event["session_hint"], event["row_number"]) == ("tm", "u", 1)


def test_a_catalogue_keeps_items_nobody_touched(
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    folder = logs(
        {
            "a.csv": "who,what,at\na,x,2026-01-01\na,,2026-01-01\n",
            "i.jsonl": '{"id": "x", "c": ["a", " ", "b "], "y": "1999-05-01", "maker": "Acme",'
            ' "about": "Long.", "from": "2026-01-05", "to": "2026-02-01T12:00:00+02:00"}\n'
            '{"id": "z"}\n',
        },
        items={
            "files": "i.jsonl",
            "columns": {
                **{"item": "id", "brand": "maker", "categories": "c"},
                **{"description": "about", "released": "y"},
                **{"available_from": "from", "available_until": "to"},
            },
        },
    )
    told = {
        **{"brand": "Acme", "categories": ["a", "b"], "description": "Long."},
        "available_from": datetime(2026, 1, 5, tzinfo=UTC),
        "available_until": datetime(2026, 2, 1, 10, tzinfo=UTC),
    }
    untold = {
        **{"brand": None, "categories": [], "description": None},
        **{"available_from": None, "available_until": None},
    }
    assert rows(write(folder), "items") == [
        {"item_id": "x", "title": None, **told, "released_year": 1999},
        {"item_id": "z", "title": None, **untold, "released_year": None},
    ]


# --- what is an error -----------------------------------------------------------------------------


HEAD = "who,what,kind,at,worth\n"
GOOD = "a,x,view,2026-01-01,1\n"


@pytest.mark.parametrize(
    ("rows_of_csv", "parts"),
    [
        (GOOD + "a,x,view,yesterday,1\n", ["'at' (time): row 2", "'yesterday'", "2024-05-31T"]),
        ("a,x,view,1476640644,1\n", ["row 1", "'1476640644'", "set time.unit"]),
        (GOOD + "a,x,view,31/12/2025,1\n", ["row 2: found '31/12/2025'"]),
        (GOOD + "a,x,view,2026-02-30,1\n", ["row 2: found '2026-02-30'"]),
        (GOOD + GOOD + "a,x,view,2026-01-01,cheap\n", ["'worth' (value): row 3: found 'cheap'"]),
        (GOOD + 'a,x,view,2026-01-01,"1,5"\n', ["found '1,5'", "with a point"]),
        (GOOD + "a,x,view,2026-01-01,1e30\n", ["found '1e30'", "below 10^14"]),
        (",x,view,2026-01-01,1\n" * 2, ["'who' (user): found nothing in any of 2 rows"]),
        ("a,x,view,,1\n", ["'at' (time): found nothing in any of 1 rows"]),
        ("a,x,view,2026-12-01,1\n", ["'at' (time)", "from 2026-12-01", "not after now"]),
        ("", ["found no rows"]),
        (GOOD + "a,x\n", ["line 3: found 2 columns, needed 5", "cut short"]),
        (GOOD + "a,x,view,2026-01-01,1,7\n", ["line 3: found 6 columns, needed 5"]),
        (GOOD + 'a,x,"vie', ["line 3: found a quote that is not closed"]),
    ],
)
def test_a_column_that_is_not_what_the_mapping_says(
    logs: Callable[..., Path], refused: Callable[..., str], rows_of_csv: str, parts: list[str]
) -> None:
    message = refused(logs({"days/a.csv": HEAD + rows_of_csv}, events={**DAYS}))
    assert "days/a.csv" in message
    for part in parts:
        assert part in message


DAYS = {"files": "days/*", "columns": COLUMNS}


def test_a_value_is_cut_in_the_message(
    logs: Callable[..., Path], refused: Callable[..., str]
) -> None:
    message = refused(logs({"a.csv": HEAD + f"a,x,view,{'z' * 500},1\n"}, events={**DAYS} | ALL))
    assert "z" * 60 in message
    assert "z" * 61 not in message


ALL = {"files": "a.*"}


def test_one_bad_file_of_many_is_the_one_that_is_named(
    logs: Callable[..., Path], refused: Callable[..., str]
) -> None:
    contents = {f"days/{day}.csv": HEAD + GOOD for day in range(5)}
    contents["days/3.csv"] = HEAD + GOOD + "a,x,view,never,1\n"
    assert refused(logs(contents, events=DAYS)).startswith("days/3.csv: column 'at'")


def test_a_missing_column_is_named_with_the_nearest(
    logs: Callable[..., Path], refused: Callable[..., str]
) -> None:
    message = refused(logs({"days/a.csv": HEAD.replace("who", "Who ") + GOOD}, events=DAYS))
    assert "days/a.csv: there is no column 'who' (did you mean 'Who '?)" in message
    assert "Found: Who , at, kind, what, worth" in message
    assert "events.columns.user" in message


def test_a_key_that_no_row_of_json_has(
    logs: Callable[..., Path], refused: Callable[..., str]
) -> None:
    message = refused(
        logs({"days/a.jsonl": '{"who": "a"}\n{"whot": "x", "kind": "v"}\n'}, events=DAYS)
    )
    assert "days/a.jsonl: there is no column 'what' (did you mean 'whot'?)" in message


def test_a_user_that_is_a_list(logs: Callable[..., Path], refused: Callable[..., str]) -> None:
    row = '{"who": ["a"], "what": "x", "kind": "v", "at": "2026-01-01", "worth": 1}\n'
    message = refused(logs({"days/a.jsonl": row}, events=DAYS))
    assert "column 'who' (user): row 1: found '[\"a\"]'; needed text or a whole number" in message


@pytest.mark.parametrize(
    ("column", "values", "parts"),
    [
        ("at", [True], ["column 'at' (time): found the type BOOLEAN", "needed a time"]),
        ("at", [1476640644], ["found the type BIGINT", "set time.unit"]),
        ("worth", [[1.0]], ["column 'worth' (value): found the type DOUBLE[]", "a number"]),
        ("who", [7.0], ["column 'who' (user): found the type DOUBLE", "a whole number"]),
        ("kind", [datetime(2026, 1, 1)], ["(event_type): found the type TIMESTAMP"]),
    ],
)
def test_a_parquet_column_of_another_type(
    tmp_path: Path,
    logs: Callable[..., Path],
    refused: Callable[..., str],
    column: str,
    values: list[Any],
    parts: list[str],
) -> None:
    good = {"who": ["a"], "what": ["x"], "kind": ["v"], "at": ["2026-01-01"], "worth": [1]}
    folder = logs({"days/b.csv": HEAD + GOOD}, events=DAYS)
    pq.write_table(pa.table(good | {column: values}), folder / "days" / "a.parquet")
    message = refused(folder)
    assert message.startswith("days/a.parquet: ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("unit", "cell", "hint"),
    [
        ("s", "1767225600000", "has it to be 'ms'?"),
        ("ms", "1767225600000000", "has it to be 'us'?"),
        ("ms", "1767225600", "has it to be 's'?"),
        ("us", "1767225600000", "has it to be 'ms'?"),
    ],
)
def test_a_wrong_unit_is_noticed(
    logs: Callable[..., Path], refused: Callable[..., str], unit: str, cell: str, hint: str
) -> None:
    events = {**DAYS, "time": {"unit": unit}}
    message = refused(logs({"days/a.csv": HEAD + f"a,x,view,{cell},1\n"}, events=events))
    assert "column 'at' (time): found times" in message
    assert hint in message


def test_a_zone_that_is_none(logs: Callable[..., Path], refused: Callable[..., str]) -> None:
    events = {**DAYS, "time": {"zone": "Europe/Berln"}}
    message = refused(logs({"days/a.csv": HEAD + GOOD}, events=events))
    assert "events.time.zone: found 'Europe/Berln' (did you mean 'Europe/Berlin'?)" in message


@pytest.mark.parametrize(
    ("catalogue", "part"),
    [
        ("sku,name\nx,One\ny,Two\nx,Three\n", "i.csv: row 3: found item 'x' a second time"),
        ("sku,name\nx,One\n,Two\n", "i.csv: row 2: found no item id"),
        ("sku,name\n", "i.csv: found no rows"),
        ("sku,title\nx,One\n", "i.csv: there is no column 'name'. Found: sku, title"),
    ],
)
def test_a_catalogue_has_one_row_per_item(
    logs: Callable[..., Path], refused: Callable[..., str], catalogue: str, part: str
) -> None:
    items = {"files": "i.csv", "columns": {"item": "sku", "title": "name"}}
    folder = logs({"days/a.csv": HEAD + GOOD, "i.csv": catalogue}, events=DAYS, items=items)
    assert part in refused(folder)


# --- times ----------------------------------------------------------------------------------------

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=TIMES, zone=ZONES, unit=st.sampled_from(["s", "ms", "us", "iso", "naive"]))
def test_a_time_is_the_same_instant_in_every_writing(
    tmp_path_factory: pytest.TempPathFactory,
    rows: Callable[..., list[dict[str, Any]]],
    at: datetime,
    zone: str,
    unit: str,
) -> None:
    local = at.astimezone(ZoneInfo(zone))
    micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    if unit == "naive":
        # The hour that the clock strikes twice in autumn has no single meaning.
        if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
            return
        cell = local.replace(tzinfo=None).isoformat(" ")
    else:
        cell = {
            "iso": local.isoformat(),
            "s": f"{Decimal(micros) / 10**6:f}",
            "ms": f"{Decimal(micros) / 10**3:f}",
            "us": str(micros),
        }[unit]
    home = tmp_path_factory.mktemp("time")
    (home / "a.csv").write_text(f"u,i,e,t\na,x,v,{cell}\n")
    columns = {"user": "u", "item": "i", "event_type": "e", "time": "t"}
    time = {"unit": "iso" if unit == "naive" else unit, "zone": zone}
    (home / "profilestore.yaml").write_text(
        yaml.safe_dump({"events": {"files": "a.csv", "columns": columns, "time": time}})
    )
    (event,) = rows(write_raw_logs(str(home), Settings(home), now=NOW), "events")
    assert event["event_at"] == at


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=st.binary(max_size=60), name=st.sampled_from(["a.csv", "a.csv.gz", "a.jsonl"]))
def test_any_bytes_are_read_or_refused_in_plain_words(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, name: str
) -> None:
    home = tmp_path_factory.mktemp("junk")
    (home / name).write_bytes(junk)
    columns = {"user": "u", "item": "i", "event_type": "e", "time": "t"}
    (home / "profilestore.yaml").write_text(
        yaml.safe_dump({"events": {"files": name, "columns": columns}})
    )
    with pytest.raises(InputError, match=re.escape(name)):
        write_raw_logs(str(home), Settings(home), now=NOW)
    assert not (home / "data").exists()
