{#
Who is one person: connected components of a graph of identifiers, and since when each identifier is
known to belong to its person.

The person of a component is one of its identifiers, by the order of `rank`. An identifier belongs to
it since the earliest moment at which links that were known by then lead from the one to the other:
of all paths the one whose latest link is earliest (the minimax path).
Both are label propagation: a round follows the links of what changed in the last one, and there are
as many rounds as the longest path has links.

Arguments
    links  rows with one, other and since; each link once, in any direction
    ids    rows with id and rank; the lowest rank of a component is its person

Returns a query with one row per identifier that has a link: id, user_id, since (null for the person
itself).
#}
{% macro identities(links, ids) -%}
{%- if linting is defined -%}
{#- The linter does not know `using key`. -#}
select
    links.one as id,
    links.other as user_id,
    links.since
from {{ links }} as links
inner join {{ ids }} as ids on links.one = ids.id
{%- else -%}
with recursive edges as materialized (
    select one as tail, other as head, since from {{ links }}
    union all
    select other as tail, one as head, since from {{ links }}
),

components (id, label) using key (id) as (
    select distinct tail, tail from edges
    union
    select edges.head, min(changed.label)
    from components as changed
    inner join edges on changed.id = edges.tail
    inner join recurring.components as known on edges.head = known.id
    where changed.label < known.label
    group by edges.head
),

people as (
    select
        components.label,
        arg_min(components.id, ids.rank) as user_id
    from components
    inner join {{ ids }} as ids on components.id = ids.id
    group by components.label
),

reached (id, user_id, since) using key (id) as (
    select user_id, user_id, timestamptz '-infinity' from people
    union
    select edges.head, any_value(changed.user_id), min(greatest(changed.since, edges.since))
    from reached as changed
    inner join edges on changed.id = edges.tail
    left join recurring.reached as known on edges.head = known.id
    where known.id is null or greatest(changed.since, edges.since) < known.since
    group by edges.head
)

select
    id,
    user_id,
    case when id <> user_id then since end as since
from reached
{%- endif -%}
{%- endmacro %}
