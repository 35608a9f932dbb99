-- An assessment, subject and course of which there are results that were not deleted is in
-- marts.dim_assessment, with their number.
select
    district_id, assessment_code, subject, course,
    sum(results) as results, sum(counted) as counted
from (
    select r.district_id, r.assessment_code, r.subject, r.course, 1 as results, 0 as counted
    from assessments.results r
    where r.objective_code = 'overall' and not r.is_deleted
    union all
    select d.district_id, d.assessment_code, d.subject, d.course, 0, d.result_count
    from marts.dim_assessment d
) both_ways
group by district_id, assessment_code, subject, course
having sum(results) <> sum(counted)
