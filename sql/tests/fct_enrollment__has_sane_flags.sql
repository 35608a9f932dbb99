-- In marts.fct_enrollment, versions end after they begin, a current one has no end, and whoever is
-- enrolled now is so by a current version.
select district_id, enrollment_id, valid_from, valid_to, is_current, is_enrolled
from marts.fct_enrollment e
where valid_to <= valid_from
    or (is_current and valid_to is not null)
    or (is_enrolled and not is_current)
    or is_enrolled is null
