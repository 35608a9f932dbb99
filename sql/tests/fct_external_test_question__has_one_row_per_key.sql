-- A question of an attempt has one row in marts.fct_external_test_question.
select district_id, vendor_student_id, lesson_id, attempt, question_id, count(*) as copies
from marts.fct_external_test_question q
group by district_id, vendor_student_id, lesson_id, attempt, question_id
having count(*) > 1
