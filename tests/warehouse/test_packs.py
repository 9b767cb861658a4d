"""Published data sets, in small made-up files of the same form: each row's verdict and meaning.

All packs are built at once, which is as good as one by one and takes a fifth of the time.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from profilestore import lake
from profilestore.privacy.pseudonyms import pseudonym
from profilestore.settings import Settings
from profilestore.sources import RawLog, write_raw_logs
from profilestore.sources.published import PUBLICATIONS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PHRASE = "zebra-quilt phrase of a test's deployment"
RAW = "RawId41c7"  # stands nowhere else

# pack -> file -> header and rows; each row with its verdict, None for an accepted one.
FILES: dict[str, dict[str, tuple[str, list[tuple[str, str | None]]]]] = {
    "tafeng": {
        "ta_feng_all_months_merged.csv": (
            "TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PIN_CODE,PRODUCT_SUBCLASS,PRODUCT_ID,AMOUNT,"
            "ASSET,SALES_PRICE",
            [
                (f"11/1/2000,{RAW}a,45-49,115,110411,p1,2,24,30", None),
                (f"11/3/2000,{RAW}a,45-49,115,110411,p1,1,12,15", None),
                (f"11/7/2000,{RAW}a,45-49,221,120107,p2,1,48,46", None),
                (f"11/7/2000,{RAW}a,45-49,221,120107,p2,1,48,46", "duplicate_event_id"),
                (f"11/7/2000,{RAW}b,,Unknown,120107,p2,1,48,46", None),
                ("11/7/2000,,45-49,115,120107,p2,1,48,46", "missing_user"),
                (f"11/7/2000,{RAW}b,,115,120107,,1,48,46", "missing_item"),
                (f"2000-11-07,{RAW}b,,115,120107,p2,1,48,46", "missing_time"),
                (f"11/8/2000,{RAW}b,,Unknown,120107,p2,0,48,46", "impossible_value"),
                (f"11/9/2000,{RAW}b,,Unknown,120107,p2,1,48,-46", "impossible_value"),
            ],
        )
    },
    "online_retail": {
        "Online Retail.csv": (
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
            [
                (f'1,85123A,"A LIGHT, WHITE",6,12/1/2010 8:26,2.55,{RAW}c.0,France', None),
                (f"1,85123a,A LIGHT,1,12/1/2010 8:26,2.55,{RAW}c,France", None),
                (f"1,85123a,A LIGHT,1,12/1/2010 8:26,2.55,{RAW}c,France", "duplicate_event_id"),
                (f"C2,85123A,A LIGHT,-6,2011-07-01 09:41:00,2.55,{RAW}c,Spain", None),
                (f"3,POST,POSTAGE,1,7/1/2011 9:41,18,{RAW}c,Spain", "service_code"),
                (f"C4,M,Manual,-1,7/1/2011 9:41,18,{RAW}c,Spain", "service_code"),
                ("A5,B,Adjust bad debt,1,7/1/2011 9:41,-11062.06,,Spain", "negative_price"),
                (f"6,22423,damaged,1,7/1/2011 9:41,-1,{RAW}c,Spain", "negative_price"),
                ("7,22423,STAND,1,7/1/2011 9:41,4,,Spain", "missing_user"),
                (f"8,22423,STAND,-4,7/1/2011 9:42,0,{RAW}c,Spain", "impossible_value"),
                (f"9,22423,STAND,4,13/13/2011 9:41,1,{RAW}c,Spain", "missing_time"),
                (f"10,,,4,7/1/2011 9:41,1,{RAW}c,Spain", "missing_item"),
            ],
        )
    },
    "retailrocket": {
        "events.csv": (
            "timestamp,visitorid,event,itemid,transactionid",
            [
                (f"1433221332117,{RAW}d,view,355908,", None),
                (f"1433221932117,{RAW}d,addtocart,355908,", None),
                (f"1433222932117,{RAW}d,transaction,355908,4000", None),
                (f"1433222932117,{RAW}d,transaction,355908,4000", "duplicate_event_id"),
                (f"1433223932117,{RAW}d,wink,355908,", "missing_event_type"),
                (f",{RAW}d,view,355908,", "missing_time"),
                ("1433223932117,,view,355908,", "missing_user"),
            ],
        )
    },
    "globo": {
        f"clicks/clicks_hour_{hour:03d}.csv": (
            "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,"
            "click_environment,click_deviceGroup,click_os,click_country,click_region,"
            "click_referrer_type",
            rows,
        )
        for hour, rows in enumerate(
            [
                [
                    (f"{RAW}e,15,1506825423000,2,119592,1506826828020,4,3,20,1,20,2", None),
                    (f"{RAW}e,15,1506825423000,2,30970,1506826858020,4,3,20,1,20,2", None),
                    (
                        f"{RAW}e,15,1506825423000,2,30970,1506826858020,4,3,20,1,20,2",
                        "duplicate_event_id",
                    ),
                ],
                [
                    (f"{RAW}f,16,1506825423000,1,119592,1510603454886,4,3,20,1,20,2", None),
                    (f"{RAW}f,16,1506825423000,1,119592,,4,3,20,1,20,2", "missing_time"),
                    (f"{RAW}f,17,1506825423000,1,119592,0,4,3,20,1,20,2", "time_too_early"),
                ],
            ]
        )
    },
    "oulad": {
        "studentAssessment.csv.gz": (
            "id_assessment,id_student,date_submitted,is_banked,score",
            [
                (f"1752,{RAW}g,18,0,78", None),
                (f"1753,{RAW}g,60,0,", None),
                (f"1752,{RAW}h,-1,1,61", "banked_result"),
                # An assessment that is not listed has no course, and no date.
                (f"9999,{RAW}h,3,0,61", "missing_item"),
            ],
        ),
        "studentRegistration.csv.gz": (
            "code_module,code_presentation,id_student,date_registration,date_unregistration",
            [
                (f"AAA,2013J,{RAW}g,-159.0,", None),
                (f"AAA,2014B,{RAW}g,-3,12", None),
                (f"AAA,2013J,{RAW}h,,", "missing_time"),
            ],
        ),
        "studentInfo.csv.gz": (
            "code_module,code_presentation,id_student,gender,region,age_band,disability",
            [
                (f"AAA,2013J,{RAW}g,M,Scotland,0-35,Y", None),
                (f"AAA,2014B,{RAW}g,M,Scotland,35-55,Y", None),
                (f"AAA,2013J,{RAW}h,F,Wales,0-35,N", None),
            ],
        ),
        "assessments.csv.gz": (
            "code_module,code_presentation,id_assessment,assessment_type,date,weight",
            [("AAA,2013J,1752,TMA,19,10", None), ("AAA,2013J,1753,Exam,,100", None)],
        ),
    },
}
NO_EVENTS = {"studentInfo.csv.gz", "assessments.csv.gz"}


def expected() -> dict[tuple[str, str, int], str | None]:
    """Pack, file and row of each event -> its verdict."""
    verdicts = {
        (pack, file, row): verdict
        for pack, files in FILES.items()
        for file, (_, rows) in files.items()
        if file not in NO_EVENTS
        for row, (_, verdict) in enumerate(rows, start=1)
    }
    # Who left a course has a second event in the same row.
    return verdicts | {("oulad", "studentRegistration.csv.gz#date_unregistration", 2): None}


@dataclass(frozen=True)
class Built:
    settings: Settings
    logs: dict[str, RawLog]
    connection: duckdb.DuckDBPyConnection
    build_in: Any

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def at(self, pack: str, *moment: int) -> datetime:
        """A moment of the pack's log (UTC), by our clock."""
        return self.logs[pack].clock.from_log(datetime(*moment, tzinfo=UTC))  # type: ignore[misc]


