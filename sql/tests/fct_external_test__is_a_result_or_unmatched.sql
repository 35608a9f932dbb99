-- An attempt in marts.fct_external_test whose student the roster has is a result of that student in
-- marts.fct_assessment_result, with its score if it is scored; any other has a reason why not, and
-- is listed with it in marts.rpt_unmatched_result.
select r.district_id, r.result_id, t.student_id, t.match_reason, f.student_id as student_of_result
from external_tests.current_results r
join marts.fct_external_test t
    on t.district_id = r.district_id and t.vendor_student_id = r.student_id
    and t.lesson_id = r.lesson_id and t.attempt = r.attempt
left join marts.fct_assessment_result f
    on f.district_id = r.district_id and f.source_record_id = r.result_id
    and f.source_system = 'powerpath'
left join marts.rpt_unmatched_result u
    on u.district_id = r.district_id and u.source_record_id = r.result_id
    and u.source_system = 'powerpath'
where (t.student_id is null) = (t.match_reason is null)
    or f.student_id is distinct from t.student_id
    or u.reject_reason is distinct from t.match_reason
    or (t.score_status = 'scored' and f.percent_correct <> t.score)
