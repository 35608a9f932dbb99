-- One row per STAAR result and objective: `overall` is the test in one subject, rc1 to rc6 are its
-- reporting categories, with the points in raw_score. The latest version of each.
--
-- What is settled here, and by whom it was found:
--
-- - A record of grades 3 to 8 has all subjects side by side (TEA, Data File Formats): each becomes
--   a row. Algebra I is copied into the records of grades 7 and 8 and stands in the end-of-course
--   file as well; the copy is not loaded, so it is there once.
-- - The score code comes before the score: only S has scores and a level. Absent (A) is not Did Not
--   Meet, as the public Ed-Fi bundle has it. O is other, D and * no information, M and N (Alternate
--   2) exempt; a refusal online (non-participant 1) is other, whatever the code. An unknown code
--   stays in status_code and has no status. D and * in a subject that the grade does not have make
--   no row.
-- - Meets, approaches and masters are cumulative: the highest one counts. Blank flags are no level.
--   Proficient is Meets, in Alternate 2 Satisfactory; that the state calls Approaches passing is in
--   other_scores. The interim test predicts a level; it makes nobody proficient.
-- - The school year is that of the administration code MMYY, and 13YY, December, belongs to the
--   next one. The bundle's table of windows, which lacks codes and has wrong dates, is not used.
-- - Reading is `reading` until 2022 and `ela` since 2023, when the test took in writing. English I
--   and II are `ela` with their course.
-- - Every end-of-course administration is a term of its own and stays. Of two records of a student
--   in grades 3 to 8 the one of the enrolled grade is primary.
-- - A result is known by its opportunity key, else by its test result id where that has its nine
--   digits, else by student, administration, grade, subject and document (2021 has no such keys).
--   The wide file and the one with a row per subject name the same result alike.
-- - Percentile 0 is a value. BR (Lexile) and EM (Quantile) mean below zero.
-- - In 2021 the categories stand in one string, two digits for each; a string of another length (a
--   spreadsheet took zeros away) is not split. In 2026 science has no categories.
-- - An alternate test in a file with a row per subject is told by administration 04, or by its own
--   level flags.
-- - Interim terms are told by the date. The time in the file is not said to be the end:
--   completed_at is null. Unknown test codes keep their row without subject.
with interim_test (test_code, part, course, grade, language) as (
    values
        ('B3M', 'math', 'none', '03', 'E'), ('B3R', 'rla', 'none', '03', 'E'),
        ('B4M', 'math', 'none', '04', 'E'), ('B4R', 'rla', 'none', '04', 'E'),
        ('B5C', 'science', 'none', '05', 'E'), ('B5M', 'math', 'none', '05', 'E'),
        ('B5R', 'rla', 'none', '05', 'E'), ('B6M', 'math', 'none', '06', 'E'),
        ('B6R', 'rla', 'none', '06', 'E'), ('B7M', 'math', 'none', '07', 'E'),
        ('B7R', 'rla', 'none', '07', 'E'), ('B8C', 'science', 'none', '08', 'E'),
        ('B8M', 'math', 'none', '08', 'E'), ('B8R', 'rla', 'none', '08', 'E'),
        ('B8S', 'social_studies', 'none', '08', 'E'), ('BA1', 'math', 'algebra_1', null, 'E'),
        ('BBI', 'science', 'biology', null, 'E'), ('BC5', 'science', 'none', '05', 'S'),
        ('BE1', 'english', 'english_1', null, 'E'), ('BE2', 'english', 'english_2', null, 'E'),
        ('BM3', 'math', 'none', '03', 'S'), ('BM4', 'math', 'none', '04', 'S'),
        ('BM5', 'math', 'none', '05', 'S'), ('BR3', 'rla', 'none', '03', 'S'),
        ('BR4', 'rla', 'none', '04', 'S'), ('BR5', 'rla', 'none', '05', 'S'),
        ('BUS', 'social_studies', 'us_history', null, 'E'), ('BW4', 'writing', 'none', '04', 'S'),
        ('I3D', 'rla', 'none', '03', 'E'), ('I3M', 'math', 'none', '03', 'E'),
        ('I3R', 'rla', 'none', '03', 'E'), ('I4D', 'rla', 'none', '04', 'E'),
        ('I4M', 'math', 'none', '04', 'E'), ('I4R', 'rla', 'none', '04', 'E'),
        ('I5C', 'science', 'none', '05', 'E'), ('I5D', 'rla', 'none', '05', 'E'),
        ('I5M', 'math', 'none', '05', 'E'), ('I5R', 'rla', 'none', '05', 'E'),
        ('I6D', 'rla', 'none', '06', 'E'), ('I6M', 'math', 'none', '06', 'E'),
        ('I6R', 'rla', 'none', '06', 'E'), ('I7D', 'rla', 'none', '07', 'E'),
        ('I7M', 'math', 'none', '07', 'E'), ('I7R', 'rla', 'none', '07', 'E'),
        ('I8C', 'science', 'none', '08', 'E'), ('I8D', 'rla', 'none', '08', 'E'),
        ('I8M', 'math', 'none', '08', 'E'), ('I8R', 'rla', 'none', '08', 'E'),
        ('I8S', 'social_studies', 'none', '08', 'E'), ('IA1', 'math', 'algebra_1', null, 'E'),
        ('IBI', 'science', 'biology', null, 'E'), ('IC5', 'science', 'none', '05', 'S'),
        ('IE1', 'english', 'english_1', null, 'E'), ('IE2', 'english', 'english_2', null, 'E'),
        ('IM3', 'math', 'none', '03', 'S'), ('IM4', 'math', 'none', '04', 'S'),
        ('IM5', 'math', 'none', '05', 'S'), ('IR3', 'rla', 'none', '03', 'S'),
        ('IR4', 'rla', 'none', '04', 'S'), ('IR5', 'rla', 'none', '05', 'S'),
        ('IUS', 'social_studies', 'us_history', null, 'E')
),

