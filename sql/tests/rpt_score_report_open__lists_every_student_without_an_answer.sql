-- Every student of today, in a district that asks for score reports, of whom the last request did
-- not say under the student's SSID which reports there are, is in marts.rpt_score_report_open; no
-- other is; each says what a person can do.
with asked as (
    select distinct r.district_id
    from score_reports.current_requests r
),
answered as (
    select distinct q.district_id, q.student_id
    from score_reports.current_requests q
    join marts.dim_student_identifier i
        on i.district_id = q.district_id and i.student_id = q.student_id
        and i.match_field = q.match_field and i.match_value = q.ssid
    where q.outcome in ('ok', 'empty')
)
select
    coalesce(s.district_id, o.district_id) as district_id, s.student_id, o.outcome, o.what_to_do
from (
    select d.district_id, d.student_id, w.student_id is not null as is_answered
    from marts.dim_student d
    join asked a on a.district_id = d.district_id
    left join answered w on w.district_id = d.district_id and w.student_id = d.student_id
    where d.is_current
) s
full join marts.rpt_score_report_open o
    on o.district_id = s.district_id and o.student_id = s.student_id
where s.student_id is null
    or s.is_answered <> (o.student_id is null)
    or o.outcome in ('ok', 'empty')
    or (o.student_id is not null and coalesce(o.what_to_do, '') = '')
