"""The type table: what is accepted keeps its value, and what is not is refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from feast.value_type import ValueType
from hypothesis import given
from hypothesis import strategies as st

from profilestore.codegen import read_marts, render
from profilestore.codegen.feast_types import feast_type
from profilestore.errors import InputError

# DuckDB type -> the Feast type that holds each of its values.
SCALARS = {
    "boolean": ValueType.BOOL,
    "bool": ValueType.BOOL,
    "tinyint": ValueType.INT32,
    "smallint": ValueType.INT32,
    "integer": ValueType.INT32,
    "int": ValueType.INT32,
    "utinyint": ValueType.INT32,
    "usmallint": ValueType.INT32,
    "uinteger": ValueType.INT64,
    "bigint": ValueType.INT64,
    "float": ValueType.FLOAT,
    "real": ValueType.FLOAT,
    "double": ValueType.DOUBLE,
    "varchar": ValueType.STRING,
    "text": ValueType.STRING,
    "string": ValueType.STRING,
    "blob": ValueType.BYTES,
    "decimal": ValueType.DECIMAL,
    "decimal(18,4)": ValueType.DECIMAL,
    "decimal( 38 , 10 )": ValueType.DECIMAL,
    "decimal(9)": ValueType.DECIMAL,
    "numeric(12,2)": ValueType.DECIMAL,
    "numeric": ValueType.DECIMAL,
}
BITS = {ValueType.INT32: 32, ValueType.INT64: 64}

# DuckDB type -> a word of the reason.
REFUSED = {
    "timestamp": "names no instant",
    "datetime": "names no instant",
    "timestamp_ns": "no Feast type holds it",
    "date": "no date",
    "time": "no time of day",
    "interval": "no interval",
    "hugeint": "64 bits",
    "uhugeint": "no Feast type holds it",
    "ubigint": "signed 64 bits",
    "json": "varchar",
    "uuid": "varchar",
    "bit": "no Feast type holds it",
    "struct(a integer)": "column of its own",
    "struct(a integer, b varchar[])": "column of its own",
    "row(a integer)": "column of its own",
    "map(varchar, integer)": "column of its own",
    "union(a integer, b varchar)": "column of its own",
    "enum('a', 'b')": "no Feast type holds it",
    "timestamp with time zone": "to the second",
    "timestamptz": "to the second",
    "nonsense": "no Feast type holds it",
    "decimal(18,4)x": "no Feast type holds it",
    "": "no Feast type holds it",
}
REFUSED_ARRAYS = {
    "varchar[][]": "arrays of arrays",
    "bigint[3][2]": "arrays of arrays",
    "timestamptz[]": "epoch_us",
    "timestamp with time zone[]": "epoch_us",
    "struct(a integer)[]": "column of its own",
    "date[]": "no date",
    "hugeint[3]": "64 bits",
}


def test_the_rendered_module_has_every_accepted_type(
    column: Callable[..., Any],
    model: Callable[..., Any],
    write_manifest: Callable[..., Any],
    imported: Callable[[str], Any],
) -> None:
    wanted: dict[str, ValueType] = {"seen_at": ValueType.UNIX_TIMESTAMP}
    columns = [column("seen_at", "Timestamp  With Time Zone", unit="seconds")]
    for position, (kind, value_type) in enumerate(SCALARS.items()):
        for suffix, item in (("", ""), ("_list", "[]"), ("_upper_array", "[3]")):
            name = f"column_{position}{suffix}"
            columns.append(column(name, (kind.upper() if item == "[3]" else kind) + item))
            wanted[name] = ValueType[f"{value_type.name}_LIST"] if item else value_type
    module = imported(render(read_marts(write_manifest(model(*columns)))))
    found = {field.name: field.dtype.to_value_type() for field in module.user_clicks.features}
    assert found == wanted


@pytest.mark.parametrize("kind", [kind for kind in SCALARS if "(" not in kind])
def test_duckdb_knows_the_accepted_types(kind: str) -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SELECT NULL::{kind}, NULL::{kind}[], NULL::{kind}[3]")


@pytest.mark.parametrize(("kind", "value_type"), [(k, v) for k, v in SCALARS.items() if v in BITS])
def test_every_integer_fits(kind: str, value_type: ValueType) -> None:
    """By DuckDB's own word: its largest and smallest value lie within Feast's bits."""
    with duckdb.connect(":memory:") as connection:
        limit = 2 ** (BITS[value_type] - 1)
        for beyond in (limit, -limit - 1):
            cast = connection.execute(f"SELECT try_cast({beyond}::hugeint AS {kind})").fetchone()
            assert cast == (None,)


@pytest.mark.parametrize(("kind", "reason"), [*REFUSED.items(), *REFUSED_ARRAYS.items()])
def test_a_refusal_names_model_column_type_and_reason(kind: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        feast_type("user_clicks", "odd_one", kind)
    message = str(caught.value)
    assert message.startswith(f"model user_clicks, column odd_one: type {kind} cannot be a feature")
    assert reason in message.split(": ", 2)[2]
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("unit", [None, "", "second", "microseconds", "Seconds"])
def test_a_timestamp_that_feast_would_cut_is_refused(unit: str | None) -> None:
    with pytest.raises(InputError, match=r"date_trunc\('second', \.\.\.\) and declare `unit: sec"):
        feast_type("m", "c", "timestamp with time zone", unit)


def test_a_refusal_reaches_whoever_renders(
    column: Callable[..., Any], model: Callable[..., Any], write_manifest: Callable[..., Any]
) -> None:
    marts = read_marts(write_manifest(model(column("fine"), column("odd", "map(varchar, int)"))))
    with pytest.raises(InputError, match=re.escape("column odd: type map(varchar, int)")):
        render(marts)


@given(st.text(max_size=20))
def test_nothing_but_the_table_is_accepted(kind: str) -> None:
    """Whatever is spelled, it is a type of the table (or an array of one) or it is refused."""
    try:
        feast_type("m", "c", kind)
    except InputError:
        return
    spelled = re.sub(r"\s*\[\d*\]$", "", " ".join(kind.lower().split()))
    assert re.sub(r"\(.*\)", "", spelled) in SCALARS
