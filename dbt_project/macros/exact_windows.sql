{#
Windowed sums that are right at every instant (law 3), not only at the last build, and that never
know what was not known yet (law 2).

At an instant t the sum over a window w is the sum over the events of (t - w, t] that were learned
by t. It changes when an event enters, and when it leaves. An event enters when it has happened and
is known: an event that is learned late enters late, and what was true before stays as it was. It
leaves w after it happened, or not at all where it was learned only after that. Each of these moments
is a row: each entering adds, each leaving takes away, and a sum is the running total of both. So
there is one sort for all windows, and never a range scan. Totals are decimals or integers, so that
what was added can be taken away exactly.

The totals run through all entities in one pass, without a partition each: what enters leaves in the
end, and a last row of each entity (never shown) takes away what never does, so that the next one
begins with nothing. DuckDB streams such a window, at a fifth of the time that it takes for one with
partitions. Times are integers on the way, entities too: they sort faster than what they stand for.

Arguments
    relation  rows with `entity`, event_timestamp (when it happened) and loaded_at (when it was
              learned)
    entity    name of the key column
    windows   {suffix: interval}, for example {'7d': '7 days'}
    sums      {name: SQL expression that is summed over the rows}, exact types only
    totals    the same, summed over all time alone
    touched   rows with `entity` and since: only these entities, and only their rows from since on.
              By default all
    grains    {suffix: 'hour' or 'day'}: the moments of leaving are rounded up to it, which bounds the
              rows; a window then reaches back up to that much further. By default they are exact.
    enters_at 'hour' or 'day': the moments of entering are rounded up to it, and what enters and leaves
              together is one move. By default they are exact.

Returns a query with one row per entity and instant of change:
    <entity>, event_timestamp (the instant), loaded_at (when the latest-learned event it counts, or
    has counted, was learned; never after the instant), first_event_at, last_event_at,
    <name>_<suffix> for each sum and window, <name>_lifetime for each sum and total
#}
{% macro exact_windows(relation, entity, windows, sums, totals={}, grains={}, enters_at=none, touched=none) -%}
{%- set enters, ends = 0, windows | length + 1 -%}
{%- set summed = sums.keys() | list + totals.keys() | list -%}
{%- set spans = windows.keys() | list + ['lifetime'] -%}
{%- set columns = [] -%}
{%- for name in summed -%}
{%- for suffix in (spans if name in sums else ['lifetime']) -%}
{%- do columns.append(name ~ '_' ~ suffix) -%}
{%- endfor -%}
{%- endfor -%}
with entities as (
    select
        {{ entity }},
        {{ since_when(touched, 'since') }} as since,
        row_number() over () as nth
    from {{ touched or '(select distinct ' ~ entity ~ ' from ' ~ relation ~ ')' }} as known
),

entries as (
    select
        entities.nth,
        entities.since,
        epoch_us(events.event_timestamp) as happened,
        epoch_us(events.event_timestamp) as first_happened,
        epoch_us(events.loaded_at) as learned,
        {{ leaving_time(
            'epoch_us(greatest(events.event_timestamp, events.loaded_at))', '0 seconds', enters_at
        ) }} as entered
        {%- for name in summed %},
        coalesce({{ sums.get(name) or totals[name] }}, 0) as {{ name }}
        {%- endfor %}
        {%- for suffix, interval in windows.items() %},
        {{ leaving_time('epoch_us(events.event_timestamp)', interval, grains.get(suffix)) }} as left_{{ suffix }}
        {%- endfor %}
    from {{ relation }} as events
    inner join entities on events.{{ entity }} = entities.{{ entity }}
),

{%- if enters_at %}

together as (
    select
        nth,
        since,
        entered,
        max(happened) as happened,
        min(first_happened) as first_happened,
        max(learned) as learned
        {%- for name in summed %},
        sum({{ name }}) as {{ name }}
        {%- endfor %}
        {%- for suffix in windows %},
        left_{{ suffix }}
        {%- endfor %}
    from entries
    group by all
),
{%- set entries = 'together' %}
{%- else %}
{%- set entries = 'entries' %}
{%- endif %}

moves as (
    select
        nth,
        entered as instant,
        {{ enters }} as kind,
        happened,
        first_happened,
        learned
        {%- for name in summed %},
        {{ name }}
        {%- endfor %}
        {%- for suffix in windows %},
        left_{{ suffix }} > entered as counts_{{ suffix }}
        {%- endfor %},
        true as counts_lifetime
    from {{ entries }}
    {%- if touched %}
    where entered >= since
    {#- What had entered before, and is still there, as one entering a window, just before. #}
    {%- for suffix in spans %}
    union all by name
    select
        nth,
        since - 1 as instant,
        {{ enters }} as kind,
        max(happened) as happened,
        min(first_happened) as first_happened,
        max(learned) as learned
        {%- for name in summed %},
        sum({{ name }}) as {{ name }}
        {%- endfor %}
        {%- for other in spans %},
        {{ 'true' if other == suffix else 'false' }} as counts_{{ other }}
        {%- endfor %}
    from {{ entries }}
    where
        entered < since
        {%- if suffix != 'lifetime' %}
        and left_{{ suffix }} >= since
        and left_{{ suffix }} > entered
        {%- endif %}
    group by nth, since
    {%- endfor %}
    {%- endif %}
    {%- for suffix in windows %}
    union all by name
    select
        nth,
        left_{{ suffix }} as instant,
        {{ loop.index }} as kind
        {%- for name in sums %},
        sum({{ name }}) as {{ name }}
        {%- endfor %}
    from {{ entries }}
    where
        left_{{ suffix }} > entered
        and left_{{ suffix }} >= since
    group by nth, left_{{ suffix }}
    {%- endfor %}
    union all by name
    select
        nth,
        9223372036854775807 as instant,
        {{ ends }} as kind
        {%- for name in summed %},
        sum({{ name }}) as {{ name }}
        {%- endfor %}
    from {{ entries }}
    group by nth
),

running as (
    select
        nth,
        instant,
        -- The latest of this entity: whatever comes after it stands higher.
        max(nth * 18446744073709551616::hugeint + learned) over so_far
        - nth * 18446744073709551616::hugeint as latest_learned,
        max(nth * 18446744073709551616::hugeint + happened) over so_far
        - nth * 18446744073709551616::hugeint as latest_happened,
        nth * 18446744073709551616::hugeint
        - max(nth * 18446744073709551616::hugeint - first_happened) over so_far as earliest_happened
        {%- for name in sums %}
        {%- for suffix in windows %},
        sum(
            case
                when kind = {{ enters }} and counts_{{ suffix }} then {{ name }}
                when kind = {{ loop.index }} then -{{ name }}
                else 0
            end
        ) over so_far as {{ name }}_{{ suffix }}
        {%- endfor %}
        {%- endfor %}
        {%- for name in summed %},
        sum(
            case
                when kind = {{ enters }} and counts_lifetime then {{ name }}
                when kind = {{ ends }} then -{{ name }}
                else 0
            end
        ) over so_far as {{ name }}_lifetime
        {%- endfor %}
    from (select * from moves order by nth, instant, kind)
    {#- The linter (.sqlfluff) does not know a frame without an order, which streams. #}
    window so_far as ({{ 'order by nth ' if linting is defined }}rows between unbounded preceding and current row)
),

-- Of several moves of one instant the last one's totals are whole: each row looks back at the one
-- before. (Not ahead: `lead` without an order, streamed into a join, gives some rows twice in DuckDB
-- 1.5.5.)
before as (
    select
        nth,
        instant as next_instant,
        lag(nth) over () as nth_before,
        {%- for name in ['instant', 'latest_learned', 'latest_happened', 'earliest_happened'] %}
        lag({{ name }}) over () as {{ name }}
        {{- ',' if not loop.last }}
        {%- endfor %}
        {%- for column in columns %},
        lag({{ column }}) over () as {{ column }}
        {%- endfor %}
    from running
)

select
    entities.{{ entity }},
    make_timestamptz(before.instant) as event_timestamp,
    make_timestamptz(before.latest_learned::bigint) as loaded_at,
    make_timestamptz(before.earliest_happened::bigint) as first_event_at,
    make_timestamptz(before.latest_happened::bigint) as last_event_at
    {%- for column in columns %},
    before.{{ column }}
    {%- endfor %}
from before
inner join entities on before.nth = entities.nth
where
    before.nth_before = before.nth
    and before.instant < before.next_instant
    and before.instant >= entities.since
{%- endmacro %}

{# Since when rows are wanted, in microseconds: what the column of `touched` says; since ever without. #}
{% macro since_when(touched, column='touched.since') -%}
{{ 'epoch_us(' ~ column ~ ')' if touched else '-9223372036854775807' }}
{%- endmacro %}

{# What the variable window_grains says of a window, for `grains` and `leaving_time`. #}
{% macro window_grain(suffix) -%}
{#- The linter (.sqlfluff) does not know what the variables say. -#}
{%- set grain = 'hour' if linting is defined else var('window_grains')[suffix] -%}
{{ return(none if grain == 'exact' else grain) }}
{%- endmacro %}

{# {suffix: its `window_grain`}. #}
{% macro window_grains(suffixes) -%}
{%- set grains = {} -%}
{%- for suffix in suffixes -%}
{%- do grains.update({suffix: window_grain(suffix)}) -%}
{%- endfor -%}
{{ return(grains) }}
{%- endmacro %}

{# When an event leaves a window, in microseconds: `interval` after it happened, rounded up to
   `grain`. #}
{% macro leaving_time(happened, interval, grain=none) -%}
{%- set micros = "epoch_us(interval '" ~ interval ~ "')" -%}
{%- set grains = {'hour': 3600000000, 'day': 86400000000} -%}
{%- if grain is none -%}
{{ happened }} + {{ micros }}
{%- elif grain in grains -%}
(({{ happened }} + {{ micros }} + {{ grains[grain] - 1 }}) // {{ grains[grain] }}) * {{ grains[grain] }}
{%- else -%}
{{ exceptions.raise_compiler_error("a window's grain is '" ~ grain ~ "'; it can be none, 'hour' or 'day'.") }}
{%- endif -%}
{%- endmacro %}
