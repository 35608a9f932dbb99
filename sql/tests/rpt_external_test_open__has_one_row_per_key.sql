-- A pair of student and lesson has one row in marts.rpt_external_test_open.
select district_id, vendor_student_id, lesson_id, count(*) as copies
from marts.rpt_external_test_open t
group by district_id, vendor_student_id, lesson_id
having count(*) > 1
