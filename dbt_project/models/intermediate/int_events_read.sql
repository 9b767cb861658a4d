-- Each raw event once in canonical form, with the first thing that is wrong with it by itself.
with told as (
    {{ union_events() }}
),

-- An empty text names nothing. Nor does the pseudonym of one, which would make one person of all who
-- sent none: whatever the kind of identifier, it is taken for the null that it should have been.
events as (
    select
        * exclude (
            event_id, user_id, anonymous_id, device_id, item_id, event_type, is_unreadable, is_impossible
        ),
        nullif(event_id, '') as event_id,
        nullif(nullif(user_id, {{ pseudonym("''", 'user') }}), {{ pseudonym("''", 'handle') }}) as user_id,
        nullif(anonymous_id, {{ pseudonym("''", 'cookie') }}) as anonymous_id,
        nullif(device_id, {{ pseudonym("''", 'device') }}) as device_id,
        nullif(item_id, '') as item_id,
        nullif(event_type, '') as event_type,
        is_unreadable,
        is_impossible
    from told
)

select
    * exclude (is_unreadable, is_impossible),
    coalesce(user_id, anonymous_id, device_id) as actor_id,
    case
        when is_unreadable then 'unreadable'
        when coalesce(user_id, anonymous_id, device_id) is null then 'missing_user'
        when
            item_id is null
            and coalesce(event_type, '') not in ('{{ var("events_without_item") | join("', '") }}')
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
