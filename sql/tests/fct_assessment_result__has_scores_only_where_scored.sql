-- A result that is neither scored nor partial has no score and no level: what is not there is not
-- a low score.
select district_id, result_key, score_status
from marts.fct_assessment_result t
where score_status is null
    or (
        score_status not in ('scored', 'partial')
        and (
            coalesce(
                scale_score, raw_score, percent_correct, percentile, nce, grade_equivalent,
                lexile_num, quantile_num, growth_observed, growth_percentile, growth_index,
                performance_level_no
            ) is not null
            or performance_level is not null
            or is_proficient is not null
        )
    )
