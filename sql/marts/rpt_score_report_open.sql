-- One row per district and student of today for whom it is not known which score reports there are:
-- why, since when, and what a person can do. Districts that never asked are not listed.
-- Key: district_id, student_id
-- Fresh: The latest survey of the service, and the latest roster delivery.
-- Caveats: Only students of today.
--
-- district_id: District that the row belongs to.
-- student_id: The student in the roster (sourcedId). [direct]
-- school_id: School the student belongs to.
-- school_name: Name of that school, where it is known.
-- ssid: Statewide Student Identifier that the roster has; null where it has none of ten digits.
--   [direct]
-- outcome: Why it is not known: skipped_no_ssid or skipped_bad_ssid (as the roster stands),
--   never_asked, ssid_changed (the last request was made with another number, or before there was
--   one), else what the last request came to: skipped_no_configuration, forbidden, not_found,
--   bad_request, server_error, rate_limited or schema_drift.
-- http_status: HTTP status of that request's answer; null where there was none.
-- reason: What happened in that request, in words.
-- configuration: Name of the configuration that the student was last asked about with.
-- asked_at: When the service was last asked about the student, also under another number, in UTC.
-- answered_at: When it last said which reports there are, also under another number, in UTC.
-- listed_reports: Reports in marts.fct_score_report that an earlier answer listed.
-- what_to_do: What a person can do.
with latest as (
    select
        r.district_id, r.match_field,
        row_number() over (
            partition by r.district_id
            order by r.asked_at desc nulls last, r.valid_from desc, r.match_field
        ) as recency
    from score_reports.current_requests r
),
asked as (
    -- Which field of the roster holds the SSID is the district's choice.
    select district_id, coalesce(match_field, 'state_user_id') as match_field
    from latest
    where recency = 1
),
numbers as (
    select i.district_id, i.student_id, i.match_value, i.match_value ~ '^[0-9]{10}$' as is_ssid
    from marts.dim_student_identifier i
    join asked a on a.district_id = i.district_id and a.match_field = i.match_field
    where i.is_current
),
numbered as (
    select district_id, student_id, min(case when is_ssid then match_value end) as ssid
    from numbers
    group by district_id, student_id
),
reports as (
    select f.district_id, f.student_id, count(*) as listed_reports
    from marts.fct_score_report f
    where f.is_listed and f.is_current_student
    group by f.district_id, f.student_id
),
judged as (
    select
        s.district_id,
        s.student_id,
        s.school_id,
        s.school_name,
        coalesce(h.match_value, n.ssid) as ssid,
        case
            when n.student_id is null then 'skipped_no_ssid'
            when n.ssid is null then 'skipped_bad_ssid'
            when q.student_id is null then 'never_asked'
            when q.outcome = 'skipped_no_configuration' then q.outcome
            when h.student_id is null then 'ssid_changed'
            else q.outcome
        end as outcome,
        q.outcome as outcome_of_request,
        q.http_status,
        q.reason,
        q.configuration,
        q.asked_at,
        q.answered_at
    from marts.dim_student s
    join asked a on a.district_id = s.district_id
    left join numbered n on n.district_id = s.district_id and n.student_id = s.student_id
    left join score_reports.current_requests q
        on q.district_id = s.district_id and q.student_id = s.student_id
    left join numbers h
        on h.district_id = q.district_id and h.student_id = q.student_id and h.match_value = q.ssid
    where s.is_current
)
select
    j.district_id,
    j.student_id,
    j.school_id,
    j.school_name,
    j.ssid,
    j.outcome,
    case when j.outcome = j.outcome_of_request then cast(j.http_status as integer) end
        as http_status,
    case when j.outcome = j.outcome_of_request then j.reason end as reason,
    j.configuration,
    j.asked_at,
    j.answered_at,
    cast(coalesce(r.listed_reports, 0) as integer) as listed_reports,
    case j.outcome
        when 'skipped_no_ssid'
            then 'The roster has no SSID of the student: enter it in the SIS, and see that it comes'
                || ' with the roster. The student is asked about once it has.'
        when 'skipped_bad_ssid'
            then 'What the roster has is no SSID, which is exactly ten digits: correct it in the'
                || ' SIS, leading zeros included.'
        when 'never_asked'
            then 'Nothing to do: the student is new, or the first run has not come so far. Asked'
                || ' about in the next one.'
        when 'ssid_changed'
            then 'Nothing to do: the SSID was entered or corrected since the last run, and is asked'
                || ' about in the next one.'
        when 'skipped_no_configuration'
            then 'No configuration is for the school of the student: name the school in one, in the'
                || ' districts file, or let one name no schools, so that it is for all others.'
        when 'forbidden'
            then 'The service does not let the district see the student. Rights follow the'
                || ' enrollment in CALPADS and change every day, and it is asked again every day:'
                || ' nothing to do for a student who is new. Where it stays, correct the enrollment'
                || ' in CALPADS, or, in a school with credentials of its own, the configuration.'
        when 'not_found'
            then 'The service has no student of this number: compare the SSID with CALPADS and'
                || ' correct it in the SIS.'
        when 'bad_request'
            then 'The service did not understand the request, though the SSID has ten digits: tell'
                || ' whoever keeps edpipeline to check the endpoints of the configuration.'
        when 'server_error'
            then 'The service failed: nothing to do, it is asked again. Tell its help desk if it'
                || ' goes on for days.'
        when 'rate_limited'
            then 'The service was asked too fast: nothing to do, it is asked again. Where it stays,'
                || ' lower per_second in the districts file.'
        when 'schema_drift'
            then 'The service answered in a shape that is not known: tell whoever keeps'
                || ' edpipeline. It is asked again every day.'
        else 'Not understood: see the outcome, and tell whoever keeps edpipeline.'
    end as what_to_do
from judged j
left join reports r on r.district_id = j.district_id and r.student_id = j.student_id
where j.outcome not in ('ok', 'empty')
