-- One row per district, result and objective: a student, an assessment, one administration of it,
-- and a part of it. Filter on objective_code = 'overall' for the test itself, and on is_primary for
-- one result a term. Results whose student the roster does not have, or whose school nobody has
-- matched with one of the roster yet, are in rpt_unmatched_result.
-- Key: district_id, result_key
-- Fresh: The latest load of results, of school matches or of the roster; delivered_on is the row's
--   own day.
-- Caveats: Scores of two tests do not compare, nor percentiles of two norms. Take objective_code
--   overall to count tests, is_primary to count students. Results without a school or student that
--   matches are in marts.rpt_unmatched_result alone.
--
-- district_id: District that the row belongs to.
-- result_key: Names the row: MD5 of district, source, source_record_id, subject, course and
--   objective. [direct]
-- student_id: The student in the roster (sourcedId). [direct]
-- match_method: exact, or zero_insensitive where the file's id lacks leading zeros, or has too
--   many.
-- school_id: School the student belongs to now, or belonged to last.
-- grade_enrolled: Grade of the student in the roster now, or last. [indirect]
-- source_system: Source of the result: nwea_map, act_aspire, staar, adam, scantron, star,
--   powerpath.
-- edition: Layout that the file was read as.
-- source_record_id: The vendor's id of the result, or one composed of what names it. [direct]
-- source_record_id_kind: vendor or composed.
-- match_field: Field of the roster that the file's id was compared with.
-- match_value: The file's id, as written. [direct]
-- tested_school_code: Code of the school where the student tested, as the file has it.
-- tested_school_name: Name of that school, as the file has it.
-- tested_school_id: That school in the roster, as a person matched it by
--   `edpipeline match-schools`; null of sources whose schools need not be matched.
-- assessment_code: The assessment, such as nwea_map_growth or staar_3_8; of external tests type and
--   lesson: external_unit_test, a colon and the lesson's id.
-- assessment_name: Name of the test as the file has it.
-- subject: math, reading, language, writing, ela, science, social_studies, early_literacy, stem
--   or composite.
-- course: algebra_1, algebra_2, geometry, biology, english_1, english_2, us_history or none.
-- objective_code: overall for the test itself, else the part of it that the row is about.
-- objective_name: Name of that part.
-- objective_level: overall, composite, strand or standard.
-- school_year: The year in which the school year of the test ends.
-- term: fall, winter, spring or summer.
-- term_source: file where the file says the term, derived where it was told from the date.
-- admin_code: Administration as the file has it, such as 0524.
-- test_date: Day of the test.
-- completed_at: Time at which it was completed, where the file has one.
-- grade_tested: Grade at which the student tested: PK, KG, 01 to 12; of external tests the grade
--   that the test is for. [indirect]
-- language: Language of the test, as the file has it.
-- mode: online or paper, where the file says.
-- attempt_no: Number of the attempt at the same test in the same term, where there are several.
-- is_retest: True where the file calls it a retest.
-- is_primary: True for the one result that counts for student, assessment, subject, course,
--   school year and term. While that one waits for its school, it is the latest of the others.
-- primary_rule: Why that one counts.
-- score_status: scored, absent, other, exempt, not_attempted, invalidated, partial or
--   no_information. Scores and levels are null unless scored or partial.
-- status_code: The status as the file has it.
-- scale_score: Scale score of the vendor, such as RIT. [indirect]
-- scale_score_sem: Standard error of measurement of scale_score.
-- scale_score_low: Low end of the range around scale_score. [indirect]
-- scale_score_high: High end of the range around scale_score. [indirect]
-- raw_score: Number of points. [indirect]
-- points_possible: Number of points that were possible.
-- percent_correct: Percentage of points, 0 to 100; of STAR's skills the estimated mastery, of
--   external tests the vendor's score. [indirect]
-- percentile: National percentile, 1 to 99 (Texas: of the state, 0 to 99). [indirect]
-- percentile_norm_year: Year of the norms behind percentile; compare only within one.
-- nce: Normal curve equivalent, 1 to 99. [indirect]
-- grade_equivalent: Grade equivalent as a number; kindergarten is 0. [indirect]
-- grade_equivalent_text: Grade equivalent as the file has it. [indirect]
-- lexile_text: Lexile measure as the file has it, such as 670L or BR400L. [indirect]
-- lexile_num: Lexile measure as a number; below zero where it begins with BR. [indirect]
-- quantile_text: Quantile measure as the file has it. [indirect]
-- quantile_num: Quantile measure as a number; below zero where it begins with EM. [indirect]
-- growth_from_term: Term from which growth is counted to the term of the row.
-- growth_observed: Growth in points of scale_score. [indirect]
-- growth_projected: Growth that was projected. [indirect]
-- growth_met: True where growth reached the projection. [indirect]
-- growth_percentile: Percentile of growth. [indirect]
-- growth_index: Growth in standard deviations beyond the projection. [indirect]
-- performance_level: Level as the file has it. [indirect]
-- performance_level_no: Its number, 1 for the lowest. [indirect]
-- performance_level_of: How many levels there are.
-- level_source: vendor, state, district, or derived where we made it from scores.
-- is_proficient: True where the level counts as proficient; null where nobody says. [indirect]
-- other_scores: What else the file says of the result, as JSON: name and value. [indirect]
-- is_deleted: True where a newer full export of the same term no longer has the result.
-- deleted_on: Delivery day of that export.
-- delivered_on: Delivery day of the row that counts.
-- drop_id: Drop that holds it.
-- line: Line in that drop's file.
select
    r.district_id,
    md5(concat_ws('|', r.district_id, r.source_system, r.source_record_id, coalesce(r.subject, ''),
        coalesce(r.course, ''), r.objective_code)) as result_key,
    b.student_id,
    b.match_method,
    s.school_id,
    s.grade as grade_enrolled,
    r.source_system,
    r.edition,
    r.source_record_id,
    r.source_record_id_kind,
    r.match_field,
    r.match_value,
    r.tested_school_code,
    r.tested_school_name,
    m.school_id as tested_school_id,
    r.assessment_code,
    r.assessment_name,
    r.subject,
    r.course,
    r.objective_code,
    r.objective_name,
    r.objective_level,
    r.school_year,
    r.term,
    r.term_source,
    r.admin_code,
    r.test_date,
    r.completed_at,
    r.grade_tested,
    r.language,
    r.mode,
    r.attempt_no,
    r.is_retest,
    not r.is_deleted and coalesce(r.source_record_id = first_value(
        case
            when r.is_deleted then null
            when r.is_primary or (r.objective_code = 'overall' and r.score_status = 'scored')
                then r.source_record_id
        end
    ) over (
        partition by
            r.district_id, b.student_id, r.assessment_code, r.subject, r.course, r.school_year,
            r.term
        order by
            case
                when r.is_deleted then 3
                when r.is_primary then case when r.objective_code = 'overall' then 0 else 1 end
                when r.objective_code = 'overall' and r.score_status = 'scored' then 2
                else 3
            end,
            r.test_date desc nulls last, r.delivered_on desc,
            cast(r.source_record_id as varchar) collate "C"
    ), false) as is_primary,
    r.primary_rule,
    r.score_status,
    r.status_code,
    r.scale_score,
    r.scale_score_sem,
    r.scale_score_low,
    r.scale_score_high,
    r.raw_score,
    r.points_possible,
    r.percent_correct,
    r.percentile,
    r.percentile_norm_year,
    r.nce,
    r.grade_equivalent,
    r.grade_equivalent_text,
    r.lexile_text,
    r.lexile_num,
    r.quantile_text,
    r.quantile_num,
    r.growth_from_term,
    r.growth_observed,
    r.growth_projected,
    r.growth_met,
    r.growth_percentile,
    r.growth_index,
    r.performance_level,
    r.performance_level_no,
    r.performance_level_of,
    r.level_source,
    r.is_proficient,
    r.other_scores,
    r.is_deleted,
    r.deleted_on,
    r.delivered_on,
    r.drop_id,
    r.line
from assessments.results r
join marts.bridge_result_student b
    on b.district_id = r.district_id and b.match_field = r.match_field
    and b.match_value = coalesce(r.match_value, '')
join marts.dim_student s on s.district_id = b.district_id and s.student_id = b.student_id
left join marts.rpt_school_match m
    on m.district_id = r.district_id and m.source = r.source_system
    and m.vendor_school_id = r.vendor_school_id
where r.vendor_school_id is null or m.school_id is not null
