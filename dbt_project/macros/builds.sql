{#
What a build does: everything anew, or what came since the last build.

The table `builds` in the lake has a row per build, with the parts of landed logs that were there
when it began, each with when it was written: a log that was landed anew has other parts. A build
adds to what the last one left only if that one came to its end, whole and without an error, from the
same code, with the same variables and clock, and if only landed logs are read, which can but grow.
Else it is full. So whoever runs `dbt build` by hand, runs a part of it, or stops it, gets no wrong
table: the next build is full.
#}
{% macro builds_table() -%}
{{ return(in_lake('builds')) }}
{%- endmacro %}

{# on-run-start. #}
{% macro begin_build() -%}
{%- if execute and flags.WHICH in ['build', 'run'] -%}
{%- set shift = "null" -%}
{%- set clock = '../data/raw/logs/clock.json' -%}
{%- if run_query("select count(*) from glob('" ~ clock ~ "')").columns[0].values()[0] -%}
{%- set shift = "(select shift_seconds from read_json('" ~ clock ~ "'))" -%}
{%- endif -%}
{%- set others = var('source_packs') | reject('in', var('landed_packs')) | list -%}
create table if not exists {{ builds_table() }} (
    number bigint, invocation varchar, began_at timestamptz, code varchar, parts varchar[],
    is_full boolean, is_complete boolean
);
insert into {{ builds_table() }}
with former as (select * from {{ builds_table() }} order by number desc limit 1),
present as (
    select
        concat_ws(
            ' ', getvariable('project_code'), {{ shift }},
            '{{ local_md5(invocation_args_dict.get('vars', {}) | string) }}'
        ) as code,
        coalesce(
            (
                select list(filename || chr(9) || epoch_us(last_modified) order by filename)
                from read_blob(['../data/raw/logs/*/*.parquet', '../data/raw/live/*/*.parquet'])
            ),
            []
        ) as parts
)
select
    coalesce(former.number, 0) + 1, '{{ invocation_id }}', now(), present.code, present.parts,
    {{ 'true' if others or flags.FULL_REFRESH else 'false' }} or not coalesce(
        former.is_complete
        and former.code = present.code
        and list_has_all(present.parts, former.parts),
        false
    ){{ has_come_true() }},
    false
from present
left join former on true
{%- endif -%}
{%- endmacro %}

{# Or whether an event that lay in the future is now in the past. #}
{% macro has_come_true() -%}
{%- set events = adapter.get_relation(target.database, target.schema, 'int_events_read') -%}
{%- if events is not none %}
    or exists (
        select 1 from {{ events }}
        where
            fault = 'time_in_future'
            and event_timestamp <= timestamptz '{{ run_started_at }}' + interval '{{ var("clock_skew_tolerance") }}'
    )
{%- endif -%}
{%- endmacro %}

{# on-run-end. A build of a part of the models is not complete: the others have not seen what came. #}
{% macro end_build(results) -%}
{%- if execute and flags.WHICH in ['build', 'run'] -%}
{%- set done = results | selectattr('status', 'in', ['success', 'pass', 'warn']) | map(attribute='node.unique_id') | list -%}
{%- set missing = [] -%}
{%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] -%}
{%- if node.config.materialized != 'ephemeral' and node.config.enabled and node.unique_id not in done -%}
{%- do missing.append(node.name) -%}
{%- endif -%}
{%- endfor -%}
{%- set failed = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
{%- if not failed and not missing -%}
update {{ builds_table() }} set is_complete = true where invocation = '{{ invocation_id }}'
{%- endif -%}
{%- endif -%}
{%- endmacro %}

{# number, is_full and new parts of this build; what is not a build is like a full one. #}
{% macro this_build() -%}
{%- set known = none -%}
{%- if execute and adapter.get_relation(target.database, target.schema, 'builds') is not none -%}
{%- set found = run_query(
    "select number, is_full, array_to_string(case when is_full then parts else"
    ~ " list_filter(parts, lambda part: not list_contains(parts_before, part)) end, chr(10)) as new_parts"
    ~ " from (select *, lag(parts) over (order by number) as parts_before from " ~ builds_table()
    ~ ") as builds where invocation = '" ~ invocation_id ~ "'") -%}
{%- if found.rows | length -%}
{%- set row = found.rows[0] -%}
{{ return({'number': row[0] | int, 'is_full': row[1], 'new_parts': (row[2] or '').split('\n')}) }}
{%- endif -%}
{%- endif -%}
{{ return({'number': 0, 'is_full': true, 'new_parts': none}) }}
{%- endmacro %}

{# Whether this build adds to what the last one left. #}
{% macro is_adding() -%}
{{ return(not this_build().is_full) }}
{%- endmacro %}

{# dbt asks it of each incremental model. #}
{% macro should_full_refresh() -%}
{%- set configured = config.get('full_refresh') -%}
{{ return(this_build().is_full if configured is none else configured) }}
{%- endmacro %}

{# The landed lines of a table that this build has to read. #}
{% macro landed(table, log='logs') -%}
{{ lines_of_parts(table, this_build().new_parts, log) }}
{%- endmacro %}

{# The landed lines of the files that this build touches, as they were landed. #}
{% macro landed_of_touched_files(source_pack, table, log='logs') -%}
{#- Which those are is known when all is judged. -#}
{%- do ref('int_events_checked') -%}
{%- if is_adding() -%}
{%- set found = run_query(
    "select part from (select split_part(unnest(parts), chr(9), 1) as part from " ~ builds_table()
    ~ " where number = " ~ this_build().number ~ ") as present"
    ~ " where split_part(split_part(part, '/', -1), '@', 1).replace('.parquet', '') in ("
    ~ " select split_part(raw_file, '/', -1) from (select distinct source, raw_file from " ~ in_lake('int_events_read')
    ~ ") as files where source = '" ~ source_pack ~ "' and " ~ of_touched_files() ~ ")"
) -%}
{{ lines_of_parts(table, found.columns[0].values() | list, log) }}
{%- else -%}
{{ lines_of_parts(table, this_build().new_parts, log) }}
{%- endif -%}
{%- endmacro %}

{% macro lines_of_parts(table, parts, log) -%}
{%- set lines, own = source(log, table), [] -%}
{%- for part in parts or [] if ('/' ~ table ~ '/') in part -%}
{%- do own.append("'" ~ part.split('\t')[0] | replace("'", "''") ~ "'") -%}
{%- endfor -%}
{%- if parts is none -%}
{{ lines }}
{%- elif own -%}
read_parquet([{{ own | join(', ') }}])
{%- else -%}
(select * from {{ lines }} limit 0)
{%- endif -%}
{%- endmacro %}
