"""From the owner's values to ours: for each of our types, the SQL and what it cannot read.

The line between data and an input error is drawn here, once:

- A value that is *missing* (null, an empty text, a NaN in a number) is data. It stays null and the
  warehouse decides.
- A value that is *strange* (a time in 2090, a rating of 900) is data. It is written as it is.
- A value that *cannot be read* as the type of its column (a time `yesterday`, an amount `cheap`)
  says that the column is not what the mapping claims. That is an input error, and nothing is
  written, because half a log with the other half null would look like a log.
"""

from __future__ import annotations

from dataclasses import dataclass

from profilestore.sources.log_file import literal

_WHOLE = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
}
# A little less than the 290,000 years on either side of 1970 that a TIMESTAMPTZ holds.
_MOST_MICROS = 9 * 10**18
# Decimals of each unit that make a whole number of microseconds.
_DECIMALS = {"s": 6, "ms": 3, "us": 0}

# A date, perhaps a time of day, perhaps an offset; DuckDB alone would drop an offset in silence.
_ISO = (
    r"^\s*(\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?)"
    r"\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?\s*$"
)


@dataclass(frozen=True)
class Conversion:
    """How one cell becomes one of our values.

    Attributes:
        sql: the converted value; null when the cell is missing or cannot be read.
        present: a condition: the cell is not missing. Where it holds and `sql` is null, the value
            cannot be read.
        needed: what has to stand there, for people.
        fits: whether the column's type can be converted at all.
    """

    sql: str
    present: str
    needed: str
    fits: bool = True


def text(cell: str, kind: str, *, nested: str) -> Conversion:
    """VARCHAR. Numbers must be whole: as text, 7.0 and 7 would be two people.

    `nested` is a condition: the cell is a JSON object or array, which is no text.
    """
    filled = f"nullif({cell}::varchar, '')"
    fits = kind in {"VARCHAR", "UUID", *_WHOLE} or kind.startswith("ENUM")
    return Conversion(
        f"if({nested}, NULL, {filled})", f"{filled} IS NOT NULL", "text or a whole number", fits
    )


def amount(cell: str, kind: str) -> Conversion:
    """DECIMAL(18,4), rounded to the nearest."""
    fits = kind in {"VARCHAR", "FLOAT", "DOUBLE", *_WHOLE} or kind.startswith("DECIMAL")
    return Conversion(
        f"try_cast({cell} AS decimal(18, 4))",
        _number_present(cell),
        "a number below 10^14, with a point before its decimals",
        fits,
    )


def time(cell: str, kind: str, *, unit: str, zone: str) -> Conversion:
    """TIMESTAMPTZ.

    `zone` is used for times that do not say theirs; numbers count from 1970-01-01 UTC.
    """
    if unit != "iso":
        fits = kind in {"VARCHAR", "FLOAT", "DOUBLE", *_WHOLE} or kind.startswith("DECIMAL")
        scale = _DECIMALS[unit]
        factor = 10**scale
        # Exact up to the year 33658. Beyond it the value is nonsense, but it must not stop the
        # query; and decimal(38), which would hold it, is parsed 50 times more slowly.
        exact = f"(try_cast({cell} AS decimal(18, {scale}))::decimal(38, {scale}) * {factor})"
        rough = f"round(try_cast({cell} AS double) * {factor})"
        return Conversion(
            f"coalesce(make_timestamptz({exact}::bigint), "
            f"if(abs({rough}) < {_MOST_MICROS}, make_timestamptz({rough}::bigint), NULL))",
            _number_present(cell),
            f"a number ({unit} since 1970-01-01 UTC, as time.unit says)",
            fits,
        )
    needed = "a time such as 2024-05-31T18:30:00+02:00 (or set time.unit for numbers)"
    if kind == "VARCHAR":
        parts = f"regexp_extract({cell}, {literal(_ISO)}, ['stamp', 'zone'])"
        stamp = f"try_cast(nullif({parts}.stamp, '') AS timestamp)"
        offset = f"replace(replace(upper({parts}.zone), 'UTC', '+00'), 'Z', '+00')"
        sql = (
            f"if({parts}.zone = '', timezone({literal(zone)}, {stamp}), "
            f"try_cast(strftime({stamp}, '%Y-%m-%d %H:%M:%S.%f') || {offset} AS timestamptz))"
        )
        return Conversion(sql, f"nullif({cell}, '') IS NOT NULL", needed)
    aware = kind == "TIMESTAMP WITH TIME ZONE"
    value = f"({cell})" if aware else f"timezone({literal(zone)}, ({cell})::timestamp)"
    return Conversion(
        f"if(isfinite({value}), {value}, NULL)",
        f"{cell} IS NOT NULL",
        needed,
        aware or kind == "DATE" or kind.startswith("TIMESTAMP"),
    )


def year(cell: str, kind: str) -> Conversion:
    """INTEGER: a year, or the year of a date."""
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return Conversion(f"year({cell})::integer", f"{cell} IS NOT NULL", "a year")
    sql = f"try_cast({cell} AS integer)"
    if kind == "VARCHAR":
        sql = f"coalesce({sql}, year(try_cast({cell} AS date))::integer)"
    fits = kind in {"VARCHAR", "FLOAT", "DOUBLE", *_WHOLE}
    return Conversion(sql, _number_present(cell), "a year such as 1999, or a date", fits)


def several(cell: str, kind: str, *, separator: str | None, json: bool) -> Conversion:
    """VARCHAR[]: trimmed, without empty ones; an empty list when the cell is missing."""
    split = f"string_split({cell}, {literal(separator)})" if separator else f"[{cell}]"
    if kind.endswith("[]"):
        parts = f"({cell})::varchar[]"
    elif json:
        array = f"json_type(try_cast({cell} AS json)) = 'ARRAY'"
        parts = f"if({array}, from_json({cell}, '[\"VARCHAR\"]'), {split})"
    else:
        parts = split
    trimmed = f"list_transform({parts}, lambda one: trim(one))"
    return Conversion(
        f"coalesce(list_filter({trimmed}, lambda one: one <> ''), [])",
        f"{cell} IS NOT NULL",
        "text, or a list of texts",
        kind == "VARCHAR" or kind.startswith("ENUM") or kind == "VARCHAR[]",
    )


def _number_present(cell: str) -> str:
    # pandas writes a missing number as NaN, in each of the three kinds of file.
    return f"coalesce(lower(trim({cell}::varchar)), '') NOT IN ('', 'nan')"
