-- How did each class do, and who teaches it?
--
-- How to read it: one row per class of today with `least_students` tested students or more.
-- `tested` of `students` have a score that counts; mean scale score and median percentile are
-- theirs.
--
-- Caveats: says how the students of a class stand, not how good the teaching is: classes begin
-- from different places, and a class list of today may differ from that of the day of the test. A
-- student is in every class attended, so classes are not to be added up. Percentiles have a
-- median here because their mean means nothing.
with asked as (
    select 'quillmere' as district_id, 2027 as school_year, 'spring' as term,
        'star_math' as assessment_code, 'Mathematics' as class_subject, 5 as least_students
),
taught as (
    select
        e.district_id, e.class_id,
        string_agg(distinct f.family_name, ', ' order by f.family_name) as teachers
    from asked a
    join marts.fct_enrollment e on e.district_id = a.district_id
    join marts.dim_staff f on f.district_id = e.district_id and f.staff_id = e.user_id
    where e.role = 'teacher' and e.is_enrolled
    group by e.district_id, e.class_id
)
select
    c.school_name,
    c.class_title,
    t.teachers,
    c.student_count as students,
    count(*) as tested,
    round(cast(avg(r.scale_score) as numeric(12, 6)), 1) as mean_scale_score,
    cast(percentile_cont(0.5) within group (order by r.percentile) as double precision)
        as median_percentile
from asked a
join marts.dim_class c on c.district_id = a.district_id and c.subjects = a.class_subject
join marts.fct_enrollment e
    on e.district_id = c.district_id and e.class_id = c.class_id
    and e.role = 'student' and e.is_enrolled
join marts.fct_assessment_result r
    on r.district_id = e.district_id and r.student_id = e.user_id
    and r.school_year = a.school_year and r.term = a.term
    and r.assessment_code = a.assessment_code
left join taught t on t.district_id = c.district_id and t.class_id = c.class_id
where r.objective_code = 'overall' and r.is_primary and r.scale_score is not null
group by c.school_name, c.class_title, c.class_id, t.teachers, c.student_count, a.least_students
having count(*) >= a.least_students
order by 1, 2, 3
