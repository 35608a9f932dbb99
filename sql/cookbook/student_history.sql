-- What is known of one student, over all sources?
--
-- How to read it: one row per result of a test as a whole, the latest first. `identifier` may be
-- any by which results name students: student number, state number, user name, e-mail address or
-- sourcedId. Where `counts` is true, the result is the one of its term.
--
-- Caveats: personal, of one child: for those who work with the student. Scores of two tests do not
-- compare, percentiles only roughly. Results of years in another district are not here.
with asked as (
    select 'quillmere' as district_id, '0000152' as identifier
),
meant as (
    select distinct i.district_id, i.student_id
    from asked a
    join marts.dim_student_identifier i
        on i.district_id = a.district_id and i.match_value = a.identifier
)
select
    r.school_year,
    r.term,
    r.test_date,
    r.source_system,
    r.assessment_name,
    r.subject,
    r.grade_tested,
    r.score_status,
    r.is_primary as counts,
    r.scale_score,
    r.percentile,
    r.performance_level,
    r.is_proficient,
    r.result_key
from meant m
join marts.fct_assessment_result r
    on r.district_id = m.district_id and r.student_id = m.student_id
where r.objective_code = 'overall' and not r.is_deleted
order by r.test_date desc nulls last, 4, 5, 6, 14
