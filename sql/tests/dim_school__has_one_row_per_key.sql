-- A school has one row in marts.dim_school.
select district_id, school_id, count(*) as copies
from marts.dim_school t
group by district_id, school_id
having count(*) > 1
