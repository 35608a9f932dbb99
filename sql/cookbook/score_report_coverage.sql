-- How many students of each school have a state score report that families can be given?
--
-- How to read it: one row per school and kind of report. `with_report_percent` is of the students
-- whom the service has answered about; `not_answered` are the others, and
-- marts.rpt_score_report_open says why and what to do.
--
-- Caveats: no kind of report is for every student: grade, language at home and program decide who
-- is tested. Compare schools and years of one kind. Only reports that the service lists today
-- count, and only students of today.
with asked as (
    select 'quillmere' as district_id, 'CAASPP' as report_type, 'EN' as language
)
select
    c.school_name,
    c.report_name,
    c.report_year,
    c.students,
    c.students - c.students_answered as not_answered,
    c.students_with_report,
    cast(round(cast(100 * c.share_of_answered as numeric(12, 6))) as integer) as with_report_percent
from asked a
join marts.rpt_score_report_coverage c
    on c.district_id = a.district_id and c.report_type = a.report_type
    and c.language = a.language
order by 1, 2, 3
