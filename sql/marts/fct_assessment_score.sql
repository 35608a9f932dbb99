-- One row per district, result and score that it has: fct_assessment_result turned, for those who
-- would rather filter on the name of a score than pick a column.
-- Key: district_id, result_key, score_name
-- Fresh: As marts.fct_assessment_result.
-- Caveats: Several rows a result: never count results here. Scores that differ in score_name do not
--   compare.
--
-- district_id: District that the row belongs to.
-- result_key: Row of fct_assessment_result. [direct]
-- student_id: The student in the roster (sourcedId). [direct]
-- assessment_code: The assessment.
-- subject: Subject of the result.
-- objective_code: overall for the test itself, else the part of it.
-- score_name: scale_score, percentile, lexile, performance_level and so on.
-- score_num: The score as a number. [indirect]
-- score_text: The score as the file has it, where it is more than a number. [indirect]
select
    r.district_id, r.result_key, r.student_id, r.assessment_code, r.subject, r.objective_code,
    v.score_name, v.score_num, v.score_text
from marts.fct_assessment_result r
cross join lateral (
    values
        ('scale_score', r.scale_score, cast(null as varchar)),
        ('scale_score_sem', r.scale_score_sem, cast(null as varchar)),
        ('raw_score', r.raw_score, cast(null as varchar)),
        ('percent_correct', r.percent_correct, cast(null as varchar)),
        ('percentile', r.percentile, cast(null as varchar)),
        ('nce', r.nce, cast(null as varchar)),
        ('grade_equivalent', r.grade_equivalent, r.grade_equivalent_text),
        ('lexile', r.lexile_num, r.lexile_text),
        ('quantile', r.quantile_num, r.quantile_text),
        ('growth_observed', r.growth_observed, cast(null as varchar)),
        ('growth_projected', r.growth_projected, cast(null as varchar)),
        ('growth_percentile', r.growth_percentile, cast(null as varchar)),
        ('growth_index', r.growth_index, cast(null as varchar)),
        ('performance_level', cast(r.performance_level_no as double precision), r.performance_level)
) as v (score_name, score_num, score_text)
where v.score_num is not null or v.score_text is not null
