-- The results of all drops of a source are as many as are matched or listed as unmatched; PowerPath
-- is polled, and its polls are no uploads.
select district_id, source_system, sum(counted) as counted, sum(listed) as listed
from (
    select q.district_id, q.source as source_system, q.result_count as counted, 0 as listed
    from marts.rpt_upload_quality q
    union all
    select f.district_id, f.source_system, 0, 1
    from marts.fct_assessment_result f
    where f.objective_code = 'overall' and f.source_system <> 'powerpath'
    union all
    select u.district_id, u.source_system, 0, 1
    from marts.rpt_unmatched_result u
    where u.source_system <> 'powerpath'
) both_ways
group by district_id, source_system
having sum(counted) <> sum(listed)
