{# The truths of arithmetic of contents and interests: each test returns the rows that break one. #}

{# The lower end of an interval around a share lies below it, and not below nothing. #}
{% test confidence_below_share(model) %}
select *
from {{ model }}
where
    len(list_filter(
        list_zip(shares, confidences, lifts, event_counts),
        lambda tag: tag[2] < 0 or tag[2] > tag[1] or tag[3] <= 0 or tag[4] < 1
    )) > 0
{% endtest %}

{# No mean lies outside of what it is the mean of. #}
{% test means_stay_among(model, columns) %}
with widest as (
    select max(list_max(list_transform(embedding, lambda one: abs(one)))) as most
    from {{ ref('int_text_embeddings') }}
)

select *
from {{ model }}
cross join widest
where
    false
    {% for column in columns %}
        or {{ column }} is null
        or list_max(list_transform({{ column }}, lambda one: abs(one))) > widest.most * (1 + 1e-6)
    {% endfor %}
{% endtest %}

{% test covers_every_item_with_text(model) %}
select items.item_id
from {{ ref('int_items') }} as items
anti join {{ model }} as contents on items.item_id = contents.item_id
where items.title is not null or len(items.categories) > 0 or items.description is not null
{% endtest %}

{% test covers_every_item_with_dates(model) %}
select items.item_id
from {{ ref('int_items') }} as items
anti join {{ model }} as dates on items.item_id = dates.item_id
where items.available_from is not null or items.available_until is not null
{% endtest %}

{% test falls_along(model, column) %}
select *
from {{ model }}
where {{ column }} <> list_reverse_sort({{ column }}) or list_min({{ column }}) <= 0
{% endtest %}

{# What is counted of each tag adds up to what is counted of its kind, on the last day. #}
{% test tags_make_the_whole(model) %}
select tag_kind
from (
    select
        tag_kind,
        tag,
        max(events) as events,
        max(kind_events) as kind_events,
        count(distinct events) < count(*) as stands_still
    from {{ model }}
    group by tag_kind, tag
)
group by tag_kind
having sum(events) <> max(kind_events) or bool_or(stands_still)
{% endtest %}

{# Vectors of different models have nothing to do with each other. #}
{% test vectors_of_a_model_are_of_one_length(model) %}
select model
from {{ model }}
group by model
having min(len(vector)) <> max(len(vector))
{% endtest %}

{% test vectors_are_of_one_length(model, columns) %}
with lengths as (
    select max(len(embedding)) as length from {{ ref('int_text_embeddings') }}
)

select *
from {{ model }}
cross join lengths
where
    false
    {% for column in columns %}
        or len({{ column }}) <> lengths.length
    {% endfor %}
{% endtest %}
