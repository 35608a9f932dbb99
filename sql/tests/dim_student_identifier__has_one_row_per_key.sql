-- An identifier of a student has one row in marts.dim_student_identifier.
select district_id, match_field, match_value, student_id, count(*) as copies
from marts.dim_student_identifier t
group by district_id, match_field, match_value, student_id
having count(*) > 1
