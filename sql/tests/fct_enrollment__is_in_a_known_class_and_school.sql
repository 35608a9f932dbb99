-- Every version in marts.fct_enrollment names a class of marts.dim_class and a school of
-- marts.dim_school; where it is current, the class is current too.
select e.district_id, e.enrollment_id, e.valid_from, e.class_id, e.school_id
from marts.fct_enrollment e
left join marts.dim_class c on c.district_id = e.district_id and c.class_id = e.class_id
left join marts.dim_school s on s.district_id = e.district_id and s.school_id = e.school_id
where c.class_id is null or s.school_id is null or (e.is_current and not c.is_current)
