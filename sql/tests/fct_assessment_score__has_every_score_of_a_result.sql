-- A result in marts.fct_assessment_result that has a scale score, a percentile or a level has it in
-- marts.fct_assessment_score too, and no score there is of another result.
select r.district_id, r.result_key, s.result_key as scored
from marts.fct_assessment_result r
full join (
    select
        v.district_id, v.result_key,
        count(*) filter (where v.score_name in ('scale_score', 'percentile', 'performance_level'))
            as score_count
    from marts.fct_assessment_score v
    group by v.district_id, v.result_key
) s on s.district_id = r.district_id and s.result_key = r.result_key
where r.result_key is null
    or coalesce(s.score_count, 0)
        <> case when r.scale_score is null then 0 else 1 end
        + case when r.percentile is null then 0 else 1 end
        + case when coalesce(cast(r.performance_level_no as varchar), r.performance_level) is null
            then 0 else 1 end