category (part, course, first_year, last_year, objective_code, objective_name) as (
    values
        ('math', 'none', 2021, 9999, 'rc1', 'Numerical Representations and Relationships'),
        ('math', 'none', 2021, 9999, 'rc2', 'Computations and Algebraic Relationships'),
        ('math', 'none', 2021, 9999, 'rc3', 'Geometry and Measurement'),
        ('math', 'none', 2021, 9999, 'rc4', 'Data Analysis and Personal Financial Literacy'),
        ('rla', 'none', 2021, 2022, 'rc1', 'Understanding Across Genres'),
        ('rla', 'none', 2021, 2022, 'rc2', 'Understanding/Analysis of Literary Texts'),
        ('rla', 'none', 2021, 2022, 'rc3', 'Understanding/Analysis of Informational Texts'),
        ('rla', 'none', 2023, 9999, 'rc1', 'Reading'),
        ('rla', 'none', 2023, 9999, 'rc2', 'Writing'),
        ('writing', 'none', 2021, 2021, 'rc1', 'Composition'),
        ('writing', 'none', 2021, 2021, 'rc2', 'Revision'),
        ('writing', 'none', 2021, 2021, 'rc3', 'Editing'),
        ('science', 'none', 2021, 9999, 'rc1', 'Matter and Energy'),
        ('science', 'none', 2021, 9999, 'rc2', 'Force, Motion, and Energy'),
        ('science', 'none', 2021, 9999, 'rc3', 'Earth and Space'),
        ('science', 'none', 2021, 9999, 'rc4', 'Organisms and Environments'),
        ('social_studies', 'none', 2021, 9999, 'rc1', 'History'),
        ('social_studies', 'none', 2021, 9999, 'rc2', 'Geography and Culture'),
        ('social_studies', 'none', 2021, 9999, 'rc3', 'Government and Citizenship'),
        ('social_studies', 'none', 2021, 9999, 'rc4', 'Economics, Science, Technology, and Society'),
        ('math', 'algebra_1', 2021, 9999, 'rc1', 'Number and Algebraic Methods'),
        ('math', 'algebra_1', 2021, 9999, 'rc2', 'Describing and Graphing Linear Functions, Equations and Inequalities'),
        ('math', 'algebra_1', 2021, 9999, 'rc3', 'Writing and Solving Linear Functions, Equations and Inequalities'),
        ('math', 'algebra_1', 2021, 9999, 'rc4', 'Quadratic Functions and Equations'),
        ('math', 'algebra_1', 2021, 9999, 'rc5', 'Exponential Functions and Equations'),
        ('math', 'algebra_2', 2021, 9999, 'rc1', 'Number and Algebraic Methods'),
        ('math', 'algebra_2', 2021, 9999, 'rc2', 'Describing and Graphing Functions and Their Inverses'),
        ('math', 'algebra_2', 2021, 9999, 'rc3', 'Writing and Solving Systems of Equations and Inequalities'),
        ('math', 'algebra_2', 2021, 9999, 'rc4', 'Quadratic and Square Root Functions, Equations, and Inequalities'),
        ('math', 'algebra_2', 2021, 9999, 'rc5', 'Exponential and Logarithmic Functions and Equations'),
        ('math', 'algebra_2', 2021, 9999, 'rc6', 'Other Functions, Equations, and Inequalities'),
        ('english', 'english_1', 2021, 2022, 'rc1', 'Understanding Across Genres'),
        ('english', 'english_1', 2021, 2022, 'rc2', 'Understanding/Analysis of Literary Texts'),
        ('english', 'english_1', 2021, 2022, 'rc3', 'Understanding/Analysis of Informational Texts'),
        ('english', 'english_1', 2021, 2022, 'rc4', 'Composition'),
        ('english', 'english_1', 2021, 2022, 'rc5', 'Revision'),
        ('english', 'english_1', 2021, 2022, 'rc6', 'Editing'),
        ('english', 'english_2', 2021, 2022, 'rc1', 'Understanding Across Genres'),
        ('english', 'english_2', 2021, 2022, 'rc2', 'Understanding/Analysis of Literary Texts'),
        ('english', 'english_2', 2021, 2022, 'rc3', 'Understanding/Analysis of Informational Texts'),
        ('english', 'english_2', 2021, 2022, 'rc4', 'Composition'),
        ('english', 'english_2', 2021, 2022, 'rc5', 'Revision'),
        ('english', 'english_2', 2021, 2022, 'rc6', 'Editing'),
        ('english', 'english_3', 2021, 2022, 'rc1', 'Understanding Across Genres'),
        ('english', 'english_3', 2021, 2022, 'rc2', 'Understanding/Analysis of Literary Texts'),
        ('english', 'english_3', 2021, 2022, 'rc3', 'Understanding/Analysis of Informational Texts'),
        ('english', 'english_3', 2021, 2022, 'rc4', 'Composition'),
        ('english', 'english_3', 2021, 2022, 'rc5', 'Revision'),
        ('english', 'english_3', 2021, 2022, 'rc6', 'Editing'),
        ('english', 'english_1', 2023, 9999, 'rc1', 'Reading'),
        ('english', 'english_1', 2023, 9999, 'rc2', 'Writing'),
        ('english', 'english_2', 2023, 9999, 'rc1', 'Reading'),
        ('english', 'english_2', 2023, 9999, 'rc2', 'Writing'),
        ('science', 'biology', 2021, 2025, 'rc1', 'Cell Structure and Function'),
        ('science', 'biology', 2021, 2025, 'rc2', 'Mechanisms of Genetics'),
        ('science', 'biology', 2021, 2025, 'rc3', 'Biological Evolution and Classification'),
        ('science', 'biology', 2021, 2025, 'rc4', 'Biological Processes and Systems'),
        ('science', 'biology', 2021, 2025, 'rc5', 'Interdependence within Environmental Systems'),
        ('science', 'biology', 2026, 9999, 'rc1', 'Biological Structures, Functions, and Processes'),
        ('science', 'biology', 2026, 9999, 'rc2', 'Mechanisms of Genetics'),
        ('science', 'biology', 2026, 9999, 'rc3', 'Biological Evolution'),
        ('science', 'biology', 2026, 9999, 'rc4', 'Interdependence within Environmental Systems'),
        ('social_studies', 'us_history', 2021, 9999, 'rc1', 'History'),
        ('social_studies', 'us_history', 2021, 9999, 'rc2', 'Geography and Culture'),
        ('social_studies', 'us_history', 2021, 9999, 'rc3', 'Government and Citizenship'),
        ('social_studies', 'us_history', 2021, 9999, 'rc4', 'Economics, Science, Technology, and Society')
),