def who(letter: str) -> str:
    return pseudonym(f"{RAW}{letter}", PHRASE.encode())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, build_in: Any, home_in: Any) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("packs")
    settings = home_in(folder)
    for pack, files in FILES.items():
        for name, (header, rows) in files.items():
            path = folder / pack / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(f"{line}\n" for line in (header, *(row for row, _ in rows))).encode()
            path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    written = {pack: write_raw_logs(str(folder / pack), settings, now=NOW) for pack in FILES}
    active = settings.raw / "active.json"
    active.write_text(json.dumps(json.loads(active.read_text()) | {"packs": list(FILES)}))
    done = build_in(settings)
    assert done.returncode == 0, done.stderr
    with lake.connect() as connection:
        lake.attach_lake(connection, settings.lake_catalog, settings.lake_files)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("USE lake")
        yield Built(settings, written, connection, build_in)


def test_every_pack_is_there() -> None:
    assert FILES.keys() == PUBLICATIONS.keys()


def test_each_row_has_its_verdict(built: Built) -> None:
    found = built.rows("SELECT source, raw_file, raw_row, rejected_because FROM int_events_checked")
    assert {row[:3]: row[3] for row in found} == expected()
    assert len(found) == len(expected())


def test_raw_is_accepted_plus_quarantined(built: Built) -> None:
    wanted: dict[tuple[str, str], list[int]] = {}
    for (pack, file, _), verdict in expected().items():
        counts = wanted.setdefault((pack, file), [0, 0, 0])
        counts[0] += 1
        counts[1 if verdict is None else 2] += 1
    found = built.rows(
        "SELECT source, raw_file, raw_rows, accepted_rows, quarantined_rows "
        "FROM event_reconciliation"
    )
    assert {row[:2]: list(row[2:]) for row in found} == wanted


