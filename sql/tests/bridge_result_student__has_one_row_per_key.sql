-- An id that results name has one row in marts.bridge_result_student.
select district_id, match_field, match_value, count(*) as copies
from marts.bridge_result_student t
group by district_id, match_field, match_value
having count(*) > 1
