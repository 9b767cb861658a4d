{# How the editions of Online Retail write the same. #}

{# A customer: where some rows have none, tables were saved with numbers such as 17850.0. #}
{% macro retail_customer(cell) -%}
regexp_replace({{ cell }}, '\.0+$', '')
{%- endmacro %}

{# A moment, in the clock of British walls: as in Parquet, and as in the CSV (month first). #}
{% macro retail_time(cell) -%}
timezone('Europe/London', coalesce(
    try_cast({{ cell }} as timestamp), try_strptime({{ cell }}, '%m/%d/%Y %H:%M')
))
{%- endmacro %}