staar_versions as (
    select
        r.*,
        row_number() over (
            partition by r.district_id, r.result_id
            order by r.valid_from desc, case when r.valid_to is null then 0 else 1 end, r.line desc
        ) as version
    from assessments.staar r
),

staar_eoc_versions as (
    select
        r.*,
        row_number() over (
            partition by r.district_id, r.result_id
            order by r.valid_from desc, case when r.valid_to is null then 0 else 1 end, r.line desc
        ) as version
    from assessments.staar_eoc r
),

staar_long_versions as (
    select
        r.*,
        row_number() over (
            partition by r.district_id, r.result_id
            order by r.valid_from desc, case when r.valid_to is null then 0 else 1 end, r.line desc
        ) as version
    from assessments.staar_long r
),

staar_interim_versions as (
    select
        r.*,
        row_number() over (
            partition by r.district_id, r.result_id
            order by r.valid_from desc, case when r.valid_to is null then 0 else 1 end, r.line desc
        ) as version
    from assessments.staar_interim r
),

-- The four tables in one shape, one row per subject. A subject of a record has a row where its
-- score code or its score is filled, or it was refused; D and * only where its grade has it.
by_subject as (
    select
        a.district_id, a.edition, a.result_id, a.match_field, a.match_value, a.campus_cdc,
        a.campus_name,
        case
            when strpos(a.edition, 'alt2') > 0 then 'staar_3_8_alt2' else 'staar_3_8'
        end as assessment_code,
        g.part, 'none' as course, a.administration_code, cast(null as date) as test_date,
        a.grade_tested, a.enrolled_grade, a.tsds_unique_id, a.local_student_id, a.document_number,
        cast(null as varchar) as test_code, cast(null as varchar) as attempt,
        case g.part
            when 'rla' then a.rla_score_code when 'math' then a.math_score_code
            when 'writing' then a.writing_score_code
            when 'social_studies' then a.social_studies_score_code
            when 'science' then a.science_score_code
        end as score_code,
        case g.part
            when 'rla' then a.rla_score_code_default when 'math' then a.math_score_code_default
            when 'writing' then a.writing_score_code_default
            when 'social_studies' then a.social_studies_score_code_default
            when 'science' then a.science_score_code_default
        end as score_code_default,
        case when g.part in ('rla', 'writing') then 6 else 8 end as packed_length,
        case g.part
            when 'rla' then a.rla_rc_packed when 'math' then a.math_rc_packed
            when 'writing' then a.writing_rc_packed
            when 'social_studies' then a.social_studies_rc_packed
            when 'science' then a.science_rc_packed
        end as rc_packed,
        case g.part
            when 'rla' then a.rla_rc1_raw when 'math' then a.math_rc1_raw
            when 'social_studies' then a.social_studies_rc1_raw
            when 'science' then a.science_rc1_raw
        end as rc1_raw,
        case g.part
            when 'rla' then a.rla_rc2_raw when 'math' then a.math_rc2_raw
            when 'social_studies' then a.social_studies_rc2_raw
            when 'science' then a.science_rc2_raw
        end as rc2_raw,
        case g.part
            when 'rla' then a.rla_rc3_raw when 'math' then a.math_rc3_raw
            when 'social_studies' then a.social_studies_rc3_raw
            when 'science' then a.science_rc3_raw
        end as rc3_raw,
        case g.part
            when 'math' then a.math_rc4_raw when 'social_studies' then a.social_studies_rc4_raw
            when 'science' then a.science_rc4_raw
        end as rc4_raw,
        cast(null as double precision) as rc5_raw, cast(null as double precision) as rc6_raw,
        cast(null as varchar) as rc1_indicator, cast(null as varchar) as rc2_indicator,
        cast(null as varchar) as rc3_indicator, cast(null as varchar) as rc4_indicator,
        cast(null as varchar) as rc5_indicator, cast(null as varchar) as rc6_indicator,
        case g.part
            when 'rla' then a.rla_raw_score when 'math' then a.math_raw_score
            when 'writing' then a.writing_raw_score
            when 'social_studies' then a.social_studies_raw_score
            when 'science' then a.science_raw_score
        end as raw_score,
        case g.part
            when 'rla' then a.rla_scale_score when 'math' then a.math_scale_score
            when 'writing' then a.writing_scale_score
            when 'social_studies' then a.social_studies_scale_score
            when 'science' then a.science_scale_score
        end as scale_score,
        case g.part
            when 'rla' then a.rla_percentile when 'math' then a.math_percentile
            when 'writing' then a.writing_percentile
            when 'social_studies' then a.social_studies_percentile
            when 'science' then a.science_percentile
        end as percentile,
        case g.part when 'rla' then a.rla_lexile end as lexile,
        case g.part when 'math' then a.math_quantile end as quantile,
        case g.part
            when 'rla' then a.rla_language when 'math' then a.math_language
            when 'writing' then a.writing_language
            when 'social_studies' then a.social_studies_language
            when 'science' then a.science_language
        end as language,
        case g.part
            when 'rla' then a.rla_test_version when 'math' then a.math_test_version
            when 'writing' then a.writing_test_version
            when 'social_studies' then a.social_studies_test_version
            when 'science' then a.science_test_version
        end as test_version,
        case g.part
            when 'rla' then a.rla_mode when 'math' then a.math_mode
            when 'writing' then a.writing_mode when 'social_studies' then a.social_studies_mode
            when 'science' then a.science_mode
        end as mode,
        cast(null as varchar) as retester,
        case g.part
            when 'rla' then a.rla_approaches when 'math' then a.math_approaches
            when 'writing' then a.writing_approaches
            when 'social_studies' then a.social_studies_approaches
            when 'science' then a.science_approaches
        end as approaches,
        case g.part
            when 'rla' then a.rla_meets when 'math' then a.math_meets
            when 'writing' then a.writing_meets
            when 'social_studies' then a.social_studies_meets
            when 'science' then a.science_meets
        end as meets,
        case g.part
            when 'rla' then a.rla_masters when 'math' then a.math_masters
            when 'writing' then a.writing_masters
            when 'social_studies' then a.social_studies_masters
            when 'science' then a.science_masters
        end as masters,
        case g.part
            when 'rla' then a.rla_level_ii when 'math' then a.math_level_ii
            when 'writing' then a.writing_level_ii
            when 'social_studies' then a.social_studies_level_ii
            when 'science' then a.science_level_ii
        end as level_ii,
        case g.part
            when 'rla' then a.rla_level_iii when 'math' then a.math_level_iii
            when 'writing' then a.writing_level_iii
            when 'social_studies' then a.social_studies_level_iii
            when 'science' then a.science_level_iii
        end as level_iii,
        cast(null as varchar) as predicted_level,
        case g.part
            when 'rla' then a.rla_pli when 'math' then a.math_pli
            when 'social_studies' then a.social_studies_pli when 'science' then a.science_pli
        end as pli,
        case g.part
            when 'rla' then a.rla_progress when 'math' then a.math_progress
        end as progress,
        cast(null as double precision) as previous_scale_score,
        case g.part when 'rla' then a.rla_ecr_score end as ecr_score,
        case g.part when 'rla' then a.rla_ecr_ideas end as ecr_ideas,
        case g.part when 'rla' then a.rla_ecr_conventions end as ecr_conventions,
        case g.part when 'rla' then a.rla_ecr_condition end as ecr_condition,
        case g.part when 'writing' then a.writing_composition_score end as composition_score,
        cast(null as varchar) as passing_standard,
        cast(null as varchar) as probability_approaches,
        cast(null as varchar) as probability_meets, cast(null as varchar) as probability_masters,
        a.record_update_indicator,
        case g.part
            when 'rla' then a.rla_test_result_id when 'math' then a.math_test_result_id
            when 'social_studies' then a.social_studies_test_result_id
            when 'science' then a.science_test_result_id
        end as test_result_id,
        case g.part
            when 'rla' then a.rla_opportunity_key when 'math' then a.math_opportunity_key
            when 'social_studies' then a.social_studies_opportunity_key
            when 'science' then a.science_opportunity_key
        end as opportunity_key,
        case g.part
            when 'rla' then a.rla_non_participant when 'math' then a.math_non_participant
            when 'social_studies' then a.social_studies_non_participant
            when 'science' then a.science_non_participant
        end as non_participant,
        case g.part
            when 'rla' then a.rla_discrepancy when 'math' then a.math_discrepancy
            when 'social_studies' then a.social_studies_discrepancy
            when 'science' then a.science_discrepancy
        end as discrepancy,
        a.valid_from, a.valid_to, a.drop_id, a.line
    from staar_versions a
    cross join (
        values ('rla'), ('math'), ('writing'), ('social_studies'), ('science')
    ) as g (part)
    where a.version = 1
),

