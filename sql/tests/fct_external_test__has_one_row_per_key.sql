-- An attempt of a student at a lesson has one row in marts.fct_external_test.
select district_id, vendor_student_id, lesson_id, attempt, count(*) as copies
from marts.fct_external_test t
group by district_id, vendor_student_id, lesson_id, attempt
having count(*) > 1
