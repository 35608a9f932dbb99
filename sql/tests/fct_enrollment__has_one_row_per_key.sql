-- A version of an enrollment has one row in marts.fct_enrollment.
select district_id, enrollment_id, valid_from, count(*) as copies
from marts.fct_enrollment t
group by district_id, enrollment_id, valid_from
having count(*) > 1