given as (
    select s.*
    from by_subject s
    where s.scale_score is not null
        or s.non_participant = '1'
        or upper(trim(s.score_code)) not in ('D', '*')
        or (s.score_code is not null and (
            s.part in ('rla', 'math')
            or (s.part = 'science' and s.grade_tested in ('05', '08', '5', '8'))
            or (s.part = 'social_studies' and s.grade_tested in ('08', '8'))
            or (s.part = 'writing' and s.grade_tested in ('04', '07', '4', '7'))
        ))

    union all

    select
        e.district_id, e.edition, e.result_id, e.match_field, e.match_value, e.campus_cdc,
        e.campus_name,
        case
            when strpos(e.edition, 'alt2') > 0 then 'staar_eoc_alt2' else 'staar_eoc'
        end as assessment_code,
        case upper(trim(e.eoc_code))
            when 'A1' then 'math' when 'A2' then 'math' when 'BI' then 'science'
            when 'US' then 'social_studies'
            when 'E1' then 'english' when 'E2' then 'english' when 'E3' then 'english'
        end as part,
        case upper(trim(e.eoc_code))
            when 'A1' then 'algebra_1' when 'A2' then 'algebra_2' when 'BI' then 'biology'
            when 'US' then 'us_history'
            when 'E1' then 'english_1' when 'E2' then 'english_2' when 'E3' then 'english_3'
        end as course,
        e.administration_code, cast(null as date) as test_date, e.grade_tested,
        cast(null as varchar) as enrolled_grade, e.tsds_unique_id, e.local_student_id,
        e.document_number, e.eoc_code as test_code, cast(null as varchar) as attempt,
        e.score_code, e.score_code_default,
        case upper(trim(e.eoc_code))
            when 'US' then 8 when 'A1' then 10 when 'BI' then 10 else 12
        end as packed_length,
        e.rc_packed, e.rc1_raw, e.rc2_raw, e.rc3_raw, e.rc4_raw, e.rc5_raw, e.rc6_raw,
        cast(null as varchar) as rc1_indicator, cast(null as varchar) as rc2_indicator,
        cast(null as varchar) as rc3_indicator, cast(null as varchar) as rc4_indicator,
        cast(null as varchar) as rc5_indicator, cast(null as varchar) as rc6_indicator,
        e.raw_score, e.scale_score, e.percentile, e.lexile, e.quantile,
        cast(null as varchar) as language, e.test_version, e.mode, e.retester, e.approaches,
        e.meets, e.masters, e.level_ii, e.level_iii, cast(null as varchar) as predicted_level,
        e.pli, e.progress, e.previous_scale_score, e.ecr_score, e.ecr_ideas, e.ecr_conventions,
        e.ecr_condition, cast(null as double precision) as composition_score, e.passing_standard,
        cast(null as varchar) as probability_approaches,
        cast(null as varchar) as probability_meets, cast(null as varchar) as probability_masters,
        e.record_update_indicator, e.test_result_id, e.opportunity_key, e.non_participant,
        e.discrepancy, e.valid_from, e.valid_to, e.drop_id, e.line
    from staar_eoc_versions e
    where e.version = 1

    union all

    select
        l.district_id, l.edition, l.result_id, l.match_field, l.match_value, l.campus_cdc,
        l.campus_name,
        case
            when substr(lpad(trim(l.administration_code), 4, '0'), 1, 2) = '04'
                then 'staar_3_8_alt2'
            when coalesce(l.approaches, l.meets, l.masters) is null
                and coalesce(l.level_ii, l.level_iii) is not null then 'staar_3_8_alt2'
            else 'staar_3_8'
        end as assessment_code,
        case
            when lower(l.test_subject) like '%read%' or lower(l.test_subject) like '%language arts%'
                or lower(trim(l.test_subject)) = 'rla' then 'rla'
            when lower(l.test_subject) like '%math%' then 'math'
            when lower(l.test_subject) like '%social%' then 'social_studies'
            when lower(l.test_subject) like '%science%' then 'science'
            when lower(l.test_subject) like '%writing%' then 'writing'
        end as part,
        'none' as course, l.administration_code, cast(null as date) as test_date, l.grade_tested,
        l.enrolled_grade, l.tsds_unique_id, l.local_student_id,
        cast(null as varchar) as document_number,
        case
            when lower(l.test_subject) like '%read%' or lower(l.test_subject) like '%language arts%'
                or lower(trim(l.test_subject)) = 'rla'
                or lower(l.test_subject) like '%math%' or lower(l.test_subject) like '%social%'
                or lower(l.test_subject) like '%science%' or lower(l.test_subject) like '%writing%'
                then null
            else l.test_subject
        end as test_code,
        cast(null as varchar) as attempt, l.score_code, l.score_code_default,
        cast(null as integer) as packed_length, cast(null as varchar) as rc_packed, l.rc1_raw,
        l.rc2_raw, l.rc3_raw, l.rc4_raw, l.rc5_raw, l.rc6_raw,
        cast(null as varchar) as rc1_indicator, cast(null as varchar) as rc2_indicator,
        cast(null as varchar) as rc3_indicator, cast(null as varchar) as rc4_indicator,
        cast(null as varchar) as rc5_indicator, cast(null as varchar) as rc6_indicator,
        l.raw_score, l.scale_score, l.percentile, l.lexile, l.quantile, l.language,
        l.test_version, l.mode, cast(null as varchar) as retester, l.approaches, l.meets,
        l.masters, l.level_ii, l.level_iii, cast(null as varchar) as predicted_level, l.pli,
        l.progress, cast(null as double precision) as previous_scale_score, l.ecr_score,
        cast(null as varchar) as ecr_ideas, cast(null as varchar) as ecr_conventions,
        cast(null as varchar) as ecr_condition,
        cast(null as double precision) as composition_score,
        cast(null as varchar) as passing_standard,
        cast(null as varchar) as probability_approaches,
        cast(null as varchar) as probability_meets, cast(null as varchar) as probability_masters,
        cast(null as varchar) as record_update_indicator, l.test_result_id, l.opportunity_key,
        l.non_participant, l.discrepancy, l.valid_from, l.valid_to, l.drop_id, l.line
    from staar_long_versions l
    where l.version = 1

    union all

    select
        i.district_id, i.edition, i.result_id, i.match_field, i.match_value, i.campus_cdc,
        i.campus_name, 'staar_interim' as assessment_code, t.part as part,
        coalesce(t.course, 'none') as course, cast(null as varchar) as administration_code,
        i.test_date, coalesce(i.grade_tested, t.grade) as grade_tested, i.enrolled_grade,
        i.tsds_unique_id, i.local_student_id, cast(null as varchar) as document_number,
        i.test_code, i.attempt, cast(null as varchar) as score_code,
        cast(null as varchar) as score_code_default, cast(null as integer) as packed_length,
        cast(null as varchar) as rc_packed, i.rc1_raw, i.rc2_raw, i.rc3_raw, i.rc4_raw, i.rc5_raw,
        i.rc6_raw, i.rc1_indicator, i.rc2_indicator, i.rc3_indicator, i.rc4_indicator,
        i.rc5_indicator, i.rc6_indicator, i.raw_score, i.scale_score,
        cast(null as double precision) as percentile, cast(null as varchar) as lexile,
        cast(null as varchar) as quantile, t.language as language,
        cast(null as varchar) as test_version, cast(null as varchar) as mode,
        cast(null as varchar) as retester, cast(null as varchar) as approaches,
        cast(null as varchar) as meets, cast(null as varchar) as masters,
        cast(null as varchar) as level_ii, cast(null as varchar) as level_iii, i.predicted_level,
        cast(null as varchar) as pli, cast(null as varchar) as progress,
        cast(null as double precision) as previous_scale_score,
        cast(null as double precision) as ecr_score, cast(null as varchar) as ecr_ideas,
        cast(null as varchar) as ecr_conventions, cast(null as varchar) as ecr_condition,
        cast(null as double precision) as composition_score,
        cast(null as varchar) as passing_standard, i.probability_approaches, i.probability_meets,
        i.probability_masters, cast(null as varchar) as record_update_indicator,
        cast(null as varchar) as test_result_id, i.opportunity_key,
        cast(null as varchar) as non_participant, cast(null as varchar) as discrepancy,
        i.valid_from, i.valid_to, i.drop_id, i.line
    from staar_interim_versions i
    left join interim_test t on t.test_code = upper(trim(i.test_code))
    where i.version = 1
),

