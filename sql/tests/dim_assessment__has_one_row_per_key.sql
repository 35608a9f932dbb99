-- An assessment has one row for each subject and course in marts.dim_assessment.
select district_id, assessment_code, subject, course, count(*) as copies
from marts.dim_assessment t
group by district_id, assessment_code, subject, course
having count(*) > 1
