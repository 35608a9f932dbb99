-- Which students are below benchmark in two sources or more?
--
-- How to read it: one row per student. Two tests that agree are a better reason to act than one on
-- a bad day. Below benchmark is what the test's own benchmark says; where a test has none, a
-- percentile below `percentile`. `tested_in` counts the sources with a verdict on the student.
--
-- Caveats: names students: for those who teach them. Percentiles are of each vendor's own norms.
-- A student who was tested in one source only is never in it, however low.
with asked as (
    select 'quillmere' as district_id, 2027 as school_year, 'spring' as term,
        'math' as subject, 25 as percentile
),
verdicts as (
    select
        r.district_id, r.student_id, r.source_system,
        bool_or(coalesce(not r.is_proficient, r.percentile < a.percentile)) as is_below
    from asked a
    join marts.fct_assessment_result r
        on r.district_id = a.district_id and r.school_year = a.school_year
        and r.term = a.term and r.subject = a.subject
    where r.objective_code = 'overall' and r.is_primary
        and coalesce(not r.is_proficient, r.percentile < a.percentile) is not null
    group by r.district_id, r.student_id, r.source_system
)
select
    s.school_name,
    s.grade,
    s.family_name,
    s.given_name,
    s.student_id,
    count(*) as tested_in,
    string_agg(case when v.is_below then v.source_system end, ', ' order by v.source_system)
        as below_in
from verdicts v
join marts.dim_student s on s.district_id = v.district_id and s.student_id = v.student_id
where s.is_current
group by s.school_name, s.grade, s.family_name, s.given_name, s.student_id
having count(*) filter (where v.is_below) >= 2
order by 1, 2, 3, 4, 5
