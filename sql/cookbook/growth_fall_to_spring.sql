-- How much did a grade grow from fall to spring?
--
-- How to read it: one row per test, subject and school. `students` have a score that counts in both
-- terms; the means are theirs alone, so that `mean_growth` is growth and not a change of students.
-- `met_percent` is the share whose growth reached what the vendor projected, where it projects.
--
-- Caveats: points of two tests do not compare. The school is where the student is now. Students who
-- came or left between the terms are not in it: compare `students` with the size of the grade.
with asked as (
    select 'quillmere' as district_id, 2027 as school_year, '06' as grade,
        'fall' as first_term, 'spring' as last_term
),
results as (
    select a.first_term, a.last_term, r.*
    from asked a
    join marts.fct_assessment_result r
        on r.district_id = a.district_id and r.school_year = a.school_year
        and r.grade_tested = a.grade
    where r.objective_code = 'overall' and r.is_primary and r.scale_score is not null
)
select
    y.assessment_name,
    y.subject,
    s.school_name,
    count(*) as students,
    round(cast(avg(x.scale_score) as numeric(12, 6)), 1) as mean_first,
    round(cast(avg(y.scale_score) as numeric(12, 6)), 1) as mean_last,
    round(cast(avg(y.scale_score - x.scale_score) as numeric(12, 6)), 1) as mean_growth,
    cast(round(
        100.0 * count(*) filter (where y.growth_met) / nullif(count(y.growth_met), 0)
    ) as integer) as met_percent
from results x
join results y
    on y.student_id = x.student_id and y.assessment_code = x.assessment_code
    and y.subject = x.subject and y.course = x.course
join marts.dim_school s on s.district_id = y.district_id and s.school_id = y.school_id
where x.term = x.first_term and y.term = y.last_term
group by y.assessment_name, y.subject, s.school_id, s.school_name
order by 1, 2, 3
