-- A report has one row in marts.fct_score_report for each student whose it is.
select
    district_id, ssid, report_type, language, report_year, report_format, content_area, student_id,
    count(*) as copies
from marts.fct_score_report f
group by
    district_id, ssid, report_type, language, report_year, report_format, content_area, student_id
having count(*) > 1
