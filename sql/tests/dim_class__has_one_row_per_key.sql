-- A class has one row in marts.dim_class.
select district_id, class_id, count(*) as copies
from marts.dim_class t
group by district_id, class_id
having count(*) > 1
