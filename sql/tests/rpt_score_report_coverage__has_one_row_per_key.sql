-- A school has one row in marts.rpt_score_report_coverage for each kind of report.
select district_id, school_id, report_type, language, report_year, count(*) as copies
from marts.rpt_score_report_coverage c
group by district_id, school_id, report_type, language, report_year
having count(*) > 1
