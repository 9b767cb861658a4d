{#
`difference`: the model says what its rows are to be now; those that are there already stay, the
others come, and what is no longer among them goes. Where the model gives a part of its rows only,
its config `within` is a condition that says which: the others are not looked at. A function of the
model's own, so that it can ask what this build touches: the config is the name of a macro.

What came and went stands in `<model>__changes`, with `is_gone`, for the models after it.
#}
{% macro get_incremental_difference_sql(arguments) -%}
{%- set target_relation, columns = arguments['target_relation'], arguments['dest_columns'] -%}
{%- set names = columns | map(attribute='quoted') | join(', ') -%}
{%- set within = config.get('within') -%}
{%- set same -%}
{%- for column in columns -%}
present.{{ column.quoted }} is not distinct from former.{{ column.quoted }}{{ ' and ' if not loop.last }}
{%- endfor -%}
{%- endset -%}
create or replace temp table difference_former as
select rowid as former_row, {{ names }} from {{ target_relation }}
{%- if within %} where {{ context[within]() }}{% endif %};

create or replace temp table difference_gone as
select former.* from difference_former as former
anti join {{ arguments['temp_relation'] }} as present on {{ same }};

create or replace temp table difference_come as
select {{ names }} from {{ arguments['temp_relation'] }} as present
anti join difference_former as former on {{ same }};

delete from {{ target_relation }} where rowid in (select former_row from difference_gone);

insert into {{ target_relation }} ({{ names }}) select {{ names }} from difference_come;

create or replace table {{ changes_of(target_relation.identifier) }} as
select {{ names }}, true as is_gone from difference_gone
union all
select {{ names }}, false as is_gone from difference_come;

drop table difference_former;
drop table difference_gone;
drop table difference_come
{%- endmacro %}

{# Where `difference` leaves what it changed of a model. #}
{% macro changes_of(model_name) -%}
{{ in_lake(model_name ~ '__changes') }}
{%- endmacro %}

{# A table by its name, where `ref` would make a circle of what comes one after the other anyway. #}
{% macro in_lake(name) -%}
{{ target.database }}.{{ target.schema }}.{{ name }}
{%- endmacro %}

{#
`tail`: of each entity that is touched, the rows from the instant on since when it is, are replaced.
Config:
    entity           the key column
    tail_time        which time of a row is meant (event_timestamp)
    with_items       name of a model of items: who did something with an item of which it now tells
                     otherwise is touched too
    with_population  {model, from, where}: rows from the first `from` on, of those rows of the model
                     that changed, are touched too, whosesoever they are
#}
{% macro get_incremental_tail_sql(arguments) -%}
{%- set target_relation = arguments['target_relation'] -%}
{%- set names = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
{%- set entity = config.require('entity') -%}
delete from {{ target_relation }} as former
using {{ touched(entity) }} as touched
where
    former.{{ entity }} = touched.{{ entity }}
    and {{ config.get('tail_time', 'former.event_timestamp') }} >= touched.since;

insert into {{ target_relation }} ({{ names }}) select {{ names }} from {{ arguments['temp_relation'] }}
{%- endmacro %}

{# The users, or items, about whom this build has learned something, and the first instant at which
   that makes a difference. `settings` are a mart's config, by default the present model's. #}
{% macro touched(entity, settings=none) -%}
{%- set settings = config if settings is none else settings -%}
{%- set with_items, with_population = settings.get('with_items'), settings.get('with_population') -%}
(
    select {{ entity }}, min(since) as since
    from (
        select {{ entity }}, greatest(event_timestamp, loaded_at) as since
        from {{ changes_of('int_user_events') }}
        where {{ entity }} is not null
        {%- if with_items %}
        union all
        select {{ entity }}, greatest(event_timestamp, loaded_at) as since
        from {{ in_lake('int_user_events') }}
        where item_id in (select item_id from {{ changes_of(with_items) }})
        {%- endif %}
        {%- if with_population and model.resource_type == 'model' %}
        union all
        select mart.{{ entity }}, changed.since
        from {{ this }} as mart
        cross join (
            select min({{ with_population['from'] }}) as since
            from {{ changes_of(with_population['model']) }}
            {%- if with_population['where'] %}
            where {{ with_population['where'] }}
            {%- endif %}
        ) as changed
        where mart.event_timestamp >= changed.since
        {%- endif %}
    ) as learned
    group by {{ entity }}
)
{%- endmacro %}

{# Whether a row is about somebody who is touched. #}
{% macro of_touched(entity, settings=none) -%}
{{ entity }} in (select touched.{{ entity }} from {{ touched(entity, settings) }} as touched)
{%- endmacro %}

{#
What this build touches, as conditions.
#}

{# Actors who told something new. #}
{% macro of_actors_with_new_events() -%}
(source, actor_id) in (
    select source, actor_id from {{ in_lake('int_events_read') }} where build = {{ this_build().number }}
)
{%- endmacro %}

{# Events of ids some of whose events came, or are judged otherwise than before, or that belong to
   another person than before. #}
{% macro of_touched_ids() -%}
actor_id in (
    select actor_id from {{ in_lake('int_events_read') }} where build = {{ this_build().number }}
    union
    select actor_id from {{ changes_of('int_rejections') }}
    union
    select actor_id from {{ changes_of('int_bots') }}
    union
    select id from {{ changes_of('int_identities') }}
)
{%- endmacro %}

{# Raw files with new rows, or with some that are judged otherwise than before. #}
{% macro of_touched_files(of='') -%}
({{ of }}source, {{ of }}raw_file) in (
    select source, raw_file from {{ in_lake('int_events_read') }} where build = {{ this_build().number }}
    union
    select source, raw_file from {{ changes_of('int_rejections') }}
    union
    select source, raw_file from {{ in_lake('int_events_read') }}
    where (source, actor_id) in (select source, actor_id from {{ changes_of('int_bots') }})
)
{%- endmacro %}

{# What dbt's data tests look at: of a `tail` mart, in a build that adds, the entities that it touched.
   `dbt test` by itself looks at all. #}
{% macro duckdb__get_where_subquery(relation) -%}
{%- set conditions = [config.get('where')] if config.get('where') else [] -%}
{%- if execute and is_adding() -%}
{%- for node in graph.nodes.values()
    if node.name == relation.identifier and node.config.get('incremental_strategy') == 'tail' -%}
{%- set entity = node.config.get('entity') -%}
{%- do conditions.append(of_touched(entity, node.config)) -%}
{%- endfor -%}
{%- endif -%}
{{ return(
    '(select * from ' ~ relation ~ ' where ' ~ conditions | join(' and ') ~ ') as dbt_subquery'
    if conditions else relation
) }}
{%- endmacro %}
