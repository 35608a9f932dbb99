-- A result without a student, or whose school is not matched, has one row in
-- marts.rpt_unmatched_result.
select district_id, source_system, source_record_id, subject, course, count(*) as copies
from marts.rpt_unmatched_result t
group by district_id, source_system, source_record_id, subject, course
having count(*) > 1
