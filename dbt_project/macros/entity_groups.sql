{#
People, or items, in groups, one after the other: what a mart makes of all that a person did needs
memory for those whom it has before it, and that must not grow with the log.

A model says so in its config, `in_groups: true`, and asks of its rows `is_in_group(...)` with its
`entity`. It is then filled by one statement for each group. Which group it is stands in variables of
the session: where there are none, as in a unit test, everybody is in it.
#}
{% macro is_in_group(entity) -%}
coalesce(hash({{ entity }}) % getvariable('groups') = getvariable('group_n'), true)
{%- endmacro %}

{# So many that a group has about `group_events` events; in a build that adds, of those it touches. #}
{% macro groups_needed() -%}
{%- set counted = 'select count(*) from ' ~ in_lake('int_user_events') -%}
{%- if is_adding() -%}
{%- set counted = counted ~ ' where ' ~ of_touched(config.get('entity')) -%}
{%- endif -%}
{{ return((run_query(counted).columns[0].values()[0] | int) // (var('group_events') | int) + 1) }}
{%- endmacro %}

{# dbt asks it for each table that is made. #}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
{%- set whole = dbt.duckdb__create_table_as(
    temporary, relation, compiled_code, language, partitioned_by=partitioned_by, sorted_by=sorted_by
) -%}
{%- if not config.get('in_groups') or model.resource_type != 'model' -%}
{{ return(whole) }}
{%- endif -%}
{%- set groups = groups_needed() -%}
set variable groups = {{ groups }};
set variable group_n = 0;
{{ whole }};
{%- for n in range(1, groups) %}
set variable group_n = {{ n }};
insert into {{ relation.include(database=(not temporary), schema=(not temporary)) }}
select * from ({{ compiled_code if temporary else get_select_subquery(compiled_code) }}) as group_of_rows;
{%- endfor %}
reset variable groups;
reset variable group_n
{%- endmacro %}
