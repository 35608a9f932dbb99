-- A student of marts.dim_student has left if and only if there is a last day, which is not before
-- the first.
select district_id, student_id, is_current, first_seen_on, last_seen_on
from marts.dim_student s
where is_current <> (last_seen_on is null)
    or first_seen_on is null
    or last_seen_on < first_seen_on
