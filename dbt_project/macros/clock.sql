{# What all times of a raw log are moved by; see `make logs`. #}
{% macro clock_of(log) -%}
select to_seconds(shift_seconds::bigint) as shift from {{ source(log, 'clock') }}
{%- endmacro %}
