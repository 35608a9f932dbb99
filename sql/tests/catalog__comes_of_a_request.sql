-- Every report in score_reports.catalog is of an SSID that the service was asked about; it was not
-- last seen before it was first seen, nor listed no more before it was last seen.
select c.district_id, c.result_id, c.first_seen_at, c.last_seen_at, c.no_longer_listed_at
from score_reports.current_catalog c
left join (
    select r.district_id, r.ssid
    from score_reports.requests r
    where r.ssid is not null
    group by r.district_id, r.ssid
) asked on asked.district_id = c.district_id and asked.ssid = c.ssid
where asked.ssid is null
    or c.last_seen_at < c.first_seen_at
    or c.no_longer_listed_at < c.last_seen_at