def test_a_rejected_row_keeps_what_it_said(built: Built) -> None:
    found = {
        row[:3]: json.loads(row[3])
        for row in built.rows(
            "SELECT source, raw_file, raw_row, raw_payload FROM quarantined_events"
        )
    }
    assert len(found) == sum(verdict is not None for verdict in expected().values())
    assert found["online_retail", "Online Retail.csv", 5] == {
        **{"invoice_no": "3", "stock_code": "POST", "description": "POSTAGE", "quantity": "1"},
        **{"invoice_date": "7/1/2011 9:41", "unit_price": "18", "country": "Spain"},
    }
    assert found["tafeng", "ta_feng_all_months_merged.csv", 10]["sales_price"] == "-46"
    assert found["oulad", "studentAssessment.csv.gz", 3]["is_banked"] == "1"


def test_raw_ids_stop_in_staging(built: Built) -> None:
    tables = [
        name
        for (name,) in built.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake'"
        )
    ]
    assert len(tables) > 10
    for table in tables:
        held = f"SELECT count(*) FROM {table} AS one WHERE one::varchar LIKE '%{RAW}%'"
        assert built.rows(held) == [(0,)], table


def test_what_an_event_says(built: Built) -> None:
    found = {
        row[:3]: row[3:]
        for row in built.rows(
            "SELECT source, raw_file, raw_row, user_id, item_id, event_type, event_timestamp, "
            "loaded_at, value, session_hint FROM int_events_checked WHERE rejected_because IS NULL"
        )
    }

    def said(pack: str, file: str, row: int) -> tuple[Any, ...]:
        user, item, kind, at, known, value, session = found[pack, file, row]
        assert known == at
        return user, item, kind, at, None if value is None else float(value), session

    a, c, d, e, g = (who(letter) for letter in "acdeg")
    tafeng, shop = "ta_feng_all_months_merged.csv", "Online Retail.csv"
    # The price is of the line, not of a piece; 1 TWD is 0.031 USD.
    assert said("tafeng", tafeng, 1) == (
        *(a, "p1", "purchase", built.at("tafeng", 2000, 11, 1), 0.93, f"11/1/2000:{a}"),
    )
    # Of a piece; 1 GBP is 1.27 USD. 17850.0 and 17850 are one customer, 85123a is 85123A.
    winter = built.at("online_retail", 2010, 12, 1, 8, 26)
    assert said("online_retail", shop, 1) == (c, "85123A", "purchase", winter, 19.431, "1")
    assert said("online_retail", shop, 2) == (c, "85123A", "purchase", winter, 3.2385, "1")
    summer = built.at("online_retail", 2011, 7, 1, 8, 41)
    assert said("online_retail", shop, 4) == (c, "85123A", "cancellation", summer, None, "C2")
    moment = built.at("retailrocket", 2015, 6, 2, 5, 2, 12, 117000)
    assert said("retailrocket", "events.csv", 1) == (
        *(d, "355908", "page_view", moment, None, None),
    )
    kinds = [found["retailrocket", "events.csv", row][2] for row in (1, 2, 3)]
    assert kinds == ["page_view", "add_to_cart", "purchase"]
    clicked = built.at("globo", 2017, 10, 1, 3, 0, 28, 20000)
    assert said("globo", "clicks/clicks_hour_000.csv", 1) == (
        *(e, "119592", "click", clicked, None, "15"),
    )
    start = built.at("oulad", 2013, 10, 1)
    assert said("oulad", "studentAssessment.csv.gz", 1) == (
        *(g, "AAA/2013J/1752", "submission", start + timedelta(days=18), 78.0, None),
    )
    assert said("oulad", "studentRegistration.csv.gz", 1) == (
        *(g, "AAA/2013J", "registration", start - timedelta(days=159), None, None),
    )
    left = built.at("oulad", 2014, 2, 1) + timedelta(days=12)
    assert said("oulad", "studentRegistration.csv.gz#date_unregistration", 2) == (
        *(g, "AAA/2014B", "unregistration", left, None, None),
    )


