-- An id that results name has either a student of marts.dim_student and the way of finding it, or a
-- reason why there is none.
select b.district_id, b.match_field, b.match_value, b.student_id, b.reject_reason
from marts.bridge_result_student b
left join marts.dim_student s on s.district_id = b.district_id and s.student_id = b.student_id
where (b.student_id is null) = (b.reject_reason is null)
    or (b.student_id is null) <> (b.match_method is null)
    or (b.student_id is not null and s.student_id is null)
