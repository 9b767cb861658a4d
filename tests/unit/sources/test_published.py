"""Published data sets are known by their files; each row lands as the text that it was, once."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from profilestore.errors import InputError
from profilestore.settings import Settings
from profilestore.sources import RawLog, active_log, write_raw_logs
from profilestore.sources.published import PUBLICATIONS, published_in

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

RETAIL = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    '1,85123A,"A LIGHT, WHITE",6,12/1/2010 8:26,2.55,17850,United Kingdom\n'
    "C2,D,Discount,-1,7/1/2011 9:41,27.5,,United Kingdom\n"
)
KAGGLE = (
    "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
    "1433224214164,992329,transaction,248676,4000\n"
)
SUBSET = "user_id,item_id,event_type,ts,split\n0,3,view,1433221969,train\n0,9,buy,,test\n"
CLICKS = (
    "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,"
    "click_environment,click_deviceGroup,click_os,click_country,click_region,click_referrer_type\n"
)
STUDENTS = {
    "studentAssessment.csv.gz": (
        "id_assessment,id_student,date_submitted,is_banked,score\n1752,11391,18,0,78\n"
    ),
    "studentRegistration.csv.gz": (
        "code_module,code_presentation,id_student,date_registration\nAAA,2013J,11391,-159.0\n"
    ),
    "studentInfo.csv.gz": (
        "code_module,code_presentation,id_student,gender,region,age_band,disability\n"
        "AAA,2013J,11391,M,Scotland,55<=,Y\n"
    ),
    "assessments.csv.gz": (
        "code_module,code_presentation,id_assessment,assessment_type,date,weight\n"
        "AAA,2013J,1752,TMA,19,10\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = text.encode()
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return tmp_path / "set"

    return make


def parquet(path: Path, query: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY ({query}) TO '{path}'")


@pytest.mark.parametrize(
    ("pack", "files"),
    [
        ("online_retail", {"OnlineRetail.csv": RETAIL}),
        ("retailrocket", {"events.csv": KAGGLE}),
        ("retailrocket", {"events.csv": SUBSET}),
        ("globo", {f"clicks/clicks_hour_00{n}.csv": CLICKS for n in range(3)}),
        ("oulad", STUDENTS),
        (
            "tafeng",
            {
                "ta_feng_all_months_merged.csv": "TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PIN_CODE,"
                "PRODUCT_SUBCLASS,PRODUCT_ID,AMOUNT,ASSET,SALES_PRICE\n"
            },
        ),
        # Somebody's own.
        (None, {"events.csv": "who,what,at\n"}),
        (None, {"clicks.csv": "user,page\n"}),
        (None, {"notes.txt": "events\n"}),
    ],
)
def test_a_data_set_is_known_by_its_files(
    folder: Any, pack: str | None, files: dict[str, str]
) -> None:
    assert published_in(folder(files)) == pack


def test_two_data_sets_in_one_folder_are_refused(folder: Any) -> None:
    both = folder({"OnlineRetail.csv": RETAIL, "events.csv": KAGGLE})
    with pytest.raises(InputError, match="online_retail and retailrocket; needed those of one"):
        published_in(both)


def test_a_row_lands_as_the_text_that_it_was(
    folder: Any, home: Settings, write: Callable[..., RawLog], rows: Any
) -> None:
    log = write(folder({"OnlineRetail.csv": RETAIL}))
    assert (log.source_pack, log.packs, log.rows) == (
        *("online_retail", ("online_retail",)),
        {"invoice_lines": 2},
    )
    assert rows(log, "invoice_lines") == [
        {
            **{"invoice_no": "1", "stock_code": "85123A", "description": "A LIGHT, WHITE"},
            **{"quantity": "6", "invoice_date": "12/1/2010 8:26", "unit_price": "2.55"},
            **{"customer_id": "17850", "country": "United Kingdom"},
            **{"raw_file": "OnlineRetail.csv", "raw_row": 1},
        },
        {
            **{"invoice_no": "C2", "stock_code": "D", "description": "Discount"},
            **{"quantity": "-1", "invoice_date": "7/1/2011 9:41", "unit_price": "27.5"},
            **{"customer_id": None, "country": "United Kingdom"},
            **{"raw_file": "OnlineRetail.csv", "raw_row": 2},
        },
    ]
    # In winter and in summer of London, in UTC.
    assert log.clock.first_event_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert log.clock.last_event_at == datetime(2011, 7, 1, 8, 41, tzinfo=UTC)
    # Whole weeks, up to the one before now.
    moved = log.clock.from_log(log.clock.last_event_at)
    assert (NOW - moved).days < 7
    assert log.clock.shift_seconds % (7 * 24 * 3600) == 0
    active = active_log(home)
    assert active is not None
    assert active.packs == ("online_retail",)


def test_parquet_and_csv_land_alike(
    tmp_path: Path, folder: Any, write: Callable[..., RawLog], rows: Any
) -> None:
    as_csv = rows(write(folder({"events.csv": SUBSET})), "visits")
    parquet(
        tmp_path / "other" / "events.parquet",
        "SELECT * FROM (VALUES (0, 3, 'view', 1433221969, 'train'), (0, 9, 'buy', NULL, 'test')) "
        "AS t(user_id, item_id, event_type, ts, split)",
    )
    as_parquet = rows(write(tmp_path / "other"), "visits")
    assert [row | {"raw_file": ""} for row in as_parquet] == [
        row | {"raw_file": ""} for row in as_csv
    ]


@pytest.mark.parametrize("text", [KAGGLE, SUBSET])
def test_both_editions_of_retailrocket_are_read_in_their_unit(
    folder: Any, write: Callable[..., RawLog], text: str
) -> None:
    first = write(folder({"events.csv": text})).clock.first_event_at
    assert f"{first:%Y-%m-%d %H}" == "2015-06-02 05"


def test_rows_of_many_files_keep_their_place(
    folder: Any, write: Callable[..., RawLog], rows: Any
) -> None:
    hour = CLICKS + "0,15,1506825423000,2,119592,{},4,3,20,1,20,2\n"
    files = {f"clicks/clicks_hour_{n:03d}.csv": hour.format(1506825423271 + n) for n in (0, 1, 10)}
    log = write(folder(files))
    assert [
        (row["raw_file"], row["raw_row"], row["clicked_at"]) for row in rows(log, "clicks")
    ] == [
        (name, 1, str(1506825423271 + n)) for name, n in zip(sorted(files), (0, 1, 10), strict=True)
    ]


def test_what_is_not_read_is_not_landed(
    folder: Any, write: Callable[..., RawLog], rows: Any
) -> None:
    log = write(folder(STUDENTS))
    assert log.rows == {"submissions": 1, "registrations": 1, "students": 1, "assessments": 1}
    [student] = rows(log, "students")
    assert student.keys() == {
        *("code_module", "code_presentation", "id_student", "region", "age_band"),
        *("raw_file", "raw_row"),
    }
    [registration] = rows(log, "registrations")
    assert registration["date_unregistration"] is None
    # The first of October and 18 days.
    assert log.clock.last_event_at == datetime(2013, 10, 19, tzinfo=UTC)


def test_again_it_is_the_same(folder: Any, write: Callable[..., RawLog], snapshot: Any) -> None:
    folder = folder({"OnlineRetail.csv": RETAIL})
    first = write(folder)
    before = snapshot(first.folder)
    again = write(folder, now=datetime(2027, 6, 1, tzinfo=UTC))
    assert again.clock == first.clock
    assert snapshot(first.folder) == before


def test_a_time_in_the_future_does_not_move_the_clock(
    folder: Any, write: Callable[..., RawLog]
) -> None:
    late = "3,1,X,1,12/1/2090 8:26,1,1,France\n"
    clock = write(folder({"OnlineRetail.csv": RETAIL + late})).clock
    assert clock.last_event_at == datetime(2011, 7, 1, 8, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"OnlineRetail.csv": RETAIL.replace("UnitPrice", "Unit_Price")},
            r"OnlineRetail.csv: there is no column 'UnitPrice' \(did you mean 'Unit_Price'\?\)",
        ),
        ({"OnlineRetail.csv": ""}, "found an empty file"),
        ({"online_retail.parquet": "no parquet"}, "no whole Parquet file"),
        ({"OnlineRetail.csv": RETAIL + "4,5\n"}, "OnlineRetail.csv: line 4: found 2 columns"),
        (
            {"OnlineRetail.csv": RETAIL.splitlines()[0] + "\n"},
            "OnlineRetail.csv: found no event with a time",
        ),
        (
            {name: text for name, text in STUDENTS.items() if "Info" not in name},
            r"found studentAssessment.csv.gz and no studentInfo.csv \(or",
        ),
        (
            {"events.csv": KAGGLE, "OnlineRetail.csv": RETAIL},
            "needed those of one data set",
        ),
    ],
)
def test_a_wrong_folder_is_refused(folder: Any, refused: Any, files: Any, said: str) -> None:
    assert re.search(said, refused(folder(files)))


def test_a_cut_file_is_refused(tmp_path: Path, folder: Any, refused: Any) -> None:
    where = folder(STUDENTS)
    cut = where / "studentAssessment.csv.gz"
    cut.write_bytes(cut.read_bytes()[:-6])
    assert "cut short or damaged" in refused(where)


def test_every_pack_has_its_staging() -> None:
    staging = Path(__file__).resolve().parents[3] / "dbt_project" / "models" / "staging"
    for pack, publication in PUBLICATIONS.items():
        assert (staging / pack / f"stg_{pack}__events.sql").exists()
        text = (staging / pack / f"_{pack}__sources.yml").read_text()
        for table in publication.tables:
            assert f"- name: {table.name}\n" in text


def test_a_mapping_beside_it_goes_first(tmp_path: Path, folder: Any, home: Settings) -> None:
    where = folder({"events.csv": KAGGLE})
    (where / "profilestore.yaml").write_text(
        "events:\n  files: events.csv\n  columns: {user: visitorid, item: itemid, "
        "event_type: event, time: timestamp}\n  time: {unit: ms}\n"
    )
    assert write_raw_logs(str(where), home, now=NOW).source_pack == "files"
