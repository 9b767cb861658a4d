with registrations as (
    select * from {{ source('oulad', 'registrations') }}
),

-- An assessment that is not listed would leave its submissions without a date.
submissions as (
    select
        submissions.*,
        assessments.code_module,
        assessments.code_presentation
    from {{ source('oulad', 'submissions') }} as submissions
    left join {{ source('oulad', 'assessments') }} as assessments
        on submissions.id_assessment = assessments.id_assessment
),

clock as (
    {{ clock_of('oulad') }}
),

told as (
    select
        {{ pseudonym('id_student') }} as user_id,
        code_module || '/' || code_presentation as item_id,
        'registration' as event_type,
        {{ course_day('code_presentation', 'date_registration') }} as happened_at,
        null::decimal(18, 4) as value,
        null::varchar as pack_fault,
        raw_file,
        raw_row
    from registrations
    union all
    -- One row says two things; the second has a place of its own, beside the file.
    select
        {{ pseudonym('id_student') }} as user_id,
        code_module || '/' || code_presentation as item_id,
        'unregistration' as event_type,
        {{ course_day('code_presentation', 'date_unregistration') }} as happened_at,
        null::decimal(18, 4) as value,
        null::varchar as pack_fault,
        raw_file || '#date_unregistration' as raw_file,
        raw_row
    from registrations
    where date_unregistration is not null
    union all
    select
        {{ pseudonym('id_student') }} as user_id,
        code_module || '/' || code_presentation || '/' || id_assessment as item_id,
        'submission' as event_type,
        {{ course_day('code_presentation', 'date_submitted') }} as happened_at,
        try_cast(score as decimal(18, 4)) as value,
        -- A result of an earlier presentation: nothing was handed in.
        case when is_banked = '1' then 'banked_result' end as pack_fault,
        raw_file,
        raw_row
    from submissions
)

select
    told.event_type || ':' || told.user_id || ':' || told.item_id as event_id,
    told.user_id,
    told.item_id,
    told.event_type,
    told.happened_at + clock.shift as event_timestamp,
    told.happened_at + clock.shift as loaded_at,
    told.value,
    told.pack_fault,
    'oulad' as source,
    told.raw_file,
    told.raw_row
from told
cross join clock