-- Codes that a spreadsheet has taken a zero from get it back. What is no code is null.
repaired as (
    select
        v.*,
        case
            when v.administration_code similar to '[0-9]{4}' then v.administration_code
            when v.administration_code similar to '[0-9]{3}' then '0' || v.administration_code
        end as admin,
        case
            when v.campus_cdc similar to '[0-9]{8}' then '0' || v.campus_cdc
            else v.campus_cdc
        end as school_code,
        case
            when v.grade_tested similar to '[1-9]' then '0' || v.grade_tested
            when v.grade_tested similar to '0[1-9]|1[0-2]' then v.grade_tested
        end as grade,
        case
            when v.enrolled_grade similar to '[1-9]' then '0' || v.enrolled_grade
            else v.enrolled_grade
        end as own_grade,
        upper(trim(v.score_code)) as code,
        case when v.assessment_code like '%alt2' then 3 else 4 end as levels,
        lower(trim(regexp_replace(trim(v.predicted_level), '^[Pp]redicted to be ', '')))
            as predicted
    from given v
),

named as (
    select
        p.*,
        case
            when p.assessment_code = 'staar_interim'
                then cast(extract(year from p.test_date + interval '6 months') as integer)
            else 2000 + cast(substr(p.admin, 3, 2) as integer)
                + case when substr(p.admin, 1, 2) = '13' then 1 else 0 end
        end as school_year,
        case
            when p.assessment_code = 'staar_interim' then case
                when extract(month from p.test_date) in (8, 9, 10, 11) then 'fall'
                when extract(month from p.test_date) in (12, 1, 2) then 'winter'
                when extract(month from p.test_date) in (3, 4, 5) then 'spring'
                when extract(month from p.test_date) in (6, 7) then 'summer'
            end
            when substr(p.admin, 1, 2) in ('04', '05', '15') then 'spring'
            when substr(p.admin, 1, 2) = '13' then 'winter'
            when substr(p.admin, 1, 2) = '16' then 'summer'
        end as term,
        case
            when p.assessment_code = 'staar_interim' then case
                when p.scale_score is not null or p.raw_score is not null
                    or p.predicted is not null then 'scored'
                else 'no_information'
            end
            when p.non_participant = '1' then 'other'
            when p.code = 'S' then 'scored'
            when p.code = 'A' then 'absent'
            when p.code = 'O' then 'other'
            when p.code in ('D', '*') then 'no_information'
            when p.code in ('M', 'N') then 'exempt'
        end as status,
        case
            when p.assessment_code = 'staar_interim' then case
                when p.predicted = '1' or p.predicted like '%not meet%' then 1
                when p.predicted = '2' or p.predicted like 'approaches%' then 2
                when p.predicted = '3' or p.predicted like 'meets%' then 3
                when p.predicted = '4' or p.predicted like 'masters%' then 4
            end
            when p.non_participant = '1' or p.code is distinct from 'S' then null
            when p.levels = 3 then case
                when p.level_iii = '1' then 3
                when p.level_ii = '1' then 2
                when p.level_ii = '0' then 1
            end
            when p.masters = '1' then 4
            when p.meets = '1' then 3
            when p.approaches = '1' then 2
            when p.approaches = '0' then 1
        end as level_no,
        case
            when upper(trim(p.opportunity_key)) not in (
                '', '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
            ) then trim(p.opportunity_key)
            when length(trim(p.test_result_id)) = 9 then trim(p.test_result_id)
        end as vendor_id,
        case when upper(trim(p.tsds_unique_id)) not in (
            '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
        ) then p.tsds_unique_id end as tsds
    from repaired p
),

