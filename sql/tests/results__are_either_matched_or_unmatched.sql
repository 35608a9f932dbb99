-- Every result of a test as a whole is either in marts.fct_assessment_result or in
-- marts.rpt_unmatched_result: none is lost, none is in both.
select
    district_id, source_system, source_record_id, subject, course,
    sum(results) as results, sum(matched) as matched, sum(unmatched) as unmatched
from (
    select
        r.district_id, r.source_system, r.source_record_id, r.subject, r.course,
        1 as results, 0 as matched, 0 as unmatched
    from assessments.results r
    where r.objective_code = 'overall'
    union all
    select f.district_id, f.source_system, f.source_record_id, f.subject, f.course, 0, 1, 0
    from marts.fct_assessment_result f
    where f.objective_code = 'overall'
    union all
    select u.district_id, u.source_system, u.source_record_id, u.subject, u.course, 0, 0, 1
    from marts.rpt_unmatched_result u
) counted
group by district_id, source_system, source_record_id, subject, course
having sum(results) <> sum(matched) + sum(unmatched) or (sum(matched) > 0 and sum(unmatched) > 0)
