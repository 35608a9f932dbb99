-- A request in score_reports.requests that was answered, by reports or by none, says with which
-- SSID and configuration it was made, and when it was answered; one that was not made has no
-- answer, and names an SSID only where no configuration was for the student.
select district_id, result_id, outcome, http_status, reports, asked_at, answered_at
from score_reports.current_requests r
where (
        outcome in ('ok', 'empty')
        and (ssid is null or configuration is null or asked_at is null or answered_at is null)
    )
    or (outcome = 'ok' and reports = 0)
    or (outcome = 'empty' and reports > 0)
    or (outcome in ('skipped_no_ssid', 'skipped_bad_ssid') and ssid is not null)
    or (outcome like 'skipped_%' and http_status is not null)
