{# What staging reads of lines that `make logs` landed (raw_file, raw_row, header, line). #}

{# Landed lines of JSON that this build reads: each with its `fields`, see `json_fields`. #}
{% macro json_lines(table, names, log='logs') -%}
select
    raw_file,
    raw_row,
    {{ json_fields('line', names) }} as fields
from {{ landed(table, log) }}
{%- endmacro %}

{# Landed lines of CSV: each with its `cells` and their `names`, for `csv_cell`. Those that this build
   reads, or all there ever were. #}
{% macro csv_lines(table, ever=false) -%}
select
    raw_file,
    raw_row,
    {{ csv_cells('line') }} as cells,
    string_split(header, ',') as names
from {{ source('logs', table) if ever else landed(table) }}
{%- endmacro %}

{# A JSON object's fields as texts, in a struct; null for a line that is no JSON object. #}
{% macro json_fields(line, names) -%}
case when json_valid({{ line }}) then json_transform({{ line }}, '{
{%- for name in names -%}
"{{ name }}":"VARCHAR"{{ ',' if not loop.last }}
{%- endfor -%}
}') end
{%- endmacro %}

{# The cells of a line of CSV, a list of texts; an empty one is null. #}
{% macro csv_cells(line) -%}
list_transform(
    case
        when contains({{ line }}, '"')
            then list_transform(
                regexp_extract_all({{ line }}, '(?:^|,)("(?:[^"]|"")*"|[^,]*)', 1),
                lambda cell: case
                    when starts_with(cell, '"') then replace(cell[2:-2], '""', '"')
                    else cell
                end
            )
        else string_split({{ line }}, ',')
    end,
    lambda cell: nullif(trim(cell), '')
)
{%- endmacro %}

{# One cell by the name of its column. Needs `cells` and `names` beside it. #}
{% macro csv_cell(name) -%}
list_extract(cells, list_position(names, '{{ name }}'))
{%- endmacro %}

{# An instant in any of the forms that logs have: ISO with Z or an offset, with or without its
   colon; without one, UTC; a number counts milliseconds since 1970. Null when it is none. #}
{% macro instant(text) -%}
coalesce(
    try_cast({{ text }} as timestamptz),
    case when regexp_full_match({{ text }}, '\d{9,14}') then make_timestamptz({{ text }}::bigint * 1000) end,
    try_cast(regexp_replace({{ text }}, '\s*([+-]\d{2}):?(\d{2})$', '\1:\2') as timestamptz)
)
{%- endmacro %}

{# When an event happened, by a clock that may be wrong: the device says when it happened and when
   it sent it, the server when that arrived. What the two clocks differ by, if more than the
   tolerance, is added. (The correction that Segment made known as `originalTimestamp`, `sentAt`
   and `receivedAt`.) #}
{% macro corrected_time(happened, sent, received) -%}
case
    when abs(epoch({{ received }}) - epoch({{ sent }})) > epoch(interval '{{ var("clock_skew_tolerance") }}')
        then {{ happened }} + ({{ received }} - {{ sent }})
    else {{ happened }}
end
{%- endmacro %}

{# What so many at this price come to, to a hundredth of a cent. #}
{% macro us_dollars(price, quantity, rate) -%}
try_cast({{ price }}::double * {{ quantity }}::double * {{ rate }}::double as decimal(18, 4))
{%- endmacro %}

{# A text in one form: composed (NFC), full-width letters and figures as plain ones, one space
   between words. #}
{% macro normal_text(text) -%}
nullif(trim(regexp_replace(nfc_normalize(translate(
    {{ text }},
    '０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ　',
    '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz '
)), '\s+', ' ', 'g')), '')
{%- endmacro %}

{# A line without what names a person: the values of these JSON keys, also where a line is cut. #}
{% macro redacted_json(line, keys) -%}
regexp_replace({{ line }}, '("(?:{{ keys | join("|") }})"\s*:\s*)"[^"]*"?', '\1"…"', 'g')
{%- endmacro %}

{# A line of CSV without the cell of this column; without any figure where it is cut. #}
{% macro redacted_csv(line, header, column) -%}
case
    when len(string_split({{ line }}, ',')) = len(string_split({{ header }}, ','))
        then array_to_string(
            list_transform(
                list_zip(string_split({{ line }}, ','), string_split({{ header }}, ',')),
                lambda cell: case when cell[2] = '{{ column }}' then '…' else cell[1] end
            ),
            ','
        )
    else regexp_replace({{ line }}, '\d', '…', 'g')
end
{%- endmacro %}
