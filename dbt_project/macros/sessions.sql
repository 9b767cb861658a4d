{#
Events with the session that they are in: all columns of `relation` and session (a text).

A session is what its source says (session_hint). Where it says nothing, an event goes on with the
session of the one that was learned before it, of the same person and source, if the two happened at
most session_gap_minutes apart. So what session an event is in is known when the event is, and does
not change when others are learned: one that comes late stands by itself.

Arguments
    relation  name of a CTE with user_id, source, event_id, session_hint, event_timestamp, loaded_at
#}
{% macro sessions(relation) -%}
with unhinted as (
    select
        *,
        abs(epoch_us(event_timestamp) - lag(epoch_us(event_timestamp)) over learned)
        <= {{ session_gap_us() }} as goes_on
    from {{ relation }}
    where session_hint is null
    window
        learned as (
            partition by user_id, source
            order by greatest(event_timestamp, loaded_at), event_timestamp, event_id
        )
)

select
    * exclude (goes_on),
    source || '#' || sum(case when goes_on then 0 else 1 end) over (
        partition by user_id, source
        order by greatest(event_timestamp, loaded_at), event_timestamp, event_id
        rows between unbounded preceding and current row
    ) as session
from unhinted
union all by name
select
    *,
    source || ':' || session_hint as session
from {{ relation }}
where session_hint is not null
{%- endmacro %}

{% macro session_gap_us() -%}
{{ var('session_gap_minutes') | int * 60000000 }}
{%- endmacro %}
