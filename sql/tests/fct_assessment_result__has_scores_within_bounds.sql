-- Percentiles are 1 to 99 (of the state of Texas 0 to 99), normal curve equivalents 1 to 99,
-- percentages 0 to 100; a level has a number that its levels have.
select district_id, result_key, percentile, growth_percentile, nce, percent_correct
from marts.fct_assessment_result t
where percentile not between case when source_system = 'staar' then 0 else 1 end and 99
    or growth_percentile not between 1 and 99
    or nce not between 1 and 99
    or percent_correct not between 0 and 100
    or performance_level_no not between 1 and coalesce(performance_level_of, 0)
