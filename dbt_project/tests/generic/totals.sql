{# Lists that count the same events by different marks add up to the same. #}
{% test same_sums(model, columns) %}
select *
from {{ model }}
where
    list_min({{ columns[0] }}) < 0
    {% for column in columns[1:] %}
        or list_sum({{ column }}) is distinct from list_sum({{ columns[0] }})
    {% endfor %}
{% endtest %}

{# Percentiles are 99, and none is lower than the one before; null where nobody is counted. #}
{% test percentiles_rise(model, columns) %}
select *
from {{ model }}
where
    false
    {% for column in columns %}
        or len({{ column }}) <> 99
        or list_sort({{ column }}) <> {{ column }}
    {% endfor %}
{% endtest %}

{% test ordered_values(model, columns) %}
select *
from {{ model }}
where
    false
    {% for column in columns[1:] %}
        or {{ column }} < {{ columns[loop.index0] }}
    {% endfor %}
{% endtest %}

{# Fractions of a list, largest first: none above 1, and none above the one before. #}
{% test fractions_fall(model, column) %}
select *
from {{ model }}
where
    list_max({{ column }}) > 1 + 1e-9
    or list_min({{ column }}) <= 0
    or list_reverse_sort({{ column }}) <> {{ column }}
{% endtest %}
