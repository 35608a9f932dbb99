-- A score of a result has one row in marts.fct_assessment_score.
select district_id, result_key, score_name, count(*) as copies
from marts.fct_assessment_score t
group by district_id, result_key, score_name
having count(*) > 1
