{# What kind of device a source means, by the `type` of what it says of the device (JSON); null where
   it does not say. #}
{% macro device_class(device) -%}
{%- set type -%}
lower(case when json_valid({{ device }}) then json_extract_string({{ device }}, '$.type') end)
{%- endset -%}
case
    when {{ type }} in ('phone', 'mobile', 'smartphone') then 'mobile'
    when {{ type }} = 'tablet' then 'tablet'
    when {{ type }} in ('desktop', 'laptop', 'computer', 'pc') then 'desktop'
    when {{ type }} <> '' then 'other'
end
{%- endmacro %}
