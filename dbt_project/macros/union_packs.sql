{# One model of every active source pack that has it, stacked by name: stg_<pack>__<things>.
   `columns` {name: type} are there even when no pack gives them. #}
{% macro union_packs(things, columns, without=[]) -%}
select
    {%- for name, type in columns.items() %}
    null::{{ type }} as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
where false
{%- for pack in var('source_packs') if pack not in without %}
union all by name
select * from {{ ref('stg_' ~ pack ~ '__' ~ things) }}
{%- endfor %}
{%- endmacro %}
