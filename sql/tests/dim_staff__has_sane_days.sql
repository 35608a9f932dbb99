-- A member of staff in marts.dim_staff has left if and only if there is a last day, which is not
-- before the first.
select district_id, staff_id, is_current, first_seen_on, last_seen_on
from marts.dim_staff s
where is_current <> (last_seen_on is null)
    or first_seen_on is null
    or last_seen_on < first_seen_on
