-- How many students are proficient, by school, grade and year, fit to be shown outside?
--
-- How to read it: one row per school year, school, grade, test and subject. Each student counts
-- once, by the last result of the year that counts. Where fewer than `least_students` were tested, their
-- number and share are null and `is_hidden` is true.
--
-- Caveats: only tests whose results say what is proficient. Small cells are hidden, and nothing is
-- summed up: publishing a total beside the parts would give a hidden one away. Shares near 0 or
-- 100 tell of everybody in a cell: many states hide those beyond 5 and 95 as well. The school is
-- the student's latest one.
with asked as (
    select 'quillmere' as district_id, 10 as least_students
),
results as (
    select
        a.least_students, r.district_id, r.school_year, r.school_id, r.grade_tested,
        r.assessment_code, r.subject, r.is_proficient,
        row_number() over (
            partition by r.district_id, r.school_year, r.student_id, r.assessment_code, r.subject
            order by r.test_date desc nulls last, r.result_key
        ) as recency
    from asked a
    join marts.fct_assessment_result r on r.district_id = a.district_id
    where r.objective_code = 'overall' and r.is_primary and r.is_proficient is not null
),
cells as (
    select
        r.district_id, r.school_year, r.school_id, r.grade_tested, r.assessment_code,
        r.subject,
        count(*) < r.least_students as is_hidden,
        count(*) as students,
        count(*) filter (where r.is_proficient) as proficient
    from results r
    where r.recency = 1
    group by r.district_id, r.school_year, r.school_id, r.grade_tested, r.assessment_code,
        r.subject, r.least_students
)
select
    c.school_year,
    s.school_name,
    c.grade_tested as grade,
    c.assessment_code,
    c.subject,
    c.is_hidden,
    case when not c.is_hidden then c.students end as students,
    case when not c.is_hidden then cast(round(100.0 * c.proficient / c.students) as integer) end
        as proficient_percent
from cells c
join marts.dim_school s on s.district_id = c.district_id and s.school_id = c.school_id
order by 1, 2, 3, 4, 5
