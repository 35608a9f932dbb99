-- One row per district, student and identifier by which results may name the student. What the
-- roster says in the latest version of the student counts, also of those who left.
-- Key: district_id, match_field, match_value, student_id
-- Fresh: The latest roster delivery.
-- Caveats: Two students may have one identifier; then results that name it match nobody.
--
-- district_id: District that the row belongs to.
-- match_field: username, district_user_id, state_user_id, alternate_user_id, email or sourced_id.
-- match_value: The identifier, trimmed; user names and e-mail addresses in small letters. [direct]
-- student_id: Identifier of the student in the roster (sourcedId). [direct]
-- is_current: True while the latest delivery has the student.
--
-- `sourced_id` is the sourcedId alone; `district_user_id` is the roster's `identifier`, or the sourcedId of a student who has none;
-- `state_user_id` the state number among the user ids, `alternate_user_id` each of the others.
with fields as (
    select district_id, student_id, is_current, 'username' as match_field,
        lower(trim(username)) as match_value
    from marts.dim_student u
    union all
    select district_id, student_id, is_current, 'email', lower(trim(email))
    from marts.dim_student e
    union all
    select district_id, student_id, is_current, 'district_user_id',
        trim(coalesce(identifier, student_id))
    from marts.dim_student d
    union all
    select district_id, student_id, is_current, 'state_user_id', trim(state_id)
    from marts.dim_student s
    union all
    select district_id, student_id, is_current, 'sourced_id', trim(student_id)
    from marts.dim_student o
    union all
    select
        listed.district_id, listed.student_id, listed.is_current, 'alternate_user_id',
        trim(regexp_replace(listed.entry, '^[^:]*:(.*)[}]$', '\1'))
    from (
        select
            a.district_id, a.student_id, a.is_current, a.state_id,
            unnest(string_to_array(a.user_ids, ',')) as entry
        from marts.dim_student a
        where a.user_ids is not null
    ) listed
    where listed.state_id is null or strpos(listed.entry, ':' || listed.state_id || '}') = 0
)
select distinct district_id, match_field, match_value, student_id, is_current
from fields
where match_value is not null and match_value <> ''
