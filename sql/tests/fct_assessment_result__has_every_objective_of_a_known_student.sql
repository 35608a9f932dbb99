-- Objectives go with their test: those of a student whom the roster has are all in
-- marts.fct_assessment_result, unless their school has to be matched and is not.
select r.district_id, r.source_system, r.source_record_id, r.subject, r.objective_code
from assessments.results r
join marts.bridge_result_student b
    on b.district_id = r.district_id and b.match_field = r.match_field
    and b.match_value = coalesce(r.match_value, '')
left join marts.rpt_school_match m
    on m.district_id = r.district_id and m.source = r.source_system
    and m.vendor_school_id = r.vendor_school_id
left join marts.fct_assessment_result f
    on f.district_id = r.district_id and f.source_system = r.source_system
    and f.source_record_id = r.source_record_id and f.objective_code = r.objective_code
    and coalesce(f.subject, '') = coalesce(r.subject, '')
    and coalesce(f.course, '') = coalesce(r.course, '')
where b.student_id is not null and f.result_key is null
    and (r.vendor_school_id is null or m.decision = 'matched')