def test_the_clock_and_staging_read_the_same_times(built: Built) -> None:
    """The one before dbt runs, the other within it."""
    for pack, log in built.logs.items():
        [(first, last)] = built.rows(
            "SELECT min(event_timestamp), max(event_timestamp) FROM int_events_checked "
            f"WHERE source = '{pack}'"
        )
        clock = log.clock
        assert last == clock.from_log(clock.last_event_at), pack
        assert first == clock.from_log(clock.first_event_at), pack
        assert timedelta() <= NOW - last < timedelta(days=7), pack


def test_the_catalogues(built: Built) -> None:
    found = {
        item: rest
        for item, *rest in built.rows(
            "SELECT item_id, title, categories, release_year FROM int_items"
        )
    }
    assert found["p1"] == [None, ["110411"], None]
    # What it is called most often; what a stock clerk noted is no name.
    assert found["85123A"] == ["A LIGHT", [], None]
    assert found["22423"][0] == "STAND"
    assert found["355908"] == [None, [], None]
    assert found["AAA/2013J"] == ["AAA 2013J", ["AAA", "course"], 2013]
    assert found["AAA/2013J/1753"] == ["AAA 2013J Exam 1753", ["AAA", "Exam"], 2013]


def test_who_people_are_from_when_it_is_known(built: Built) -> None:
    found = built.rows(
        "SELECT user_id, event_timestamp, age_band, region, source, first_seen_at, loaded_at "
        "FROM user_attributes ORDER BY user_id, event_timestamp"
    )
    assert all(row[6] <= row[1] for row in found)
    people: dict[str, list[tuple[Any, ...]]] = {}
    for user, *rest in found:
        people.setdefault(user, []).append(tuple(rest[:4]))
    day = built.at("tafeng", 2000, 11, 1)
    assert people[who("a")] == [
        (day, "45-49", "115", "tafeng"),
        (day + timedelta(days=6), "45-49", "221", "tafeng"),
    ]
    # `Unknown` is no area.
    assert {row[1:] for row in people[who("b")]} >= {(None, None, "tafeng")}
    assert [row[1:] for row in people[who("c")]] == [
        (None, "France", "online_retail"),
        (None, "Spain", "online_retail"),
    ]
    # Of whom no source says anything: that they are there, since when.
    assert people[who("e")] == [(built.at("globo", 2017, 10, 1, 3, 0, 28, 20000), None, None, None)]
    registered = built.at("oulad", 2013, 10, 1) - timedelta(days=159)
    again = built.at("oulad", 2014, 2, 1) - timedelta(days=3)
    assert people[who("g")] == [
        (registered, "0-35", "Scotland", "oulad"),
        (again, "35-55", "Scotland", "oulad"),
    ]
    assert {row[5] for row in found if row[0] == who("g")} == {registered}


def test_gender_and_disability_are_not_even_landed(built: Built) -> None:
    for path in built.settings.raw.rglob("*.parquet"):
        names = {name for name, *_ in built.rows(f"DESCRIBE FROM read_parquet('{path}')")}
        assert not names & {"gender", "disability", "ASSET", "asset"}, path


def test_built_again_it_is_the_same(built: Built) -> None:
    query = "SELECT * FROM {} ORDER BY ALL"
    tables = ["int_events_checked", "quarantined_events", "event_reconciliation", "user_attributes"]
    before = {table: built.rows(query.format(table)) for table in tables}
    done = built.build_in(built.settings)
    assert done.returncode == 0, done.stderr
    assert {table: built.rows(query.format(table)) for table in tables} == before
    assert Counter(row[0] for row in before["user_attributes"])


def test_the_carrier_of_ta_feng_has_the_form_of_the_file() -> None:
    """So that what is tested on made-up rows holds for those in the package."""
    from profilestore.sources.tafeng import CARRIED

    with zipfile.ZipFile(CARRIED.path()) as packed, packed.open(packed.namelist()[0]) as file:
        header = file.readline().decode("utf-8-sig").replace('"', "").strip()
    assert header == FILES["tafeng"]["ta_feng_all_months_merged.csv"][0]
