{% set itemless = var('events_without_item') | join("', '") %}
-- Each raw event once in canonical form, with the first thing that is wrong with it by itself.
with told as (
    {{ union_packs('events', canonical_event_columns(), without=var('packs_without_events')) }}
),

-- What the pseudonym of an empty text is, once and not for each row.
nobody as (
    select
        {{ pseudonym("''", 'user') }} as account,
        {{ pseudonym("''", 'handle') }} as handle,
        {{ pseudonym("''", 'cookie') }} as cookie,
        {{ pseudonym("''", 'device') }} as device
),

-- An empty text names nothing. Nor does its pseudonym, which would make one person of all who sent
-- none: both are taken for the null that they should have been.
events as (
    select
        told.* replace (
            nullif(told.event_id, '') as event_id,
            nullif(nullif(told.user_id, nobody.account), nobody.handle) as user_id,
            nullif(told.anonymous_id, nobody.cookie) as anonymous_id,
            nullif(told.device_id, nobody.device) as device_id,
            nullif(told.item_id, '') as item_id,
            nullif(told.event_type, '') as event_type
        )
    from told
    cross join nobody
)

select
    {{ this_build().number }} as build,
    * exclude (is_unreadable, is_impossible, pack_fault),
    coalesce(user_id, anonymous_id, device_id) as actor_id,
    case
        when is_unreadable then 'unreadable'
        -- What only the pack can tell, such as a postage line among goods.
        when pack_fault is not null then pack_fault
        when coalesce(user_id, anonymous_id, device_id) is null then 'missing_user'
        when
            item_id is null
            and coalesce(event_type, '') not in ('{{ itemless }}')
            then 'missing_item'
        when event_type is null then 'missing_event_type'
        when event_timestamp is null then 'missing_time'
        when event_id is null then 'missing_event_id'
        when loaded_at is null then 'missing_load_time'
        when event_timestamp < timestamptz '1990-01-01 00:00:00+00' then 'time_too_early'
        when event_timestamp > loaded_at + interval '{{ var("clock_skew_tolerance") }}' then 'time_after_load'
        -- Where nothing else says when it was learned, it was learned by now.
        when
            event_timestamp
            > timestamptz '{{ run_started_at }}' + interval '{{ var("clock_skew_tolerance") }}'
            then 'time_in_future'
        when is_impossible then 'impossible_value'
    end as fault
from events
