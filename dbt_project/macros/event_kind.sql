{# What kind of thing an event is: view, search, cart, buy or engage, whatever its source calls it
   (var event_kinds); `other` for the rest. One contract then serves every pack. #}
{% macro event_kind(event_type) -%}
{%- set kinds = {'view': ['view']} if linting is defined else var('event_kinds') -%}
case
    {%- for kind, types in kinds.items() %}
    when {{ event_type }} in ('{{ types | join("', '") }}') then '{{ kind }}'
    {%- endfor %}
    else 'other'
end
{%- endmacro %}
