{# The columns of a staged user, once. A pack's stg_<pack>__users gives those that it has: one row per
   account and instant from which something else is true of it. #}
{% macro user_columns() -%}
{{ return({
    'user_id': 'varchar',
    'age_band': 'varchar',
    'region': 'varchar',
    'valid_from': 'timestamp with time zone',
    'loaded_at': 'timestamp with time zone',
    'source': 'varchar',
}) }}
{%- endmacro %}
