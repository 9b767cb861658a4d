{# What marts of a person's evidence share: when a row stands, and the tags that the evidence adds
   up to. The sums are made in profilestore/evidence.py, a person at a time. #}

{# The instant, in microseconds, at which evidence shows in its mart: when it has happened and is
   known, rounded up to `grain` ('hour' or 'day'; 'exact' leaves it as it is), which bounds the rows. #}
{% macro shown_at(event_timestamp, loaded_at, grain) -%}
{#- The linter (.sqlfluff) does not know what the variables say. -#}
{%- set grain = none if grain == 'exact' or linting is defined else grain -%}
{{ leaving_time('epoch_us(greatest(' ~ event_timestamp ~ ', ' ~ loaded_at ~ '))', '0 seconds', grain) }}
{%- endmacro %}

{# The half-life of interests in microseconds. #}
{% macro interest_half_life() -%}
{{ (var('interest_half_life_days') | float * 86400000000) | int }}
{%- endmacro %}

{#
What people did, by when it shows: rows with user_id, item_id, text, happened, learned and shown
(microseconds), and since when a row of the person's is wanted.

Arguments
    grain    see `shown_at`
    touched  rows with user_id and since: only these people. By default all, since ever
#}
{% macro people_events(grain, touched=none) -%}
select
    events.user_id,
    events.item_id,
    events.text,
    epoch_us(events.event_timestamp) as happened,
    epoch_us(events.loaded_at) as learned,
    {{ shown_at('events.event_timestamp', 'events.loaded_at', grain) }} as shown,
    {{ since_when(touched) }} as since
from {{ ref('int_user_events') }} as events
{%- if touched %}
inner join {{ touched }} as touched on events.user_id = touched.user_id
{%- endif %}
where {{ is_in_group('events.user_id') }}
{%- endmacro %}

{# Of each person the instants at which evidence shows, and when the latest-learned of what had shown
   by then was learned: a row a person, with two lists that run in parallel. #}
{% macro instants_of_evidence(evidence) -%}
select
    user_id,
    list(shown order by shown) filter (where shown >= since) as shown,
    list(learned order by shown) filter (where shown >= since) as learned
from (
    select
        user_id,
        since,
        shown,
        max(max(learned)) over (partition by user_id order by shown) as learned
    from {{ evidence }}
    group by user_id, since, shown
) as each_instant
group by user_id
{%- endmacro %}

{#
A person's heaviest tags at each instant at which evidence shows.

Arguments
    events    name of a CTE, see `people_events`
    items     name of a CTE with item_id and tags, a list: an event is evidence for each of them
    kind      what the tags are, as population_interests_daily calls them
    kept      how many tags, at most
    tags      name of the column of tags

Returns a query with one row per user and instant: user_id, event_timestamp, loaded_at, and lists that
run in parallel, heaviest first.
#}
{% macro tags_of_evidence(events, items, kind, kept, tags) -%}
with evidence as (
    select
        events.user_id,
        unnest(items.tags) as tag,
        events.happened,
        events.learned,
        events.shown,
        events.since
    from {{ events }} as events
    inner join {{ items }} as items on events.item_id = items.item_id
),

population as (
    select
        hold_population(coalesce(list(
            struct_pack(tag := tag, since := epoch_us(event_timestamp), events := events, kind_events := kind_events)
            order by event_timestamp, tag
        ), [])) as held
    from {{ ref('population_interests_daily') }}
    where tag_kind = '{{ kind }}'
),

people as (
    select
        user_id,
        since,
        list_sort(list(struct_pack(
            shown := shown, entered := greatest(happened, learned), happened := happened, tag := tag
        ))) as pieces
    from evidence
    group by user_id, since
),

instants as (
    {{ instants_of_evidence('evidence') | indent(4) }}
),

lists as (
    select
        user_id,
        since,
        [piece.tag for piece in pieces] as tags,
        [piece.happened for piece in pieces] as happened,
        [piece.shown for piece in pieces] as shown
    from people
),

states as (
    select
        lists.user_id,
        unnest(instants.learned) as learned,
        unnest(running_tags(
            population.held,
            lists.tags,
            lists.happened,
            lists.shown,
            lists.since,
            {{ interest_half_life() }}::bigint,
            {{ kept }}::bigint
        )) as state
    from lists
    inner join instants on lists.user_id = instants.user_id
    cross join population
)

select
    user_id,
    make_timestamptz(state.step) as event_timestamp,
    make_timestamptz(learned) as loaded_at,
    state.tags as {{ tags }},
    state.shares,
    state.lifts,
    state.confidences,
    state.events as event_counts,
    state.first as first_event_at_us,
    state.last as last_event_at_us
from states
{%- endmacro %}
