{#
on-run-start: the tables that trainings append vectors to, so that the marts over them can be built
before anything was trained.
#}
{% macro make_tables_of_trainings() -%}
{%- if execute and flags.WHICH in ['build', 'run'] -%}
{%- for entity in ['user', 'item'] %}
create table if not exists {{ in_lake('trained_' ~ entity ~ '_vectors') }} (
    {{ entity }}_id varchar, event_timestamp timestamptz, loaded_at timestamptz, vector float[],
    model varchar
);
{%- endfor %}
{%- endif -%}
{%- endmacro %}
