-- A student in marts.fct_score_report has the SSID of the report in the roster, and is of today if
-- it says so; a report stands without a student only where nobody has the SSID.
select f.district_id, f.report_type, f.report_year, f.is_current_student, s.is_current
from marts.fct_score_report f
join score_reports.current_catalog c
    on c.district_id = f.district_id and c.ssid = f.ssid and c.report_type = f.report_type
    and c.language = f.language and c.report_year = f.report_year
    and coalesce(c.report_format, '') = coalesce(f.report_format, '')
    and coalesce(c.content_area, '') = coalesce(f.content_area, '')
left join marts.dim_student_identifier i
    on i.district_id = c.district_id and i.match_field = c.match_field and i.match_value = c.ssid
    and i.student_id = coalesce(f.student_id, i.student_id)
left join marts.dim_student s on s.district_id = f.district_id and s.student_id = f.student_id
where (f.student_id is null) <> (i.student_id is null)
    or f.is_current_student <> coalesce(s.is_current, false)
    or (f.student_id is null and f.is_ssid_shared)
