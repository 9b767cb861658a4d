{#
What a pack tells of people again and again: the rows in which something is new, on our clock. It was
known when it was told.

Arguments
    pack        whose clock it is
    told        name of a CTE with user_id, valid_from and the attributes; one row per user and instant
    attributes  names of the columns in which a change counts

Returns a query for `int_users`: user_id, the attributes, valid_from, loaded_at, source.
#}
{% macro attribute_changes(pack, told, attributes) -%}
select
    told.user_id,
    {%- for attribute in attributes %}
    told.{{ attribute }},
    {%- endfor %}
    told.valid_from + clock.shift as valid_from,
    told.valid_from + clock.shift as loaded_at,
    '{{ pack }}' as source
from {{ told }} as told
cross join ({{ clock_of(pack) }}) as clock
where told.valid_from is not null
qualify
    row(told.{{ attributes | join(', told.') }}) is distinct from
    lag(row(told.{{ attributes | join(', told.') }})) over (partition by told.user_id order by told.valid_from)
{%- endmacro %}
