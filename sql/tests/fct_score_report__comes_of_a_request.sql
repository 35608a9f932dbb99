-- Every report of a student in marts.fct_score_report is of an SSID that the service was asked
-- about; it was not last seen before it was first seen, nor listed no more before it was last seen.
select
    f.district_id, f.student_id, f.report_type, f.report_year, f.first_seen_at, f.last_seen_at,
    f.no_longer_listed_at
from marts.fct_score_report f
left join (
    select r.district_id, r.ssid
    from score_reports.requests r
    where r.ssid is not null
    group by r.district_id, r.ssid
) asked on asked.district_id = f.district_id and asked.ssid = f.ssid
where (f.student_id is not null and asked.ssid is null)
    or f.last_seen_at < f.first_seen_at
    or f.no_longer_listed_at < f.last_seen_at
