-- A result of an objective has one row in marts.fct_assessment_result.
select district_id, result_key, count(*) as copies
from marts.fct_assessment_result t
group by district_id, result_key
having count(*) > 1
