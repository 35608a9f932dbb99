-- A result in marts.fct_assessment_result whose school has to be matched is of the school that it
-- was matched with; the others have none.
select f.district_id, f.result_key, f.tested_school_id, m.decision, m.school_id
from assessments.results r
join marts.fct_assessment_result f
    on f.district_id = r.district_id and f.source_system = r.source_system
    and f.source_record_id = r.source_record_id and f.objective_code = r.objective_code
    and coalesce(f.subject, '') = coalesce(r.subject, '')
    and coalesce(f.course, '') = coalesce(r.course, '')
left join marts.rpt_school_match m
    on m.district_id = r.district_id and m.source = r.source_system
    and m.vendor_school_id = r.vendor_school_id
where f.tested_school_id is distinct from m.school_id
    or (r.vendor_school_id is not null and f.tested_school_id is null)
