with assessments as (
    select * from {{ source('oulad', 'assessments') }}
),

courses as (
    select
        code_module,
        code_presentation
    from {{ source('oulad', 'registrations') }}
    union
    select
        code_module,
        code_presentation
    from assessments
)

select
    code_module || '/' || code_presentation as item_id,
    code_module || ' ' || code_presentation as title,
    [code_module, 'course'] as categories,
    try_cast(left(code_presentation, 4) as integer) as release_year
from courses
union all
select
    code_module || '/' || code_presentation || '/' || id_assessment as item_id,
    concat_ws(' ', code_module, code_presentation, assessment_type, id_assessment) as title,
    list_filter([code_module, assessment_type], lambda one: one is not null) as categories,
    try_cast(left(code_presentation, 4) as integer) as release_year
from assessments
