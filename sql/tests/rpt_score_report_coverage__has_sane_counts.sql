-- Counts in marts.rpt_score_report_coverage are never above the students of the school, those who
-- were answered never above those with an SSID; the share is of those answered, from 0 to 1.
select
    district_id, school_id, report_type, language, report_year, students, students_with_ssid,
    students_answered, students_with_report, answered_with_report, share_of_answered
from marts.rpt_score_report_coverage c
where students_with_ssid not between 0 and students
    or students_answered not between 0 and students_with_ssid
    or students_with_report not between 0 and students
    or answered_with_report not between 0 and least(students_answered, students_with_report)
    or share_of_answered not between 0 and 1
    or (share_of_answered is null) <> (students_answered = 0)
