{# What OULAD writes in days and codes. #}

{# The first day of a presentation: 2013B began in February 2013, 2014J in October 2014. #}
{% macro course_start(presentation) -%}
make_timestamptz(
    try_cast(left({{ presentation }}, 4) as bigint),
    case right({{ presentation }}, 1) when 'B' then 2 when 'J' then 10 end,
    1, 0, 0, 0.0
)
{%- endmacro %}

{# So many days after it, or before. Some editions write days as 18.0. #}
{% macro course_day(presentation, day) -%}
{{ course_start(presentation) }} + to_days(try_cast(try_cast({{ day }} as double) as integer))
{%- endmacro %}
