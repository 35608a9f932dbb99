-- One row per version of an enrollment: of one person in one class, in one role. A version holds
-- from valid_from until the delivery that changed or dropped it.
-- Key: district_id, enrollment_id, valid_from
-- Fresh: The latest roster delivery; earlier ones are kept as versions.
-- Caveats: Several rows an enrollment, one for each version: ask for is_enrolled, is_current or a
--   day. Nothing is known of days before the district's first delivery.
--
-- district_id: District that the row belongs to.
-- enrollment_id: Identifier of the enrollment; built from class, person, role and begin date where
--   the delivery has none. [direct]
-- valid_from: Delivery day from which the roster said so.
-- valid_to: Delivery day from which it no longer did (exclusive); null while it does.
-- is_current: True where the latest delivery says so and still has the person and the class.
-- is_enrolled: True where is_current and the latest delivery day lies in begin and end date:
--   enrolled right now.
-- role: What the person does in the class: student, teacher, proctor or administrator.
-- is_primary_teacher: True for the teacher in charge of the class; null where not said.
-- user_id: The person: student_id of dim_student, or staff_id of dim_staff. [direct]
-- class_id: The class: class_id of dim_class.
-- school_id: School of the enrollment, else of its class: school_id of dim_school.
-- begin_date: First day of the enrollment, inclusive; null means no known start.
-- end_date: Last day, exclusive; null means no known end.
--
-- Enrolled right now: `where is_enrolled`.
-- Enrolled on a day, as the roster of that day said:
--
--     where valid_from <= date '2026-10-01' and (valid_to is null or valid_to > date '2026-10-01')
--       and (begin_date is null or begin_date <= date '2026-10-01')
--       and (end_date is null or end_date > date '2026-10-01')
--
-- Enrolled on a day, as the latest roster says: `where is_current` and the last two lines. Before
-- the district's first delivery only the second question has an answer.
with roster_day as (
    select district_id, max(delivery_day) as last_day
    from ops.sync_files f
    where table_name like 'roster.%' and status <> 'kept'
    group by district_id
),
-- Marked as deleted in a delta, while enrollments of theirs were left standing.
deleted_users as (
    select district_id, sourced_id
    from roster.users u
    where valid_to is null and status = 'tobedeleted'
),
versions as (
    select
        e.district_id, e.sourced_id, e.valid_from, e.valid_to, e.role, e.is_primary,
        e.user_sourced_id, e.class_sourced_id, e.begin_date, e.end_date,
        coalesce(e.school_sourced_id, c.school_id) as school_id,
        d.last_day,
        e.valid_to is null and x.sourced_id is null and coalesce(c.is_current, false) as is_current
    from roster.enrollments e
    left join roster_day d on d.district_id = e.district_id
    left join marts.dim_class c
        on c.district_id = e.district_id and c.class_id = e.class_sourced_id
    left join deleted_users x
        on x.district_id = e.district_id and x.sourced_id = e.user_sourced_id
    where e.status <> 'tobedeleted'
)
select
    district_id,
    sourced_id as enrollment_id,
    valid_from,
    valid_to,
    is_current,
    is_current
        and (begin_date is null or begin_date <= last_day)
        and (end_date is null or end_date > last_day) as is_enrolled,
    role,
    is_primary as is_primary_teacher,
    user_sourced_id as user_id,
    class_sourced_id as class_id,
    school_id,
    begin_date,
    end_date
from versions
