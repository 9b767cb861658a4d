{# Of what is told of people again and again, the rows in which something is new.

Arguments
    relation    rows with user_id, valid_from and the attributes; one per user and instant
    attributes  names of the columns in which a change counts
#}
{% macro attribute_changes(relation, attributes) -%}
select *
from {{ relation }}
where valid_from is not null
qualify
    row({{ attributes | join(', ') }}) is distinct from
    lag(row({{ attributes | join(', ') }})) over (partition by user_id order by valid_from)
{%- endmacro %}
