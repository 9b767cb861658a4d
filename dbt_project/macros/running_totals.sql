{#
Totals that are right at every instant, from moves: what `exact_windows` does with the windows of one
relation, for moves of any kind at once. An amount that counts for a while makes two moves, one that
adds it and one that takes it away; a total at an instant is the sum of the moves up to it.

The moves of an entity have to add up to nothing, so that the next entity begins with nothing: what
never leaves is taken away at `{{ never() }}`, which is shown to nobody. That lets DuckDB stream the
totals of all entities through one pass, without a partition each.

Arguments
    moves     name of a CTE with nth (number of the entity), instant (microseconds) and learned
              (microseconds, when what enters was learned; null where something leaves)
    entities  name of a CTE with <entity> and nth, see `numbered`
    entity    name of the key column
    totals    {name: SQL expression over a move}, exact types only; null adds nothing
    highest   {name: SQL expression over a move}, integers from 0: the highest so far is told
    tail      whether entities have a `since` (microseconds), and rows are wanted from then on only

Returns a query with one row per entity and instant of a move:
    <entity>, event_timestamp (the instant), loaded_at (when the latest-learned of what has entered
    was learned), each total (0 where there was nothing), each highest (null where there was none)
#}
{% macro running_totals(moves, entities, entity, totals, highest={}, tail=false) -%}
{%- set highest = dict(highest, latest_learned='learned') -%}
{%- if tail -%}
-- What there was before is one move.
with openings as (
    select
        moves.nth,
        entities.since - 1 as instant
        {%- for name, expression in highest.items() %},
        max({{ expression }}) as opening_{{ name }}
        {%- endfor %}
        {%- for name, expression in totals.items() %},
        sum({{ expression }}) as opening_{{ name }}
        {%- endfor %}
    from {{ moves }} as moves
    inner join {{ entities }} as entities on moves.nth = entities.nth
    where moves.instant < entities.since
    group by moves.nth, entities.since
),

late_moves as (
    select moves.* from {{ moves }} as moves
    inner join {{ entities }} as entities on moves.nth = entities.nth
    where moves.instant >= entities.since
),

all_moves as (
    select * from openings
    union all by name
    select * from late_moves
),

running as (
{%- set moves = 'all_moves' -%}
{%- else -%}
with running as (
{%- endif %}
    select
        -- What is highest is of this entity: those after it stand higher.
        nth,
        instant
        {%- for name, expression in highest.items() %},
        max(nth * 18446744073709551616::hugeint + {{ or_opening(expression, name, tail) }}) over so_far
        - nth * 18446744073709551616::hugeint as {{ name }}
        {%- endfor %}
        {%- for name, expression in totals.items() %},
        sum({{ or_opening(expression, name, tail) }}) over so_far as {{ name }}
        {%- endfor %}
    from (
        select * from {{ moves }}
        union all by name
        -- After the last move of all stands one of nobody.
        select
            4611686018427387904 as nth,
            {{ never() }} as instant
        order by nth, instant
    )
    {#- The linter (.sqlfluff) does not know a frame without an order, which streams. #}
    window so_far as ({{ 'order by nth ' if linting is defined }}rows between unbounded preceding and current row)
),

-- Of several moves of one instant the last one's totals are whole: each row looks back at the one
-- before.
before as (
    select
        nth,
        instant as next_instant,
        lag(nth) over () as nth_before,
        lag(instant) over () as instant
        {%- for name in (highest | list) + (totals | list) %},
        lag({{ name }}) over () as {{ name }}
        {%- endfor %}
    from running
)

select
    entities.{{ entity }},
    make_timestamptz(before.instant) as event_timestamp,
    -- What is below 0 is the highest of another entity.
    make_timestamptz(before.latest_learned::bigint) as loaded_at
    {%- for name in highest if name != 'latest_learned' %},
    case when before.{{ name }} >= 0 then before.{{ name }}::bigint end as {{ name }}
    {%- endfor %}
    {%- for name in totals %},
    coalesce(before.{{ name }}, 0) as {{ name }}
    {%- endfor %}
from before
inner join {{ entities }} as entities on before.nth_before = entities.nth
where
    (before.nth <> before.nth_before or before.instant < before.next_instant)
    and before.instant < {{ never() }}
    {%- if tail %}
    and before.instant >= entities.since
    {%- endif %}
{%- endmacro %}

{% macro or_opening(expression, name, tail) -%}
{{ 'coalesce(' ~ expression ~ ', opening_' ~ name ~ ')' if tail else expression }}
{%- endmacro %}

{# The instant after all others, in microseconds. #}
{% macro never() -%}
9223372036854775807
{%- endmacro %}

{# The distinct values of a key column, numbered: numbers sort faster than what they stand for. With
   `touched` (rows with the key and since) also since when each is touched, in microseconds. #}
{% macro numbered(relation, entity, touched=none) -%}
select
    known.{{ entity }},
    {%- if touched %}
    epoch_us(touched.since) as since,
    {%- endif %}
    row_number() over () as nth
from (select distinct {{ entity }} from {{ relation }}) as known
{%- if touched %}
inner join {{ touched }} as touched on known.{{ entity }} = touched.{{ entity }}
{%- endif %}
{%- endmacro %}

{#
The moves of amounts that count in each of several windows.

Arguments
    relation  name of a CTE with nth, learned, entered (microseconds), left_<suffix> for each window
              (microseconds; `never()` for one without an end) and the amounts
    suffixes  names of the windows
    amounts   names of the amounts
    others    names of further columns that an entering move keeps

Returns a query for `running_totals`: nth, instant, learned, kind (0 enters; n leaves the nth window),
the amounts, counts_<suffix>. What `windowed_total` says of them is the total of a window.
#}
{% macro windowed_moves(relation, suffixes, amounts, others=[]) -%}
select
    nth,
    entered as instant,
    learned,
    0 as kind
    {%- for amount in amounts + others %},
    {{ amount }}
    {%- endfor %}
    {%- for suffix in suffixes %},
    left_{{ suffix }} > entered as counts_{{ suffix }}
    {%- endfor %}
from {{ relation }}
{%- for suffix in suffixes %}
union all by name
select
    nth,
    left_{{ suffix }} as instant,
    {{ loop.index }} as kind
    {%- for amount in amounts %},
    sum({{ amount }}) as {{ amount }}
    {%- endfor %}
from {{ relation }}
where left_{{ suffix }} > entered
group by nth, left_{{ suffix }}
{%- endfor %}
{%- endmacro %}

{% macro windowed_total(amount, suffix, suffixes) -%}
{%- set position = (suffixes | list).index(suffix) + 1 -%}
case when kind = 0 and counts_{{ suffix }} then {{ amount }} when kind = {{ position }} then -{{ amount }} end
{%- endmacro %}

{# {<amount>_<suffix>: its `windowed_total`} of several amounts, in all windows or in those of `among`. #}
{% macro windowed_totals(amounts, suffixes, among=none) -%}
{%- set totals = {} -%}
{%- for amount in amounts -%}
{%- for suffix in among or suffixes -%}
{%- do totals.update({amount ~ '_' ~ suffix: windowed_total(amount, suffix, suffixes)}) -%}
{%- endfor -%}
{%- endfor -%}
{{ return(totals) }}
{%- endmacro %}

{#
How many different things an entity has turned to within each window, exact at every instant: a thing
counts as long as at least one of its events is in the window, that is, in the union of the spans
from an event's entering to its leaving.

Arguments
    relation  name of a CTE with nth, thing, entered and left_<suffix> for each window (microseconds)
    suffixes  names of the windows
    name      of the things, for example 'items'

Returns a query for `running_totals`: nth, instant, <name>_<suffix> (1 where a thing begins to count,
-1 where it ends), null for the other windows.
#}
{% macro distinct_windows(relation, suffixes, name) -%}
with spans as (
    -- A span counts if it is not empty: what is learned too late enters no window.
    select
        nth,
        thing,
        entered
        {%- for suffix in suffixes %},
        case when left_{{ suffix }} > entered then left_{{ suffix }} end as left_{{ suffix }}
        {%- endfor %}
    from {{ relation }}
),

met as (
    select
        nth,
        entered
        {%- for suffix in suffixes %},
        left_{{ suffix }},
        max(left_{{ suffix }}) over earlier as left_before_{{ suffix }}
        {%- endfor %}
    from spans
    window earlier as (
        partition by nth, thing order by entered rows between unbounded preceding and 1 preceding
    )
)

{% for suffix in suffixes -%}
select
    nth,
    unnest([entered, left_before_{{ suffix }}]) as instant,
    unnest([1, -1]) as {{ name }}_{{ suffix }}
from met
where
    left_{{ suffix }} is not null
    and left_before_{{ suffix }} < entered
union all by name
select
    nth,
    entered as instant,
    1 as {{ name }}_{{ suffix }}
from met
where
    left_{{ suffix }} is not null
    and left_before_{{ suffix }} is null
union all by name
select
    nth,
    max(left_{{ suffix }}) as instant,
    -1 as {{ name }}_{{ suffix }}
from spans
where left_{{ suffix }} is not null
group by nth, thing
{%- if not loop.last %}
union all by name
{% endif %}
{%- endfor %}
{%- endmacro %}
