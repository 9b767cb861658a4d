{# Whoever did something is somebody. #}
{% test covers_every_user_seen(model) %}
select events.user_id
from {{ ref('int_user_events') }} as events
anti join {{ model }} as users on events.user_id = users.user_id
{% endtest %}

{# What is said to have been first is the first row, for all rows of an entity alike. #}
{% test first_is_first(model, column, entity) %}
select {{ entity }}
from {{ model }}
group by {{ entity }}
having
    min({{ column }}) <> max({{ column }})
    or min({{ column }}) <> date_trunc('second', min(event_timestamp))
{% endtest %}
