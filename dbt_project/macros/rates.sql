{# The rate of k in n, with the prior of rate_prior_hits and rate_prior_misses: the mean of the
   posterior of a beta distribution. Never above 1: who did k of a thing has had the chance k times,
   though the log may not show it. #}
{% macro rate_with_prior(hits, chances) -%}
(({{ hits }}) + {{ var('rate_prior_hits') }})::double
/ (greatest({{ hits }}, {{ chances }}) + {{ var('rate_prior_hits') }} + {{ var('rate_prior_misses') }})
{%- endmacro %}

{# The natural logarithm of how the daily rate of the last 7 days stands to that of the last 30:
   0 is even, ln 2 is twice as much. #}
{% macro trend(count_7d, count_30d) -%}
ln(
    (({{ count_7d }})::double / 7 + {{ var('trend_prior_per_day') }})
    / (({{ count_30d }})::double / 30 + {{ var('trend_prior_per_day') }})
)
{%- endmacro %}
