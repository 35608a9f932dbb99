-- Of the results of a student, assessment, subject, course, school year and term exactly one is
-- primary where any is scored and was not deleted; where none is, no one is primary.
select
    district_id, student_id, assessment_code, subject, course, school_year, term,
    count(*) filter (where is_primary) as primary_count,
    count(*) filter (where score_status = 'scored' and not is_deleted) as scored_count
from marts.fct_assessment_result t
where objective_code = 'overall'
group by district_id, student_id, assessment_code, subject, course, school_year, term
having count(*) filter (where is_primary)
    <> max(case when score_status = 'scored' and not is_deleted then 1 else 0 end)
    or count(*) filter (where is_primary and (score_status <> 'scored' or is_deleted)) > 0
