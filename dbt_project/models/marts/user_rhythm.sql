{%- set day = 86400000000 -%}
{%- set totals = {
    'active_days_30d': 'active_30d', 'active_days_90d': 'active_90d', 'streak_days': 'streak',
    'categorised': 'categorised', 'category_information': 'information',
} -%}
{%- for hour in range(24) -%}
{%- do totals.update({'hour_' ~ hour: 'case when hour = ' ~ hour ~ ' then events_n end'}) -%}
{%- endfor -%}
{%- for weekday in range(1, 8) -%}
{%- do totals.update({'weekday_' ~ weekday: 'case when weekday = ' ~ weekday ~ ' then events_n end'}) -%}
{%- endfor -%}
with events as (
    select * from {{ ref('int_user_events') }}
    where
        {{ is_in_group('user_id') }}
        {%- if is_incremental() %}
        and {{ of_touched('user_id') }}
        {%- endif %}
),

items as (
    select * from {{ ref('int_items') }}
),

people as (
    {{ numbered('events', 'user_id', touched=touched('user_id') if is_incremental() else none) | indent(4) }}
),

-- What happens on a UTC day counts from the midnight that ends it, or from the first midnight at
-- which it is known. Days are numbered from 1970-01-01.
days as (
    select
        people.nth,
        events.item_id,
        epoch_us(events.event_timestamp) // {{ day }} as day_n,
        hour(events.event_timestamp) as hour,
        greatest(
            epoch_us(events.event_timestamp) // {{ day }} + 1,
            (epoch_us(events.loaded_at) + {{ day - 1 }}) // {{ day }}
        ) as known_n,
        max(epoch_us(events.loaded_at)) as learned,
        count(*) as events_n
    from events
    inner join people on events.user_id = people.user_id
    group by all
),

hours as (
    select
        nth,
        day_n,
        hour,
        known_n,
        isodow(make_timestamptz(day_n * {{ day }})) as weekday,
        max(learned) as learned,
        sum(events_n) as events_n
    from days
    group by all
),

active_days as (
    select
        nth,
        day_n,
        min(known_n) as known_n
    from days
    group by nth, day_n
),

-- A streak is mended by nothing that is learned later: its days were known when they ended.
streaks as (
    select
        nth,
        day_n,
        day_n - row_number() over (partition by nth order by day_n) as streak_n
    from active_days
    where known_n = day_n + 1
),

streak_days as (
    select
        nth,
        streak_n,
        day_n,
        row_number() over (partition by nth, streak_n order by day_n) as length
    from streaks
),

-- Entropy is log N - (sum of n log n) / N: each category's n log n, as a whole number of
-- billionths so that it can be taken away exactly, is added up like a count.
of_categories as (
    select
        days.*,
        unnest(list_distinct(items.categories)) as category
    from days
    inner join items on days.item_id = items.item_id
),

category_moves as (
    select
        nth,
        category,
        day_n,
        sum(events_n) as events_n
    from (
        select
            nth,
            category,
            unnest([known_n, greatest(known_n, day_n + 91)]) as day_n,
            unnest([events_n, -events_n]) as events_n
        from of_categories
    ) as entering_and_leaving
    group by all
),

category_counts as (
    select
        nth,
        day_n,
        events_n,
        sum(events_n) over up_to as now_n
    from category_moves
    window up_to as (partition by nth, category order by day_n)
),

moves as (
    select
        nth,
        known_n * {{ day }} as instant,
        learned,
        hour,
        weekday,
        events_n
    from hours
    union all by name
    select
        nth,
        greatest(known_n, day_n + 91) * {{ day }} as instant,
        hour,
        weekday,
        -events_n as events_n
    from hours
    {%- for length in [30, 90] %}
    union all by name
    select
        nth,
        unnest([known_n, day_n + {{ length + 1 }}]) * {{ day }} as instant,
        unnest([1, -1]) as active_{{ length }}d
    from active_days
    where known_n < day_n + {{ length + 1 }}
    {%- endfor %}
    union all by name
    select
        nth,
        (day_n + 1) * {{ day }} as instant,
        1 as streak,
        length as streak_length
    from streak_days
    union all by name
    select
        nth,
        (max(day_n) + 2) * {{ day }} as instant,
        -count(*) as streak
    from streak_days
    group by nth, streak_n
    union all by name
    select
        nth,
        day_n * {{ day }} as instant,
        sum(events_n) as categorised,
        sum(
            {{ information('now_n') }} - {{ information('now_n - events_n') }}
        ) as information
    from category_counts
    group by nth, day_n
),

windowed as (
    {{ running_totals(
        'moves', 'people', 'user_id', totals,
        highest={'longest': 'streak_length'},
        tail=is_incremental(),
    ) | indent(4) }}
),

listed as (
    select
        *,
        [
            {%- for hour in range(24) %}
            hour_{{ hour }}::bigint{{ ',' if not loop.last }}
            {%- endfor %}
        ] as hours_90d,
        [
            {%- for weekday in range(1, 8) %}
            weekday_{{ weekday }}::bigint{{ ',' if not loop.last }}
            {%- endfor %}
        ] as weekdays_90d
    from windowed
)

select
    user_id,
    event_timestamp,
    loaded_at,
    hours_90d,
    weekdays_90d,
    {{ entropy('hours_90d') }} as hour_entropy_90d,
    case
        when categorised > 0
            then greatest(
                log2(greatest(categorised, 1)::double) - category_information::double / 1e9 / categorised, 0
            )
    end as category_entropy_90d,
    active_days_30d::bigint as active_days_30d,
    active_days_90d::bigint as active_days_90d,
    streak_days::bigint as streak_days,
    coalesce(longest, 0)::bigint as streak_days_max_lifetime
from listed
