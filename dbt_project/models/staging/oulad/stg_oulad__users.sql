with told as (
    select
        {{ pseudonym('students.id_student') }} as user_id,
        coalesce(
            {{ course_day('registrations.code_presentation', 'registrations.date_registration') }},
            {{ course_start('students.code_presentation') }}
        ) as valid_from,
        max(students.age_band) as age_band,
        max(students.region) as region
    from {{ source('oulad', 'students') }} as students
    left join {{ source('oulad', 'registrations') }} as registrations
        on
            students.id_student = registrations.id_student
            and students.code_module = registrations.code_module
            and students.code_presentation = registrations.code_presentation
    where students.id_student is not null
    group by all
),

changes as (
    {{ attribute_changes('oulad', 'told', ['age_band', 'region']) | indent(4) }}
)

select * from changes
