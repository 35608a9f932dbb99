-- Results whose school has to be matched are counted with their school in marts.rpt_school_match;
-- those that wait for it are as many as are listed.
select
    district_id, source, vendor_school_id,
    sum(results) as results, sum(counted) as counted, sum(listed) as listed, sum(waiting) as waiting
from (
    select
        r.district_id, r.source_system as source, r.vendor_school_id,
        1 as results, 0 as counted, 0 as listed, 0 as waiting
    from assessments.results r
    where r.objective_code = 'overall' and r.vendor_school_id <> ''
    union all
    select u.district_id, u.source_system, u.vendor_school_id, 0, 0, 1, 0
    from marts.rpt_unmatched_result u
    where u.reject_reason = 'school_not_matched' and u.vendor_school_id <> ''
    union all
    select t.district_id, t.source, t.vendor_school_id, 0, t.result_count, 0, t.waiting_count
    from marts.rpt_school_match t
) both_ways
group by district_id, source, vendor_school_id
having sum(results) <> sum(counted) or sum(listed) <> sum(waiting)
