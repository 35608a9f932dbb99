-- Who was in which class of a school on a past day, and who taught it?
--
-- How to read it: one row per class and student, as the roster of that day said, whatever became of
-- it since. Leave out `school_id` in the join to ask for the whole district.
--
-- Caveats: names students. Names, titles and grades are those of today. Before the district's first
-- delivery there is no answer. For the day as the latest roster sees it, with what was put right
-- since, take `e.is_current` in place of the two lines with valid_from and valid_to.
with asked as (
    select 'quillmere' as district_id, '0101' as school_id, date '2026-10-01' as on_day
),
enrolled as (
    select e.district_id, e.class_id, e.user_id, e.role
    from asked a
    join marts.fct_enrollment e
        on e.district_id = a.district_id and e.school_id = a.school_id
        and e.valid_from <= a.on_day and (e.valid_to is null or e.valid_to > a.on_day)
        and (e.begin_date is null or e.begin_date <= a.on_day)
        and (e.end_date is null or e.end_date > a.on_day)
),
taught as (
    select
        e.district_id, e.class_id,
        string_agg(distinct f.family_name, ', ' order by f.family_name) as teachers
    from enrolled e
    join marts.dim_staff f on f.district_id = e.district_id and f.staff_id = e.user_id
    where e.role = 'teacher'
    group by e.district_id, e.class_id
)
select
    c.class_title,
    t.teachers,
    s.family_name,
    s.given_name,
    s.grade,
    s.student_id
from enrolled e
join marts.dim_class c on c.district_id = e.district_id and c.class_id = e.class_id
join marts.dim_student s on s.district_id = e.district_id and s.student_id = e.user_id
left join taught t on t.district_id = e.district_id and t.class_id = e.class_id
where e.role = 'student'
order by 1, 3, 4, 6
