-- A member of staff has one row in marts.dim_staff.
select district_id, staff_id, count(*) as copies
from marts.dim_staff t
group by district_id, staff_id
having count(*) > 1
