{# The entropy of a list of counts, in bits: 0 where all are of one kind; null of nothing. #}
{% macro entropy(counts) -%}
case
    when list_sum({{ counts }}) > 0
        then greatest(
            log2(list_sum({{ counts }})::double)
            - list_sum([n * log2(greatest(n, 1)::double) for n in {{ counts }}]) / list_sum({{ counts }}), 0
        )
end
{%- endmacro %}

{# n log2 n in billionths, a whole number: what has been added can be taken away exactly. #}
{% macro information(count) -%}
round(1e9 * ({{ count }}) * log2(greatest({{ count }}, 1)::double))::hugeint
{%- endmacro %}
