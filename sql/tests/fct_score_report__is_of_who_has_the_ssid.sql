-- A student in marts.fct_score_report has the SSID of the report in the roster, and is of today if
-- it says so; a report stands without a student only where nobody has the SSID.
select f.district_id, f.report_type, f.report_year, f.is_current_student, s.is_current
from marts.fct_score_report f
left join (
    select distinct i.district_id, i.match_value, i.student_id
    from marts.dim_student_identifier i
) h on h.district_id = f.district_id and h.match_value = f.ssid and h.student_id = f.student_id
left join (
    select distinct c.district_id, c.ssid
    from score_reports.current_catalog c
    join marts.dim_student_identifier n
        on n.district_id = c.district_id and n.match_field = c.match_field
        and n.match_value = c.ssid
) held on held.district_id = f.district_id and held.ssid = f.ssid
left join marts.dim_student s on s.district_id = f.district_id and s.student_id = f.student_id
where (f.student_id is not null and h.student_id is null)
    or (f.student_id is null and held.ssid is not null)
    or f.is_current_student <> coalesce(s.is_current, false)
    or (f.student_id is null and f.is_ssid_shared)
