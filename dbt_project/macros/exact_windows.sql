{#
Windowed sums that are right at every instant (law 3), not only at the last build.

A sum over the window (t - w, t] changes when an event enters, at its own time, and when it leaves,
w later. Both moments are rows. At each of them the sum over the window is the running total at t
less the running total at t - w: one prefix sum and one ASOF join a window, never a range scan.
Running totals are decimals or integers, so that the difference of two is exact.

Arguments
    relation  rows with `entity`, event_timestamp and loaded_at
    entity    name of the key column
    windows   {suffix: interval}, for example {'7d': '7 days'}
    sums      {name: SQL expression that is summed over the rows}, exact types only

Returns a query with one row per entity and change instant:
    <entity>, event_timestamp, loaded_at (when the latest-learned event up to it was learned),
    first_event_at, last_event_at, <name>_<suffix> for each sum and window, <name>_lifetime
#}
{% macro exact_windows(relation, entity, windows, sums) -%}
with running as (
    select
        {{ entity }},
        event_timestamp,
        max(max(loaded_at)) over up_to as loaded_at,
        min(event_timestamp) over up_to as first_event_at
        {%- for name, expression in sums.items() %},
        sum(sum({{ expression }})) over up_to as {{ name }}
        {%- endfor %}
    from {{ relation }}
    group by {{ entity }}, event_timestamp
    window up_to as (partition by {{ entity }} order by event_timestamp)
),

instants as (
    select {{ entity }}, event_timestamp from running
    {%- for suffix, interval in windows.items() %}
    union
    select {{ entity }}, event_timestamp + interval '{{ interval }}' from running
    {%- endfor %}
)

select
    instants.{{ entity }},
    instants.event_timestamp,
    running.loaded_at,
    running.first_event_at,
    running.event_timestamp as last_event_at
    {%- for name in sums %}
    {%- for suffix in windows %},
    running.{{ name }} - coalesce(before_{{ suffix }}.{{ name }}, 0) as {{ name }}_{{ suffix }}
    {%- endfor %},
    running.{{ name }} as {{ name }}_lifetime
    {%- endfor %}
from instants
asof inner join running
    on
        instants.{{ entity }} = running.{{ entity }}
        and instants.event_timestamp >= running.event_timestamp
{%- for suffix, interval in windows.items() %}
asof left join running as before_{{ suffix }}
    on
        instants.{{ entity }} = before_{{ suffix }}.{{ entity }}
        and instants.event_timestamp - interval '{{ interval }}' >= before_{{ suffix }}.event_timestamp
{%- endfor %}
{%- endmacro %}
