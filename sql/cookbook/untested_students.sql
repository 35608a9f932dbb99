-- Who has not been tested yet?
--
-- How to read it: one row per student of the roster in one of `grades` without a score in the test.
-- `what_is_known` is `no result`, or why a result has no score: absent, invalidated, partial and so
-- on. Those with a result came to the test; the others are to be invited.
--
-- Caveats: names students. A result that waits for its school or student is nobody's yet: look at
-- marts.rpt_unmatched_result before you call a student untested. Rows that were rejected count as
-- no result.
with asked as (
    select 'quillmere' as district_id, 2027 as school_year, 'spring' as term,
        'nwea_map_growth' as assessment_code, 'math' as subject, '03,04,05,06,07,08' as grades
),
tested as (
    select
        r.district_id, r.student_id,
        bool_or(r.score_status = 'scored') as has_score,
        max(case when r.score_status <> 'scored' then r.score_status end) as without_score
    from asked a
    join marts.fct_assessment_result r
        on r.district_id = a.district_id and r.school_year = a.school_year
        and r.term = a.term and r.assessment_code = a.assessment_code and r.subject = a.subject
    where r.objective_code = 'overall' and not r.is_deleted
    group by r.district_id, r.student_id
)
select
    s.school_name,
    s.grade,
    s.family_name,
    s.given_name,
    s.student_id,
    coalesce(t.without_score, 'no result') as what_is_known
from asked a
join marts.dim_student s on s.district_id = a.district_id
left join tested t on t.district_id = s.district_id and t.student_id = s.student_id
where s.is_current and ',' || a.grades || ',' like '%,' || s.grade || ',%'
    and not coalesce(t.has_score, false)
order by 1, 2, 3, 4, 5
