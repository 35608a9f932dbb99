-- Every attempt that a poll brought is in marts.fct_external_test as it came, whether its student
-- is in the roster or not, and nothing else is.
select
    coalesce(r.district_id, t.district_id) as district_id, r.result_id, t.vendor_student_id,
    t.lesson_id, t.attempt
from external_tests.current_results r
full join marts.fct_external_test t
    on t.district_id = r.district_id and t.vendor_student_id = r.student_id
    and t.lesson_id = r.lesson_id and t.attempt = r.attempt
where r.result_id is null
    or t.attempt is null
    or t.finalized <> coalesce(r.finalized, false)
    or t.score is distinct from r.score
    or t.correct_questions is distinct from r.correct_questions
    or t.total_questions is distinct from r.total_questions
