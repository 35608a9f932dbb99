-- One row per district, assessment, subject and course of which there are results.
-- Key: district_id, assessment_code, subject, course
-- Fresh: As marts.fct_assessment_result.
-- Caveats: Least and greatest score are those seen, not those possible.
--
-- district_id: District that the row belongs to.
-- assessment_code: Which test it is, in our words, the same in all editions of its files.
-- source_system: Source that its results come from.
-- assessment_name: Name of the test as its latest result gives it.
-- subject: Subject in our vocabulary, such as math, ela or science; null where a file names one
--   that we do not know.
-- course: Course of an end-of-course test, such as algebra_1; none where there is no course.
-- least_scale_score: Least scale score seen; null where the test has none.
-- greatest_scale_score: Greatest scale score seen; null where the test has none.
-- first_test_date: Day of the earliest result, where the files say it.
-- last_test_date: Day of the latest result, where the files say it.
-- result_count: Results of the test as a whole, scored or not, without those that were deleted.

-- Not from assessments.results: the marts below have computed it already.
with results as (
    select
        r.district_id, r.assessment_code, r.source_system, r.assessment_name, r.subject, r.course,
        r.scale_score, r.test_date, r.delivered_on, r.source_record_id, r.is_deleted
    from marts.fct_assessment_result r
    where r.objective_code = 'overall'
    union all
    select
        u.district_id, u.assessment_code, u.source_system, u.assessment_name, u.subject, u.course,
        u.scale_score, u.test_date, u.delivered_on, u.source_record_id, u.is_deleted
    from marts.rpt_unmatched_result u
),
tests as (
    select
        district_id, assessment_code, source_system, assessment_name, subject, course,
        scale_score, test_date,
        row_number() over (
            partition by district_id, source_system, assessment_code, subject, course
            order by test_date desc nulls last, delivered_on desc,
                cast(source_record_id as varchar) collate "C"
        ) as recency
    from results
    where not is_deleted
)
select
    t.district_id,
    t.assessment_code,
    t.source_system,
    max(case when t.recency = 1 then t.assessment_name end) as assessment_name,
    t.subject,
    t.course,
    min(t.scale_score) as least_scale_score,
    max(t.scale_score) as greatest_scale_score,
    min(t.test_date) as first_test_date,
    max(t.test_date) as last_test_date,
    count(*) as result_count
from tests t
group by t.district_id, t.assessment_code, t.source_system, t.subject, t.course