identified as (
    select
        n.*,
        case
            when n.part = 'rla' then case when n.school_year >= 2023 then 'ela' else 'reading' end
            when n.part = 'english' then 'ela'
            else n.part
        end as subject,
        coalesce(n.vendor_id, concat_ws(':',
            n.assessment_code, coalesce(n.tsds, n.local_student_id, n.result_id),
            coalesce(n.admin, cast(n.test_date as varchar)), n.grade, n.part, n.test_code,
            n.attempt, n.document_number
        )) as record_id,
        coalesce(n.rc1_raw, case when length(n.rc_packed) = n.packed_length
            then cast(nullif(regexp_replace(substr(n.rc_packed, 1, 2), '[^0-9]', '', 'g'), '')
                as double precision) end) as rc1,
        coalesce(n.rc2_raw, case when length(n.rc_packed) = n.packed_length
            then cast(nullif(regexp_replace(substr(n.rc_packed, 3, 2), '[^0-9]', '', 'g'), '')
                as double precision) end) as rc2,
        coalesce(n.rc3_raw, case when length(n.rc_packed) = n.packed_length
            then cast(nullif(regexp_replace(substr(n.rc_packed, 5, 2), '[^0-9]', '', 'g'), '')
                as double precision) end) as rc3,
        coalesce(n.rc4_raw, case when length(n.rc_packed) = n.packed_length
            then cast(nullif(regexp_replace(substr(n.rc_packed, 7, 2), '[^0-9]', '', 'g'), '')
                as double precision) end) as rc4,
        coalesce(n.rc5_raw, case when length(n.rc_packed) = n.packed_length
            then cast(nullif(regexp_replace(substr(n.rc_packed, 9, 2), '[^0-9]', '', 'g'), '')
                as double precision) end) as rc5,
        coalesce(n.rc6_raw, case when length(n.rc_packed) = n.packed_length
            then cast(nullif(regexp_replace(substr(n.rc_packed, 11, 2), '[^0-9]', '', 'g'), '')
                as double precision) end) as rc6
    from named n
),

