-- The questions that polls brought of an attempt are all in marts.fct_external_test_question, and
-- as many as marts.fct_external_test counts.
select
    district_id, vendor_student_id, lesson_id, attempt,
    sum(brought) as brought, sum(listed) as listed, sum(counted) as counted
from (
    select
        q.district_id, q.student_id as vendor_student_id, q.lesson_id, q.attempt,
        1 as brought, 0 as listed, 0 as counted
    from external_tests.current_question_results q
    union all
    select l.district_id, l.vendor_student_id, l.lesson_id, l.attempt, 0, 1, 0
    from marts.fct_external_test_question l
    union all
    select t.district_id, t.vendor_student_id, t.lesson_id, t.attempt, 0, 0, t.question_count
    from marts.fct_external_test t
) three_ways
group by district_id, vendor_student_id, lesson_id, attempt
having sum(brought) <> sum(listed)
    or (sum(counted) > 0 and sum(brought) <> sum(counted))
