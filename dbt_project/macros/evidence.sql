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

{# Lower end of the 95 % interval of a share seen in n pieces of evidence (Wilson, "Probable
   inference, the law of succession, and statistical inference", JASA 22, 1927). #}
{% macro wilson_lower_bound(share, n) -%}
{%- set z = 1.959964 -%}
round(greatest(
    (
        {{ share }} + {{ z * z / 2 }} / {{ n }}
        - {{ z }} * sqrt(({{ share }} * (1 - {{ share }}) + {{ z * z / 4 }} / {{ n }}) / {{ n }})
    ) / (1 + {{ z * z }} / {{ n }}),
    0
), 6)
{%- endmacro %}

{#
A person's heaviest tags at each instant at which evidence shows.

Arguments
    evidence  name of a CTE with user_id, tag, happened, shown and learned (microseconds), one row
              for each piece of evidence
    kind      what the tags are, as population_interests_daily calls them
    kept      how many tags, at most
    tags      name of the column of tags

Returns a query with one row per user and instant: user_id, event_timestamp, loaded_at, and lists that
run in parallel, heaviest first.
#}
{% macro tags_of_evidence(evidence, kind, kept, tags) -%}
with names as (
    select
        tag,
        -- By name: where the weight is the same, the first one comes first.
        row_number() over (order by tag) as number
    from (select distinct tag from {{ evidence }})
),

people as (
    select
        evidence.user_id,
        list_sort(list(struct_pack(
            shown := evidence.shown,
            entered := greatest(evidence.happened, evidence.learned),
            happened := evidence.happened,
            number := names.number
        ))) as pieces
    from {{ evidence }} as evidence
    inner join names on evidence.tag = names.tag
    group by evidence.user_id
),

states as (
    select
        user_id,
        unnest(running_tags(
            [piece.number for piece in pieces],
            [piece.happened for piece in pieces],
            [piece.shown for piece in pieces],
            {{ interest_half_life() }}::bigint,
            {{ kept }}::bigint
        ), recursive := true)
    from people
),

named as (
    select
        states.*,
        names.tag as name,
        -- As a number: a timestamp with a zone, cut to its day, takes twenty times as long.
        states.step // 86400000000 * 86400000000 as day
    from states
    inner join names on states.tag = names.number
),

population as (
    select
        tag,
        epoch_us(event_timestamp) as day,
        events,
        kind_events
    from {{ ref('population_interests_daily') }}
    where tag_kind = '{{ kind }}'
),

population_days as (
    select
        day,
        any_value(kind_events) as kind_events
    from population
    group by day
),

-- What was known of everybody when the day began.
asked as (
    select distinct
        name,
        day
    from named
),

usual as (
    select
        asked.name,
        asked.day,
        -- With one more event on the tag: a tag that nobody had before has a lift too.
        (coalesce(population.events, 0) + 1) / (coalesce(population_days.kind_events, 0) + 1) as share
    from asked
    asof left join population on asked.name = population.tag and asked.day >= population.day
    asof left join population_days on asked.day >= population_days.day
),

learned as (
    select
        user_id,
        shown,
        max(max(learned)) over (partition by user_id order by shown) as learned
    from {{ evidence }}
    group by user_id, shown
),

listed as (
    select
        named.user_id,
        named.step,
        -- In one list: seven lists, each in order, take twenty times as long.
        list_sort(list(struct_pack(
            place := named.place,
            name := named.name,
            share := named.share,
            lift := named.share / usual.share,
            confidence := {{ wilson_lower_bound('named.share', 'named.certainty') }},
            events := named.events,
            first := named.first,
            last := named.last
        ))) as tags
    from named
    inner join usual on named.name = usual.name and named.day = usual.day
    group by named.user_id, named.step
)

select
    listed.user_id,
    make_timestamptz(listed.step) as event_timestamp,
    make_timestamptz(learned.learned) as loaded_at,
    [tag.name for tag in listed.tags] as {{ tags }},
    [tag.share for tag in listed.tags] as shares,
    [tag.lift for tag in listed.tags] as lifts,
    [tag.confidence for tag in listed.tags] as confidences,
    [tag.events for tag in listed.tags] as event_counts,
    [tag.first for tag in listed.tags] as first_event_at_us,
    [tag.last for tag in listed.tags] as last_event_at_us
from listed
inner join learned on listed.user_id = learned.user_id and listed.step = learned.shown
{%- endmacro %}
