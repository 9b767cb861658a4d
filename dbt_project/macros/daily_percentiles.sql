{#
How a number is spread over a population, day by day, from what was known before each day began: a day
never knows what comes later, and does not change afterwards.

The population of a day are the entities whose latest state at or before its midnight has a number.
Each change of a state takes one from a bar of a histogram and adds one to another, so the work is that
of the changes, not of entities times days.

Arguments
    states  name of a CTE with entity, event_timestamp, measure (a text) and bar (a whole number; null
            for who is not counted): one row per measure, entity and instant of a change

Returns a query with one row per measure and midnight (UTC) before which something has changed:
    measure, day_at, population_n, percentiles: 99 bars, the kth the lowest at or below which at least
    k of 100 of the population stand; null where nobody is counted
#}
{% macro daily_percentiles(states) -%}
with at_midnight as (
    select
        measure,
        entity,
        (epoch_us(event_timestamp) + 86399999999) // 86400000000 as day_n,
        -- What is null is passed over by arg_max, unless it is in something.
        arg_max({'bar': bar}, event_timestamp).bar as bar
    from {{ states }}
    group by all
),

moved as (
    select
        measure,
        day_n,
        bar as to_bar,
        lag(bar) over (partition by measure, entity order by day_n) as from_bar
    from at_midnight
),

changes as (
    select
        measure,
        day_n,
        bar,
        sum(step) as step
    from (
        select
            measure,
            day_n,
            unnest([to_bar, from_bar]) as bar,
            unnest([1, -1]) as step
        from moved
    ) as steps
    where bar is not null
    group by all
),

bars as (
    select
        measure,
        bar,
        day_n,
        sum(step) over (partition by measure, bar order by day_n) as entities_n,
        lead(day_n, 1, 9223372036854775807) over (partition by measure, bar order by day_n) as until_n
    from changes
),

days as (
    select distinct day_n from changes
),

measures as (
    select distinct measure from changes
),

stacked as (
    select
        bars.measure,
        days.day_n,
        bars.bar,
        bars.entities_n,
        sum(bars.entities_n) over (partition by bars.measure, days.day_n order by bars.bar) as up_to_n,
        sum(bars.entities_n) over (partition by bars.measure, days.day_n) as population_n
    from days
    inner join bars on days.day_n >= bars.day_n and days.day_n < bars.until_n
    where bars.entities_n > 0
),

listed as (
    select
        measure,
        day_n,
        any_value(population_n) as population_n,
        flatten(
            list(
                -- Of the 99 those that lie in this bar.
                list_transform(
                    range(
                        (100 * (up_to_n - entities_n) // population_n)::bigint,
                        least(99, (100 * up_to_n // population_n)::bigint)
                    ),
                    lambda k: bar
                )
                order by bar
            )
        ) as percentiles
    from stacked
    group by measure, day_n
)

select
    measures.measure,
    make_timestamptz(days.day_n * 86400000000) as day_at,
    coalesce(listed.population_n, 0)::bigint as population_n,
    listed.percentiles
from days
cross join measures
left join listed on days.day_n = listed.day_n and measures.measure = listed.measure
{%- endmacro %}

{# How many of 100 of a population stand below, 0 to 99; null where there is none. #}
{% macro percentile(bar, percentiles) -%}
len(list_filter({{ percentiles }}, lambda p: p < {{ bar }}))
{%- endmacro %}

{# Which fifth of a population, 1 to 5; null where there is none. #}
{% macro fifth(bar, percentiles) -%}
1 + {{ percentile(bar, 'list_select(' ~ percentiles ~ ', [20, 40, 60, 80])') }}
{%- endmacro %}

{# The bar that an amount stands in: amounts of one bar differ by 2 %. #}
{% macro amount_bar(amount) -%}
round(50 * ln(1 + greatest({{ amount }}, 0)::double))::bigint
{%- endmacro %}
