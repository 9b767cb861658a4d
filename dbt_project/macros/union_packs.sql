{# One model of every active source pack, stacked: stg_<pack>__<things>. #}
{% macro union_packs(things) -%}
{%- for pack in var('source_packs') %}
select * from {{ ref('stg_' ~ pack ~ '__' ~ things) }}
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
{%- endmacro %}
