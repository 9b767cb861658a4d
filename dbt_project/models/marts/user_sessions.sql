{%- set windows = {'7d': '7 days', '30d': '30 days'} -%}
{%- set suffixes = ['7d', '30d', 'lifetime'] -%}
{%- set totals = windowed_totals(['sessions', 'lengths', 'depths'], suffixes) -%}
with events as (
    select * from {{ ref('int_user_events') }}
    where
        {{ is_in_group('user_id') }}
        {%- if is_incremental() %}
        and {{ of_touched('user_id') }}
        {%- endif %}
),

people as (
    {{ numbered('events', 'user_id', touched=touched('user_id') if is_incremental() else none) | indent(4) }}
),

in_sessions as (
    {{ sessions('events') | indent(4) }}
),

-- What a session is after each of its events, in the order in which they were learned.
states as (
    select
        user_id,
        greatest(epoch_us(event_timestamp), epoch_us(loaded_at)) as entered,
        max(epoch_us(loaded_at)) over so_far as learned,
        row_number() over so_far as events_n,
        min(epoch_us(event_timestamp)) over so_far as first_event,
        max(epoch_us(event_timestamp)) over so_far as last_event,
        lead(greatest(epoch_us(event_timestamp), epoch_us(loaded_at))) over so_far as next_entered
    from in_sessions
    window
        so_far as (
            partition by user_id, source, session
            order by greatest(event_timestamp, loaded_at), event_timestamp, event_id
            rows between unbounded preceding and current row
        )
),

-- It counts from when nothing has happened for a while, as long as nothing more is learned of it.
ended as (
    select
        *,
        greatest(entered, last_event + {{ session_gap_us() }}) as ended,
        coalesce(next_entered, {{ never() }}) as changed
    from states
),

entries as (
    select
        people.nth,
        ended.ended as entered,
        ended.learned,
        ended.first_event,
        1 as sessions,
        ended.last_event - ended.first_event as lengths,
        ended.events_n as depths,
        {%- for suffix, interval in windows.items() %}
        least(
            {{ leaving_time('ended.last_event', interval) }}, ended.changed
        ) as left_{{ suffix }},
        {%- endfor %}
        ended.changed as left_lifetime
    from ended
    inner join people on ended.user_id = people.user_id
    where ended.ended < ended.changed
),

moves as (
    {{ windowed_moves('entries', suffixes, ['sessions', 'lengths', 'depths'], ['first_event']) | indent(4) }}
),

windowed as (
    {{ running_totals(
        'moves', 'people', 'user_id', totals,
        highest={'last_session': 'first_event'},
        tail=is_incremental(),
    ) | indent(4) }}
)

select
    user_id,
    event_timestamp,
    loaded_at,
    {%- for suffix in suffixes %}
    sessions_{{ suffix }}::bigint as sessions_{{ suffix }},
    {%- endfor %}
    {%- for suffix in suffixes %}
    lengths_{{ suffix }}::double / 1e6 / nullif(sessions_{{ suffix }}, 0)
        as session_mean_{{ suffix }}_seconds,
    depths_{{ suffix }}::double / nullif(sessions_{{ suffix }}, 0) as session_events_mean_{{ suffix }},
    {%- endfor %}
    -- Feast keeps timestamps to the second: what is finer is cut here, for all readers alike.
    date_trunc('second', make_timestamptz(last_session)) as last_session_at
from windowed
