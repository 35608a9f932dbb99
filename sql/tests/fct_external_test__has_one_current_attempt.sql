-- Of the attempts of a student at a lesson in marts.fct_external_test the latest, and no other, is
-- the current one.
select
    district_id, vendor_student_id, lesson_id,
    count(*) filter (where is_current_attempt) as current_count
from marts.fct_external_test t
group by district_id, vendor_student_id, lesson_id
having count(*) filter (where is_current_attempt) <> 1
    or max(case when is_current_attempt then attempt end) <> max(attempt)
