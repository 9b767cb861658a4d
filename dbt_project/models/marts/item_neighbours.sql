{%- set kept = 20 -%}
with events as (
    select * from {{ ref('int_user_events') }}
    -- Of an event that was told again, the row of who it was known to be.
    where not is_retold
),

-- The last instant at which something was learned.
log_end as (
    select
        max(greatest(event_timestamp, loaded_at)) as event_timestamp,
        max(loaded_at) as loaded_at
    from events
),

in_sessions as (
    {{ sessions('events') | indent(4) }}
),

seen as (
    select
        in_sessions.user_id,
        in_sessions.session,
        list(distinct in_sessions.item_id) as item_ids
    from in_sessions
    cross join log_end
    where
        in_sessions.item_id is not null
        and in_sessions.event_timestamp
        > log_end.event_timestamp - interval '{{ var("neighbour_days") }} days'
    group by in_sessions.user_id, in_sessions.session
),

baskets as (
    select
        row_number() over () as basket_n,
        item_ids
    from seen
    where len(item_ids) <= {{ var('neighbour_most_items') }}
),

members as (
    select
        basket_n,
        unnest(item_ids) as item_id
    from baskets
),

items as (
    select
        item_id,
        count(*) as sessions_n
    from members
    group by item_id
),

pairs as (
    select
        one.item_id,
        other.item_id as neighbour_id,
        count(*) as together_n
    from members as one
    inner join members as other on one.basket_n = other.basket_n and one.item_id <> other.item_id
    group by one.item_id, other.item_id
    having count(*) >= {{ var('neighbour_least_sessions') }}
),

compared as (
    select
        pairs.*,
        own.sessions_n,
        -- Rounded, so that equal ones are equal.
        round(pairs.together_n / sqrt(own.sessions_n * its.sessions_n), 9) as cosine
    from pairs
    inner join items as own on pairs.item_id = own.item_id
    inner join items as its on pairs.neighbour_id = its.item_id
),

ranked as (
    select
        *,
        row_number() over (partition by item_id order by cosine desc, neighbour_id asc) as position
    from compared
)

select
    ranked.item_id,
    any_value(log_end.event_timestamp) as event_timestamp,
    any_value(log_end.loaded_at) as loaded_at,
    any_value(ranked.sessions_n)::bigint as sessions_n,
    list(ranked.neighbour_id order by ranked.position) as neighbour_ids,
    list(ranked.cosine order by ranked.position) as cosines,
    list(ranked.together_n::bigint order by ranked.position) as session_counts
from ranked
cross join log_end
where ranked.position <= {{ kept }}
group by ranked.item_id
