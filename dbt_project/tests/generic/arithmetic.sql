{# The truths of arithmetic that the marts must keep: each test returns the rows that break one. #}

{# A longer window holds at least what a shorter one holds, and none is negative. #}
{% test counts_nest(model, columns) %}
select *
from {{ model }}
where
    {{ columns[0] }} < 0
    {% for shorter in columns[:-1] %}
        or {{ shorter }} > {{ columns[loop.index] }}
    {% endfor %}
{% endtest %}

{# The sum over nothing is nothing, and windows that hold as many hold the same. Sums do not nest: an
   amount can be paid back. #}
{% test sums_follow_counts(model, sums, counts) %}
select *
from {{ model }}
where
    false
    {% for n in range(sums | length) %}
        or ({{ counts[n] }} = 0 and {{ sums[n] }} <> 0)
        {% if n %}
            or ({{ counts[n - 1] }} = {{ counts[n] }} and {{ sums[n - 1] }} <> {{ sums[n] }})
        {% endif %}
    {% endfor %}
{% endtest %}

{# Shares are of the whole: they add up to one, unless the list was cut at `kept`. #}
{% test shares_add_up(model, column, kept) %}
select *
from {{ model }}
where
    list_sum({{ column }}) > 1 + 1e-9
    or (len({{ column }}) < {{ kept }} and abs(list_sum({{ column }}) - 1) > 1e-9)
{% endtest %}

{# Columns that are shares of one whole, or that are all null. #}
{% test mix_adds_up(model, columns) %}
select *
from {{ model }}
where
    abs({{ columns | join(' + ') }} - 1) > 1e-9
    or least({{ columns | join(', ') }}) < 0
    or coalesce({{ columns | join(', ') }}) is null <> ({{ columns | join(' + ') }} is null)
{% endtest %}

{% test parallel_lists(model, columns) %}
select *
from {{ model }}
where
    false
    {% for column in columns[1:] %}
        or len({{ column }}) is distinct from len({{ columns[0] }})
    {% endfor %}
{% endtest %}

{# Feast keeps timestamps to the second: a finer one would differ between offline and online. #}
{% test whole_seconds(model, column_name) %}
select *
from {{ model }}
where {{ column_name }} <> date_trunc('second', {{ column_name }})
{% endtest %}

{% test asked_before(model) %}
select *
from {{ model }}
where asked_at >= event_timestamp
{% endtest %}

{% test covers_every_item_seen(model) %}
select events.item_id
from {{ ref("int_item_events") }} as events
anti join {{ model }} as items on events.item_id = items.item_id
{% endtest %}

{% test rejected_is_not_accepted(model) %}
select rejected.raw_file, rejected.raw_row
from {{ model }} as rejected
inner join {{ ref('int_events_checked') }} as checked
    on
        rejected.source = checked.source
        and rejected.raw_file = checked.raw_file
        and rejected.raw_row = checked.raw_row
where checked.rejected_because is null
{% endtest %}

{# Law 1. #}
{% test nothing_lost(model) %}
select *
from {{ model }}
where raw_rows <> accepted_rows + quarantined_rows
{% endtest %}

{# Each accepted event is somebody's once by what was known when it came. #}
{% test told_once(model) %}
select coalesce(events.event_id, told.event_id) as event_id
from {{ ref('int_events_canonical') }} as events
full outer join (
    select
        source,
        event_id
    from {{ model }}
    where not is_retold
) as told
    on events.source = told.source and events.event_id = told.event_id
where events.event_id is null or told.event_id is null
{% endtest %}
