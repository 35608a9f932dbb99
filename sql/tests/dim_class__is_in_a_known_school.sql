-- Every class of marts.dim_class is in a school of marts.dim_school.
select c.district_id, c.class_id, c.school_id
from marts.dim_class c
left join marts.dim_school s on s.district_id = c.district_id and s.school_id = c.school_id
where s.school_id is null
