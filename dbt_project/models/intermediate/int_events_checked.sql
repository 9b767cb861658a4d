with events as (
    {{ union_packs('events') }}
),

judged as (
    select
        *,
        case
            when user_id is null then 'missing_user'
            when item_id is null then 'missing_item'
            when event_type is null then 'missing_event_type'
            when event_timestamp is null then 'missing_time'
            when event_id is null then 'missing_event_id'
            when event_timestamp < timestamptz '1990-01-01 00:00:00+00' then 'time_too_early'
            when
                event_timestamp
                > timestamptz '{{ run_started_at }}' + interval '{{ var("clock_skew_tolerance") }}'
                then 'time_in_future'
        end as fault
    from events
),

-- Copies are counted among the sound ones: a faulty copy must not take a sound one's place.
numbered as (
    select
        *,
        row_number() over (
            partition by source, event_id, fault is null
            order by loaded_at nulls last, raw_file, raw_row
        ) as copy_number
    from judged
)

select
    * exclude (fault, copy_number),
    case
        when fault is not null then fault
        when copy_number > 1 then 'duplicate_event_id'
    end as rejected_because
from numbered
