-- One row per district, match field and id that results name: the student whom it means, or why
-- there is none. An id is compared as it is; where it has no match and is a number, without its
-- leading zeros, if that is unambiguous on both sides.
-- Key: district_id, match_field, match_value
-- Fresh: The latest load of results or of the roster.
-- Caveats: Matching is done anew each time: a later roster may match what was unmatched.
--
-- district_id: District that the row belongs to.
-- match_field: Field of the roster that was chosen at the upload.
-- match_value: The id as the results have it; blank where they have none. [direct]
-- student_id: The student (sourcedId); null where nobody, or more than one, was found. [direct]
-- match_method: exact, or zero_insensitive where leading zeros were passed over.
-- reject_reason: missing_user_id (blank), bad_user_id (damaged, such as 1.23E+09 or #N/A),
--   ambiguous_user (more than one student has it) or user_not_found; null where matched.
with named as (
    select
        r.district_id, r.match_field, coalesce(r.match_value, '') as match_value
    from assessments.results r
    group by r.district_id, r.match_field, coalesce(r.match_value, '')
),
judged as (
    select
        n.*,
        case
            when n.match_field in ('username', 'email') then lower(trim(n.match_value))
            else trim(n.match_value)
        end as id,
        case
            when trim(n.match_value) = '' then 'missing_user_id'
            when upper(trim(n.match_value))
                in ('#N/A', '#REF!', '#VALUE!', '#NAME?', 'N/A', 'NA', 'NULL', 'NONE', 'NAN')
                then 'bad_user_id'
            when regexp_replace(trim(n.match_value), '^0+$', '') = '' then 'bad_user_id'
            when regexp_replace(trim(n.match_value), '^[0-9]+([.][0-9]+)?[eE][+]?[0-9]+$', '') = ''
                and n.match_field not in ('username', 'email')
                then 'bad_user_id'
        end as damage,
        case
            when regexp_replace(trim(n.match_value), '^[0-9]+$', '') = ''
                then ltrim(trim(n.match_value), '0')
        end as number
    from named n
),
numbered as (
    select
        j.*,
        count(*) over (partition by j.district_id, j.match_field, j.number) as of_this_number
    from judged j
),
exact as (
    select
        n.district_id, n.match_field, n.match_value,
        count(distinct i.student_id) as students,
        count(distinct case when i.is_current then i.student_id end) as current_students,
        max(i.student_id) as student_id,
        max(case when i.is_current then i.student_id end) as current_student_id
    from numbered n
    join marts.dim_student_identifier i
        on i.district_id = n.district_id and i.match_field = n.match_field
        and i.match_value = n.id
    where n.damage is null
    group by n.district_id, n.match_field, n.match_value
),
of_roster as (
    select
        z.district_id, z.match_field, ltrim(z.match_value, '0') as number,
        count(distinct z.student_id) as students,
        max(z.student_id) as student_id
    from marts.dim_student_identifier z
    where regexp_replace(z.match_value, '^[0-9]+$', '') = ''
    group by z.district_id, z.match_field, ltrim(z.match_value, '0')
)
select
    n.district_id,
    n.match_field,
    n.match_value,
    case
        when n.damage is not null then null
        when e.students = 1 then e.student_id
        when e.current_students = 1 then e.current_student_id
        when e.students is null and z.students = 1 and n.of_this_number = 1 then z.student_id
    end as student_id,
    case
        when n.damage is not null then null
        when e.students = 1 or e.current_students = 1 then 'exact'
        when e.students is null and z.students = 1 and n.of_this_number = 1
            then 'zero_insensitive'
    end as match_method,
    case
        when n.damage is not null then n.damage
        when e.students = 1 or e.current_students = 1 then null
        when e.students > 1 then 'ambiguous_user'
        when z.students = 1 and n.of_this_number = 1 then null
        when z.students >= 1 then 'ambiguous_user'
        else 'user_not_found'
    end as reject_reason
from numbered n
left join exact e
    on e.district_id = n.district_id and e.match_field = n.match_field
    and e.match_value = n.match_value
left join of_roster z
    on z.district_id = n.district_id and z.match_field = n.match_field and z.number = n.number
