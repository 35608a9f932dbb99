-- A student has one row in marts.dim_student.
select district_id, student_id, count(*) as copies
from marts.dim_student t
group by district_id, student_id
having count(*) > 1