-- The same result may come again in another row: the one delivered last counts, and of two in one
-- delivery the one that says something.
delivered as (
    select
        f.*,
        row_number() over (
            partition by f.district_id, f.record_id, f.subject
            order by f.valid_from desc, case when f.status = 'no_information' then 1 else 0 end,
                case when f.valid_to is null then 0 else 1 end, f.line desc, f.edition,
                cast(f.result_id as varchar) collate "C"
        ) as delivery
    from identified f
),

preferred as (
    select
        d.*,
        row_number() over (
            partition by d.district_id, d.match_value, d.assessment_code, d.subject, d.course,
                d.school_year, d.term, d.status = 'scored' and d.valid_to is null
            order by case when d.grade = d.own_grade or d.own_grade is null then 0 else 1 end,
                d.admin desc nulls last, d.test_date desc nulls last, d.attempt desc nulls last,
                d.grade desc nulls last, d.valid_from desc, d.line desc,
                cast(d.record_id as varchar) collate "C"
        ) as preference,
        coalesce(d.status = 'scored', false) as is_scored,
        nullif('{' || concat_ws(', ',
            '"test_version": ' || cast(to_json(d.test_version) as varchar),
            '"score_code_default": ' || cast(to_json(d.score_code_default) as varchar),
            '"retester": ' || cast(to_json(d.retester) as varchar),
            '"non_participant": ' || cast(to_json(d.non_participant) as varchar),
            '"discrepancy": ' || cast(to_json(d.discrepancy) as varchar),
            '"record_update_indicator": ' || cast(to_json(d.record_update_indicator) as varchar),
            '"passing_standard": ' || cast(to_json(d.passing_standard) as varchar),
            case when d.status = 'scored' then nullif(concat_ws(', ',
                '"approaches_grade_level": ' || cast(to_json(d.approaches) as varchar),
                '"performance_level_indicator": ' || cast(to_json(d.pli) as varchar),
                '"progress_measure": ' || cast(to_json(d.progress) as varchar),
                '"previous_scale_score": ' || 
                    regexp_replace(cast(d.previous_scale_score as varchar), '\.0$', ''),
                '"extended_response_score": ' || 
                    regexp_replace(cast(d.ecr_score as varchar), '\.0$', ''),
                '"extended_response_ideas": ' || cast(to_json(d.ecr_ideas) as varchar),
                '"extended_response_conventions": ' || cast(to_json(d.ecr_conventions) as varchar),
                '"extended_response_condition": ' || cast(to_json(d.ecr_condition) as varchar),
                '"composition_score": ' || 
                    regexp_replace(cast(d.composition_score as varchar), '\.0$', ''),
                '"probability_approaches": ' || cast(to_json(d.probability_approaches) as varchar),
                '"probability_meets": ' || cast(to_json(d.probability_meets) as varchar),
                '"probability_masters": ' || cast(to_json(d.probability_masters) as varchar)
            ), '') end
        ) || '}', '{}') as rest
    from delivered d
    where d.delivery = 1
),

by_objective as (
    select
        w.*,
        o.objective_code,
        case o.objective_code
            when 'overall' then w.raw_score when 'rc1' then w.rc1 when 'rc2' then w.rc2
            when 'rc3' then w.rc3 when 'rc4' then w.rc4 when 'rc5' then w.rc5 when 'rc6' then w.rc6
        end as points,
        case o.objective_code
            when 'rc1' then w.rc1_indicator when 'rc2' then w.rc2_indicator
            when 'rc3' then w.rc3_indicator when 'rc4' then w.rc4_indicator
            when 'rc5' then w.rc5_indicator when 'rc6' then w.rc6_indicator
        end as indicator
    from preferred w
    cross join (
        values ('overall'), ('rc1'), ('rc2'), ('rc3'), ('rc4'), ('rc5'), ('rc6')
    ) as o (objective_code)
)

