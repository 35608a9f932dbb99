-- A student has one row in marts.rpt_score_report_open.
select district_id, student_id, count(*) as copies
from marts.rpt_score_report_open o
group by district_id, student_id
having count(*) > 1
