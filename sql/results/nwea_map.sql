-- One row per NWEA MAP test event and objective: `overall` is the test, goal_1 to goal_8 are its
-- instructional areas. The latest version of each; one that is gone is marked as deleted.
--
-- What is settled here, and by whom it was found:
--
-- - Subject Language Arts is no construct: reading and language usage share it, so the subject is
--   told by Course (before 2020 MeasurementScale), as are Algebra 1 and 2, Geometry and Biology
--   (Ed-Fi's MAP Growth bundle; layouts of 2015 and 2020).
-- - A screener is a Survey whose name begins with Screening: (the same bundle). It has no TestID
--   and no goals, and is an assessment of its own.
-- - Combined files have no TestID and no growth flag. Where the same event (student, term, test,
--   start, RIT score) was delivered in both kinds of file it is one result, known by its TestID.
--   The RIT score belongs to the comparison: two sittings may state the same start.
-- - The vendor counts one test of a student, term and scale for growth: GrowthMeasureYN = TRUE.
--   That one is primary; without the flag it is the latest, then the one with the lowest standard
--   error. Of a test in Spanish and one in English that both count, the English one is primary.
-- - An event that was invalidated is missing from the next export of its term and school: it is
--   deleted here, and keeps its scores.
-- - Norms are a value of the row. USER are the district's own, whose percentile is not national: it
--   goes to other_scores as user_norm_percentile.
-- - Growth is filled for pairs of terms that end in the exported term. The columns show the pair
--   that begins in fall, else the one from the same season a year before, else winter to spring;
--   other_scores has the others. `Yes*` and `No*` count as yes and no; the asterisk (in doubt by
--   the standard error) stays in other_scores.
-- - A goal is 1 to 8 by its place in the file; what it is called is in objective_name. An asterisk
--   as level and `*-*` as range mean that there is none. Excel turns ranges into dates: what is no
--   range stays in other_scores as goal_range.
-- - BR (before a Lexile) and EM (before a Quantile) mean below zero (MetaMetrics).
-- - Kindergarten is 13 in some files. Comprehensive files have the grade in StudentsBySchool.csv.
-- - The file says when a test began and not when it ended: completed_at is null.

-- Which row counts, and as what, is decided on few columns: the rows are wide.
with versions as (
    select
        r.district_id, r.result_id, r.valid_from, r.valid_to, r.drop_id, r.line, r.match_value,
        r.student_id, r.student_state_id, r.term_name, r.school_name, r.nwea_standard_grade,
        r.grade, r.course, r.measurement_scale, r.growth_measure_yn, r.test_type, r.test_name,
        case when upper(trim(r.test_id)) not in (
            '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
        ) then r.test_id end as test_id,
        r.test_start_date, r.test_start_time, r.test_rit_score, r.test_standard_error,
        row_number() over (
            partition by r.district_id, r.result_id
            order by r.valid_from desc, case when r.valid_to is null then 0 else 1 end, r.line desc
        ) as version
    from assessments.nwea_map r
),

students as (
    select
        s.district_id, s.term_name, s.school_name, s.student_id, s.grade,
        row_number() over (
            partition by s.district_id, s.term_name, s.school_name, s.student_id
            order by s.valid_from desc, case when s.valid_to is null then 0 else 1 end, s.line desc
        ) as version
    from assessments.nwea_map_students s
),

-- What the vendor's words say, before they are turned into ours.
worded as (
    select
        v.*,
        coalesce(v.student_id, v.student_state_id) as student,
        coalesce(v.course, v.measurement_scale) as rit_scale,
        lower(coalesce(v.course, v.measurement_scale)) as scale,
        lower(split_part(trim(v.term_name), ' ', 1)) as season,
        upper(trim(v.growth_measure_yn)) in ('TRUE', 'T', 'YES', 'Y', '1') as counts_for_growth,
        regexp_replace(
            upper(trim(coalesce(v.nwea_standard_grade, v.grade, s.grade))),
            '^GRADE *|[+]$|[.]0$', '', 'g'
        ) as grade_word,
        lower(trim(v.test_type)) = 'survey' and lower(trim(v.test_name)) like 'screening:%'
            as is_screener,
        v.valid_to is not null as is_deleted
    from versions v
    left join students s
        on s.district_id = v.district_id and s.version = 1
        and s.term_name = v.term_name and s.school_name = v.school_name
        and s.student_id = v.student_id
    where v.version = 1
),

classified as (
    select
        w.*,
        case when w.is_screener then 'nwea_map_screening' else 'nwea_map_growth' end
            as assessment_code,
        case
            when w.scale like '%lang%usage%' or w.scale = 'language' then 'language'
            when w.scale like '%reading%' then 'reading'
            when w.scale like '%math%' or w.scale like '%algebra%' or w.scale like '%geometry%'
                then 'math'
            when w.scale like '%social%' or w.scale like '%history%' then 'social_studies'
            when w.scale like '%science%' or w.scale like '%biology%' or w.scale like '%chemistry%'
                or w.scale like '%physics%' then 'science'
            when w.scale like '%literacy%' then 'early_literacy'
            when w.scale like '%writing%' then 'writing'
            when w.scale like '%language arts%' or w.scale = 'ela' then 'ela'
        end as subject_code,
        case
            when w.scale ~ '^.*algebra (1|i)([^0-9a-z].*)?$' then 'algebra_1'
            when w.scale ~ '^.*algebra (2|ii)([^0-9a-z].*)?$' then 'algebra_2'
            when w.scale like '%geometry%' then 'geometry'
            when w.scale like '%biology%' then 'biology'
        end as course_code,
        case
            when w.term_name ~ '^.*[0-9]{4}-[0-9]{4}$' then cast(right(w.term_name, 4) as integer)
            when w.term_name ~ '^.*[0-9]{4}-[0-9]{2}$'
                then 2000 + cast(right(w.term_name, 2) as integer)
            else cast(extract(year from w.test_start_date + interval '6 months') as integer)
        end as school_year,
        case
            when w.season in ('fall', 'winter', 'spring', 'summer') then w.season
            when extract(month from w.test_start_date) in (8, 9, 10, 11) then 'fall'
            when extract(month from w.test_start_date) in (12, 1, 2) then 'winter'
            when extract(month from w.test_start_date) in (3, 4, 5) then 'spring'
            when extract(month from w.test_start_date) in (6, 7) then 'summer'
        end as term,
        case when w.season in ('fall', 'winter', 'spring', 'summer') then 'file' else 'derived' end
            as term_source,
        case
            when w.grade_word in ('PK', 'PREK', 'PRE-K') then 'PK'
            when w.grade_word in ('K', 'KG', '0', '00', '13', 'KINDERGARTEN') then 'KG'
            when w.grade_word ~ '^0?[1-9]$' then '0' || right(w.grade_word, 1)
            when w.grade_word in ('10', '11', '12') then w.grade_word
        end as grade_tested
    from worded w
),

-- A combined file has no TestID: its row takes that of the same event in a comprehensive file.
events as (
    select
        k.*,
        coalesce(k.test_id, max(k.test_id) over (
            partition by k.district_id, k.student, k.term_name, k.subject_code, k.course_code,
                k.test_name, k.test_start_date, k.test_start_time, k.test_rit_score
        )) as event_id
    from classified k
),

identified as (
    select
        e.*,
        case when e.event_id is null then 'composed' else 'vendor' end as record_kind,
        case
            when e.event_id is not null then e.student || ':' || e.event_id
            else concat_ws(':', e.student, e.term_name, e.rit_scale, e.test_name,
                cast(e.test_start_date as varchar),
                coalesce(cast(e.test_start_time as varchar), ''),
                regexp_replace(cast(e.test_rit_score as varchar), '\.0$', ''))
        end as record_id
    from events e
),

delivered as (
    select
        i.*,
        max(case when i.counts_for_growth then 1 else 0 end)
            over (partition by i.district_id, i.record_id) as growth_flag,
        row_number() over (
            partition by i.district_id, i.record_id
            order by case when i.is_deleted then 1 else 0 end, i.valid_from desc, i.line desc
        ) as delivery
    from identified i
),

compared as (
    select
        d.*,
        row_number() over (
            partition by d.district_id, d.match_value, d.assessment_code, d.subject_code,
                d.course_code, d.school_year, d.term, d.is_deleted
            order by d.test_start_date, d.test_start_time nulls last,
                cast(d.record_id as varchar) collate "C"
        ) as attempt,
        max(d.growth_flag) over (
            partition by d.district_id, d.match_value, d.assessment_code, d.subject_code,
                d.course_code, d.school_year, d.term, d.is_deleted
        ) as group_has_flag,
        row_number() over (
            partition by d.district_id, d.match_value, d.assessment_code, d.subject_code,
                d.course_code, d.school_year, d.term, d.is_deleted
            order by d.growth_flag desc, case when d.scale like '%spanish%' then 1 else 0 end,
                d.test_start_date desc, d.test_start_time desc nulls last,
                d.test_standard_error nulls last, cast(d.record_id as varchar) collate "C"
        ) as preference
    from delivered d
    where d.delivery = 1
),

-- pair: the growth shown, by the order of the pairs in the file (fall to fall is 1).
joined as (
    select
        r.*,
        c.assessment_code, c.subject_code, c.course_code, c.school_year, c.term, c.term_source,
        c.grade_tested, c.scale, c.rit_scale, c.record_id, c.record_kind, c.is_deleted,
        c.attempt, c.preference, c.group_has_flag,
        upper(trim(r.norms_reference_data)) as norms,
        coalesce(r.lexile_score, r.rit_to_reading_score) as lexile_text,
        upper(replace(coalesce(r.lexile_score, r.rit_to_reading_score), ' ', '')) as lexile,
        upper(replace(r.quantile_score, ' ', '')) as quantile,
        case
            when c.term = 'fall' and coalesce(r.fall_to_fall_observed_growth,
                r.fall_to_fall_projected_growth) is not null then 1
            when c.term = 'winter' and coalesce(r.fall_to_winter_observed_growth,
                r.fall_to_winter_projected_growth) is not null then 2
            when c.term = 'spring' and coalesce(r.fall_to_spring_observed_growth,
                r.fall_to_spring_projected_growth) is not null then 3
            when c.term = 'winter' and coalesce(r.winter_to_winter_observed_growth,
                r.winter_to_winter_projected_growth) is not null then 4
            when c.term = 'spring' and coalesce(r.spring_to_spring_observed_growth,
                r.spring_to_spring_projected_growth) is not null then 6
            when c.term = 'spring' and coalesce(r.winter_to_spring_observed_growth,
                r.winter_to_spring_projected_growth) is not null then 5
        end as pair
    from compared c
    join assessments.nwea_map r
        on r.district_id = c.district_id and r.result_id = c.result_id
        and r.valid_from = c.valid_from and r.drop_id = c.drop_id and r.line = c.line
),

tests as (
    select
        c.*,
        (array['fall', 'fall', 'fall', 'winter', 'winter', 'spring'])[c.pair]
            as growth_from_term,
        (array[
            c.fall_to_fall_projected_growth, c.fall_to_winter_projected_growth,
            c.fall_to_spring_projected_growth, c.winter_to_winter_projected_growth,
            c.winter_to_spring_projected_growth, c.spring_to_spring_projected_growth
        ])[c.pair] as growth_projected,
        (array[
            c.fall_to_fall_observed_growth, c.fall_to_winter_observed_growth,
            c.fall_to_spring_observed_growth, c.winter_to_winter_observed_growth,
            c.winter_to_spring_observed_growth, c.spring_to_spring_observed_growth
        ])[c.pair] as growth_observed,
        (array[
            c.fall_to_fall_met_projected_growth, c.fall_to_winter_met_projected_growth,
            c.fall_to_spring_met_projected_growth, c.winter_to_winter_met_projected_growth,
            c.winter_to_spring_met_projected_growth, c.spring_to_spring_met_projected_growth
        ])[c.pair] as met,
        (array[
            c.fall_to_fall_conditional_growth_index, c.fall_to_winter_conditional_growth_index,
            c.fall_to_spring_conditional_growth_index, c.winter_to_winter_conditional_growth_index,
            c.winter_to_spring_conditional_growth_index, c.spring_to_spring_conditional_growth_index
        ])[c.pair] as growth_index,
        (array[
            c.fall_to_fall_conditional_growth_percentile,
            c.fall_to_winter_conditional_growth_percentile,
            c.fall_to_spring_conditional_growth_percentile,
            c.winter_to_winter_conditional_growth_percentile,
            c.winter_to_spring_conditional_growth_percentile,
            c.spring_to_spring_conditional_growth_percentile
        ])[c.pair] as growth_percentile,
        concat_ws(', ',
            '"rit_scale": ' || to_json(c.rit_scale),
            '"test_start_time": ' || to_json(cast(c.test_start_time as varchar)),
            '"test_duration_minutes": ' || c.test_duration_minutes,
            '"rapid_guessing_percentage": ' || c.rapid_guessing_percentage,
            case when c.norms = 'USER' then '"user_norm_percentile": ' || c.test_percentile end,
            '"wi_selected_ay_fall": ' || c.wi_selected_ay_fall,
            '"wi_selected_ay_winter": ' || c.wi_selected_ay_winter,
            '"wi_selected_ay_spring": ' || c.wi_selected_ay_spring,
            '"wi_previous_ay_fall": ' || c.wi_previous_ay_fall,
            '"wi_previous_ay_winter": ' || c.wi_previous_ay_winter,
            '"wi_previous_ay_spring": ' || c.wi_previous_ay_spring,
            '"lexile_min": ' || to_json(coalesce(c.lexile_min, c.rit_to_reading_min)),
            '"lexile_max": ' || to_json(coalesce(c.lexile_max, c.rit_to_reading_max)),
            '"quantile_min": ' || to_json(c.quantile_min),
            '"quantile_max": ' || to_json(c.quantile_max),
            case when c.pair is distinct from 1 then nullif(concat_ws(', ',
                '"fall_to_fall_projected_growth": ' || c.fall_to_fall_projected_growth,
                '"fall_to_fall_observed_growth": ' || c.fall_to_fall_observed_growth,
                '"fall_to_fall_conditional_growth_index": '
                    || c.fall_to_fall_conditional_growth_index,
                '"fall_to_fall_conditional_growth_percentile": '
                    || c.fall_to_fall_conditional_growth_percentile
            ), '') end,
            '"fall_to_fall_observed_growth_se": ' || c.fall_to_fall_observed_growth_se,
            '"fall_to_fall_met_projected_growth": '
                || to_json(c.fall_to_fall_met_projected_growth),
            '"fall_to_fall_growth_quintile": ' || to_json(c.fall_to_fall_growth_quintile),
            case when c.pair is distinct from 2 then nullif(concat_ws(', ',
                '"fall_to_winter_projected_growth": ' || c.fall_to_winter_projected_growth,
                '"fall_to_winter_observed_growth": ' || c.fall_to_winter_observed_growth,
                '"fall_to_winter_conditional_growth_index": '
                    || c.fall_to_winter_conditional_growth_index,
                '"fall_to_winter_conditional_growth_percentile": '
                    || c.fall_to_winter_conditional_growth_percentile
            ), '') end,
            '"fall_to_winter_observed_growth_se": ' || c.fall_to_winter_observed_growth_se,
            '"fall_to_winter_met_projected_growth": '
                || to_json(c.fall_to_winter_met_projected_growth),
            '"fall_to_winter_growth_quintile": ' || to_json(c.fall_to_winter_growth_quintile),
            case when c.pair is distinct from 3 then nullif(concat_ws(', ',
                '"fall_to_spring_projected_growth": ' || c.fall_to_spring_projected_growth,
                '"fall_to_spring_observed_growth": ' || c.fall_to_spring_observed_growth,
                '"fall_to_spring_conditional_growth_index": '
                    || c.fall_to_spring_conditional_growth_index,
                '"fall_to_spring_conditional_growth_percentile": '
                    || c.fall_to_spring_conditional_growth_percentile
            ), '') end,
            '"fall_to_spring_observed_growth_se": ' || c.fall_to_spring_observed_growth_se,
            '"fall_to_spring_met_projected_growth": '
                || to_json(c.fall_to_spring_met_projected_growth),
            '"fall_to_spring_growth_quintile": ' || to_json(c.fall_to_spring_growth_quintile),
            case when c.pair is distinct from 4 then nullif(concat_ws(', ',
                '"winter_to_winter_projected_growth": ' || c.winter_to_winter_projected_growth,
                '"winter_to_winter_observed_growth": ' || c.winter_to_winter_observed_growth,
                '"winter_to_winter_conditional_growth_index": '
                    || c.winter_to_winter_conditional_growth_index,
                '"winter_to_winter_conditional_growth_percentile": '
                    || c.winter_to_winter_conditional_growth_percentile
            ), '') end,
            '"winter_to_winter_observed_growth_se": ' || c.winter_to_winter_observed_growth_se,
            '"winter_to_winter_met_projected_growth": '
                || to_json(c.winter_to_winter_met_projected_growth),
            '"winter_to_winter_growth_quintile": ' || to_json(c.winter_to_winter_growth_quintile),
            case when c.pair is distinct from 5 then nullif(concat_ws(', ',
                '"winter_to_spring_projected_growth": ' || c.winter_to_spring_projected_growth,
                '"winter_to_spring_observed_growth": ' || c.winter_to_spring_observed_growth,
                '"winter_to_spring_conditional_growth_index": '
                    || c.winter_to_spring_conditional_growth_index,
                '"winter_to_spring_conditional_growth_percentile": '
                    || c.winter_to_spring_conditional_growth_percentile
            ), '') end,
            '"winter_to_spring_observed_growth_se": ' || c.winter_to_spring_observed_growth_se,
            '"winter_to_spring_met_projected_growth": '
                || to_json(c.winter_to_spring_met_projected_growth),
            '"winter_to_spring_growth_quintile": ' || to_json(c.winter_to_spring_growth_quintile),
            case when c.pair is distinct from 6 then nullif(concat_ws(', ',
                '"spring_to_spring_projected_growth": ' || c.spring_to_spring_projected_growth,
                '"spring_to_spring_observed_growth": ' || c.spring_to_spring_observed_growth,
                '"spring_to_spring_conditional_growth_index": '
                    || c.spring_to_spring_conditional_growth_index,
                '"spring_to_spring_conditional_growth_percentile": '
                    || c.spring_to_spring_conditional_growth_percentile
            ), '') end,
            '"spring_to_spring_observed_growth_se": ' || c.spring_to_spring_observed_growth_se,
            '"spring_to_spring_met_projected_growth": '
                || to_json(c.spring_to_spring_met_projected_growth),
            '"spring_to_spring_growth_quintile": ' || to_json(c.spring_to_spring_growth_quintile),
            '"typical_fall_to_fall_growth": ' || c.typical_fall_to_fall_growth,
            '"typical_fall_to_winter_growth": ' || c.typical_fall_to_winter_growth,
            '"typical_fall_to_spring_growth": ' || c.typical_fall_to_spring_growth,
            '"typical_winter_to_winter_growth": ' || c.typical_winter_to_winter_growth,
            '"typical_winter_to_spring_growth": ' || c.typical_winter_to_spring_growth,
            '"typical_spring_to_spring_growth": ' || c.typical_spring_to_spring_growth,
            '"projected_proficiency": ' || to_json(c.projected_proficiency),
            '"projected_proficiency_study1": ' || to_json(c.projected_proficiency_study1),
            '"projected_proficiency_level1": ' || to_json(c.projected_proficiency_level1),
            '"projected_proficiency_study2": ' || to_json(c.projected_proficiency_study2),
            '"projected_proficiency_level2": ' || to_json(c.projected_proficiency_level2),
            '"projected_proficiency_study3": ' || to_json(c.projected_proficiency_study3),
            '"projected_proficiency_level3": ' || to_json(c.projected_proficiency_level3),
            '"projected_proficiency_study4": ' || to_json(c.projected_proficiency_study4),
            '"projected_proficiency_level4": ' || to_json(c.projected_proficiency_level4),
            '"projected_proficiency_study5": ' || to_json(c.projected_proficiency_study5),
            '"projected_proficiency_level5": ' || to_json(c.projected_proficiency_level5),
            '"projected_proficiency_study6": ' || to_json(c.projected_proficiency_study6),
            '"projected_proficiency_level6": ' || to_json(c.projected_proficiency_level6),
            '"projected_proficiency_study7": ' || to_json(c.projected_proficiency_study7),
            '"projected_proficiency_level7": ' || to_json(c.projected_proficiency_level7),
            '"projected_proficiency_study8": ' || to_json(c.projected_proficiency_study8),
            '"projected_proficiency_level8": ' || to_json(c.projected_proficiency_level8),
            '"projected_proficiency_study9": ' || to_json(c.projected_proficiency_study9),
            '"projected_proficiency_level9": ' || to_json(c.projected_proficiency_level9),
            '"projected_proficiency_study10": ' || to_json(c.projected_proficiency_study10),
            '"projected_proficiency_level10": ' || to_json(c.projected_proficiency_level10),
            '"accommodation_categories": ' || to_json(c.accommodation_categories),
            '"accommodations": ' || to_json(c.accommodations)
        ) as rest,
        cast(case
            when c.lexile ~ '^[<>]?(BR|-)[0-9]+L?$'
                then -cast(regexp_replace(c.lexile, '[^0-9]', '', 'g') as integer)
            when c.lexile ~ '^[<>]?[0-9]+L?$'
                then cast(regexp_replace(c.lexile, '[^0-9]', '', 'g') as integer)
        end as double precision) as lexile_num,
        cast(case
            when c.quantile ~ '^[<>]?(EM|-)[0-9]+Q?$'
                then -cast(regexp_replace(c.quantile, '[^0-9]', '', 'g') as integer)
            when c.quantile ~ '^[<>]?[0-9]+Q?$'
                then cast(regexp_replace(c.quantile, '[^0-9]', '', 'g') as integer)
        end as double precision) as quantile_num
    from joined c
),

-- One row for the test (0) and one for each of its goals (1 to 8), where the test has it.
split as (
    select
        c.*,
        unnest(array[0, 1, 2, 3, 4, 5, 6, 7, 8]) as objective,
        unnest(array[
            cast(null as varchar), c.goal1_name, c.goal2_name,
            c.goal3_name, c.goal4_name, c.goal5_name,
            c.goal6_name, c.goal7_name, c.goal8_name
        ]) as goal_name,
        unnest(array[
            cast(null as double precision), c.goal1_rit_score, c.goal2_rit_score,
            c.goal3_rit_score, c.goal4_rit_score, c.goal5_rit_score,
            c.goal6_rit_score, c.goal7_rit_score, c.goal8_rit_score
        ]) as goal_score,
        unnest(array[
            cast(null as double precision), c.goal1_std_err, c.goal2_std_err,
            c.goal3_std_err, c.goal4_std_err, c.goal5_std_err,
            c.goal6_std_err, c.goal7_std_err, c.goal8_std_err
        ]) as goal_error,
        unnest(array[
            cast(null as varchar), c.goal1_range, c.goal2_range,
            c.goal3_range, c.goal4_range, c.goal5_range,
            c.goal6_range, c.goal7_range, c.goal8_range
        ]) as goal_range,
        unnest(array[
            cast(null as varchar), c.goal1_adjective, c.goal2_adjective,
            c.goal3_adjective, c.goal4_adjective, c.goal5_adjective,
            c.goal6_adjective, c.goal7_adjective, c.goal8_adjective
        ]) as goal_adjective
    from tests c
),

measured as (
    select
        c.*,
        case when c.objective = 0 then c.test_rit_score else c.goal_score end as score,
        case
            when c.objective = 0 then nullif(trim(c.achievement_quintile), '*')
            when c.goal_score is not null then nullif(trim(c.goal_adjective), '*')
        end as level_word,
        case
            when c.goal_score is not null and replace(c.goal_range, ' ', '') ~ '^[0-9]+-[0-9]+$'
                then replace(c.goal_range, ' ', '')
        end as points
    from split c
    where c.objective = 0 or c.goal_name is not null or c.goal_score is not null
),

levelled as (
    select
        l.*,
        case replace(upper(l.level_word), ' ', '')
            when 'LOW' then 1
            when 'LOAVG' then 2
            when 'AVG' then 3
            when 'HIAVG' then 4
            when 'HIGH' then 5
        end as level_no
    from measured l
)

select
    m.district_id,
    cast('nwea_map' as varchar) as source_system,
    m.edition,
    cast(m.record_id as varchar) as source_record_id,
    cast(m.record_kind as varchar) as source_record_id_kind,
    m.match_field,
    m.match_value,
    m.school_state_id as tested_school_code,
    m.school_name as tested_school_name,
    cast(null as varchar) as vendor_school_id,
    cast(m.assessment_code as varchar) as assessment_code,
    m.test_name as assessment_name,
    cast(m.subject_code as varchar) as subject,
    cast(coalesce(m.course_code, 'none') as varchar) as course,
    cast(case when m.objective = 0 then 'overall' else 'goal_' || cast(m.objective as varchar) end
        as varchar) as objective_code,
    cast(m.goal_name as varchar) as objective_name,
    cast(case when m.objective = 0 then 'overall' else 'strand' end as varchar) as objective_level,
    m.school_year,
    cast(m.term as varchar) as term,
    cast(m.term_source as varchar) as term_source,
    m.term_name as admin_code,
    m.test_start_date as test_date,
    cast(null as timestamp) as completed_at,
    cast(m.grade_tested as varchar) as grade_tested,
    cast(case when m.scale like '%spanish%' then 'es' end as varchar) as language,
    cast(null as varchar) as mode,
    cast(case when not m.is_deleted then m.attempt end as integer) as attempt_no,
    case when not m.is_deleted then m.attempt > 1 end as is_retest,
    not m.is_deleted and m.preference = 1 as is_primary,
    cast(case
        when m.is_deleted then null
        when m.group_has_flag = 1 then 'growth_measure_yn'
        else 'latest_then_lowest_sem'
    end as varchar) as primary_rule,
    cast(case when m.score is null then 'no_information' else 'scored' end as varchar)
        as score_status,
    cast(null as varchar) as status_code,
    cast(m.score as double precision) as scale_score,
    cast(case when m.objective = 0 then m.test_standard_error when m.score is not null
        then m.goal_error end as double precision) as scale_score_sem,
    cast(split_part(m.points, '-', 1) as double precision)
        as scale_score_low,
    cast(split_part(m.points, '-', 2) as double precision)
        as scale_score_high,
    cast(null as double precision) as raw_score,
    cast(null as double precision) as points_possible,
    cast(case when m.objective = 0 then m.percent_correct end as double precision)
        as percent_correct,
    cast(case when m.objective = 0 and coalesce(m.norms, '') <> 'USER' then m.test_percentile end
        as double precision) as percentile,
    cast(case when m.objective = 0 then m.norms end as varchar) as percentile_norm_year,
    cast(null as double precision) as nce,
    cast(null as double precision) as grade_equivalent,
    cast(null as varchar) as grade_equivalent_text,
    cast(case when m.objective = 0 then m.lexile_text end as varchar) as lexile_text,
    case when m.objective = 0 then m.lexile_num end as lexile_num,
    cast(case when m.objective = 0 then m.quantile_score end as varchar) as quantile_text,
    case when m.objective = 0 then m.quantile_num end as quantile_num,
    cast(case when m.objective = 0 then m.growth_from_term end as varchar)
        as growth_from_term,
    cast(case when m.objective = 0 then m.growth_observed end as double precision)
        as growth_observed,
    cast(case when m.objective = 0 then m.growth_projected end as double precision)
        as growth_projected,
    case
        when m.objective > 0 then null
        when upper(left(trim(m.met), 1)) = 'Y' then true
        when upper(left(trim(m.met), 1)) = 'N' then false
    end as growth_met,
    cast(case when m.objective = 0 then m.growth_percentile end as double precision)
        as growth_percentile,
    cast(case when m.objective = 0 then m.growth_index end as double precision)
        as growth_index,
    cast(m.level_word as varchar) as performance_level,
    cast(m.level_no as integer) as performance_level_no,
    cast(case when m.level_no is not null then 5 end as integer) as performance_level_of,
    cast(case when m.level_word is not null then 'vendor' end as varchar) as level_source,
    cast(null as boolean) as is_proficient,
    cast(case
        when m.objective = 0
            then '{' || regexp_replace(
                nullif(m.rest, ''), '": (-?[0-9]+)[.]0(,|$)', '": \1\2', 'g') || '}'
        when not replace(m.goal_range, ' ', '') ~ '^([0-9]+-[0-9]+|[-*]+)$'
            then '{"goal_range": ' || to_json(m.goal_range) || '}'
    end as varchar) as other_scores,
    m.is_deleted,
    m.valid_to as deleted_on,
    m.valid_from as delivered_on,
    m.drop_id,
    m.line
from levelled m
