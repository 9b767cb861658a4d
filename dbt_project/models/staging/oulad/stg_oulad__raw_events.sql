select
    raw_file,
    raw_row,
    json_object(
        'code_module', code_module,
        'code_presentation', code_presentation,
        'date_registration', date_registration
    )::varchar as raw_payload,
    'oulad' as source
from {{ source('oulad', 'registrations') }}
union all
select
    raw_file || '#date_unregistration' as raw_file,
    raw_row,
    json_object(
        'code_module', code_module,
        'code_presentation', code_presentation,
        'date_unregistration', date_unregistration
    )::varchar as raw_payload,
    'oulad' as source
from {{ source('oulad', 'registrations') }}
where date_unregistration is not null
union all
select
    raw_file,
    raw_row,
    json_object(
        'id_assessment', id_assessment,
        'date_submitted', date_submitted,
        'is_banked', is_banked,
        'score', score
    )::varchar as raw_payload,
    'oulad' as source
from {{ source('oulad', 'submissions') }}