select
    c.district_id,
    cast('staar' as varchar) as source_system,
    c.edition,
    cast(c.record_id as varchar) as source_record_id,
    cast(case when c.vendor_id is null then 'composed' else 'vendor' end as varchar)
        as source_record_id_kind,
    c.match_field,
    c.match_value,
    cast(c.school_code as varchar) as tested_school_code,
    c.campus_name as tested_school_name,
    cast(null as varchar) as vendor_school_id,
    cast(c.assessment_code as varchar) as assessment_code,
    cast(case c.assessment_code
        when 'staar_3_8' then 'STAAR 3-8'
        when 'staar_3_8_alt2' then 'STAAR Alternate 2, 3-8'
        when 'staar_eoc' then 'STAAR End-of-Course'
        when 'staar_eoc_alt2' then 'STAAR Alternate 2, End-of-Course'
        when 'staar_interim' then 'STAAR Interim'
    end as varchar) as assessment_name,
    cast(c.subject as varchar) as subject,
    cast(c.course as varchar) as course,
    cast(c.objective_code as varchar) as objective_code,
    cast(k.objective_name as varchar) as objective_name,
    cast(case when c.objective_code = 'overall' then 'overall' else 'strand' end as varchar)
        as objective_level,
    c.school_year,
    cast(c.term as varchar) as term,
    cast(case when c.term is null then null when c.assessment_code = 'staar_interim' then 'derived'
        else 'file' end as varchar) as term_source,
    cast(coalesce(c.admin, c.administration_code) as varchar) as admin_code,
    c.test_date,
    cast(null as timestamp) as completed_at,
    cast(c.grade as varchar) as grade_tested,
    cast(case c.language when 'E' then 'en' when 'S' then 'es' end as varchar) as language,
    cast(case c.mode when 'O' then 'online' when 'P' then 'paper' end as varchar) as mode,
    case when c.attempt similar to '[0-9]{1,4}' then cast(c.attempt as integer) end as attempt_no,
    case c.retester when 'R' then true when 'F' then false end as is_retest,
    c.is_scored and c.valid_to is null and c.preference = 1 as is_primary,
    cast(case
        when not c.is_scored or c.valid_to is not null then null
        when c.assessment_code like 'staar_3_8%' then 'enrolled_grade_then_latest'
        else 'latest'
    end as varchar) as primary_rule,
    cast(c.status as varchar) as score_status,
    c.score_code as status_code,
    cast(case when c.is_scored and c.objective_code = 'overall' then c.scale_score end
        as double precision) as scale_score,
    cast(null as double precision) as scale_score_sem,
    cast(null as double precision) as scale_score_low,
    cast(null as double precision) as scale_score_high,
    cast(case when c.is_scored then c.points end as double precision) as raw_score,
    cast(null as double precision) as points_possible,
    cast(null as double precision) as percent_correct,
    cast(case when c.is_scored and c.objective_code = 'overall' then c.percentile end
        as double precision) as percentile,
    cast(null as varchar) as percentile_norm_year,
    cast(null as double precision) as nce,
    cast(null as double precision) as grade_equivalent,
    cast(null as varchar) as grade_equivalent_text,
    cast(case when c.is_scored and c.objective_code = 'overall' then c.lexile end as varchar)
        as lexile_text,
    case when c.is_scored and c.objective_code = 'overall' then
        cast(nullif(regexp_replace(c.lexile, '[^0-9]', '', 'g'), '') as double precision)
        * case when upper(c.lexile) like 'BR%' then -1 else 1 end
    end as lexile_num,
    cast(case when c.is_scored and c.objective_code = 'overall' then c.quantile end as varchar)
        as quantile_text,
    case when c.is_scored and c.objective_code = 'overall' then
        cast(nullif(regexp_replace(c.quantile, '[^0-9]', '', 'g'), '') as double precision)
        * case when upper(c.quantile) like 'EM%' then -1 else 1 end
    end as quantile_num,
    cast(null as varchar) as growth_from_term,
    cast(null as double precision) as growth_observed,
    cast(null as double precision) as growth_projected,
    cast(null as boolean) as growth_met,
    cast(null as double precision) as growth_percentile,
    cast(null as double precision) as growth_index,
    cast(case
        when c.objective_code <> 'overall' then c.indicator
        when c.assessment_code = 'staar_interim' and c.predicted similar to '[1-4]' then
            case c.level_no when 1 then 'Did Not Meet' when 2 then 'Approaches'
                when 3 then 'Meets' else 'Masters' end
        when c.assessment_code = 'staar_interim'
            then trim(regexp_replace(trim(c.predicted_level), '^[Pp]redicted to be ', ''))
        when c.levels = 3 then
            case c.level_no when 1 then 'Developing' when 2 then 'Satisfactory'
                when 3 then 'Accomplished' end
        else case c.level_no when 1 then 'Did Not Meet' when 2 then 'Approaches'
            when 3 then 'Meets' when 4 then 'Masters' end
    end as varchar) as performance_level,
    cast(case
        when c.objective_code = 'overall' then c.level_no
        else case lower(c.indicator) when 'under' then 1 when 'near' then 2 when 'above' then 3 end
    end as integer) as performance_level_no,
    cast(case
        when c.objective_code = 'overall' then case when c.level_no is not null then c.levels end
        when lower(c.indicator) in ('under', 'near', 'above') then 3
    end as integer) as performance_level_of,
    cast(case
        when c.objective_code <> 'overall' then case when c.indicator is not null then 'vendor' end
        when c.assessment_code = 'staar_interim'
            then case when c.predicted is not null then 'vendor' end
        when c.level_no is not null then 'state'
    end as varchar) as level_source,
    case
        when c.objective_code = 'overall' and c.assessment_code <> 'staar_interim'
            then c.level_no >= case when c.levels = 3 then 2 else 3 end
    end as is_proficient,
    cast(case when c.objective_code = 'overall' then c.rest end as varchar) as other_scores,
    c.valid_to is not null as is_deleted,
    c.valid_to as deleted_on,
    c.valid_from as delivered_on,
    c.drop_id,
    c.line
from by_objective c
left join category k
    on k.part = c.part and k.course = c.course and k.objective_code = c.objective_code
    and c.school_year between k.first_year and k.last_year
where c.objective_code = 'overall'
    or (c.is_scored and (c.points is not null or c.indicator is not null))
