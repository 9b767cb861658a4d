{# The band of an age in years; none for what is no age. #}
{% macro age_band(years) -%}
case
    when {{ years }} < 0 or {{ years }} > 120 then null
    {%- for lower, upper in [(0, 17), (18, 24), (25, 34), (35, 44), (45, 54), (55, 64)] %}
    when {{ years }} <= {{ upper }} then '{{ lower }}-{{ upper }}'
    {%- endfor %}
    when {{ years }} >= 65 then '65+'
end
{%- endmacro %}
