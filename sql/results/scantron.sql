-- One row per Performance Series test of a student, and per unit of it (strand); the latest version
-- of each. Tests come from the API, one row each, and from exports that have the latest test of
-- each subject side by side.
--
-- What the records would have one trip over, and what is done about it (the vendor's reports; the
-- layout of the API is assumed):
--   * The same test stands in many exports: student, subject and day make one result, and the
--     latest delivery counts.
--   * A test that the API has brought is left out of the exports: the Student_ID is the studentId or
--     the districtStudentId of the API, subject and day are the same. The API has times in UTC, the
--     export local days, which in the United States are the day of ten hours before as well.
--   * Without a zone the day of a test is that of UTC. School year and term are told from it; years
--     begin on 1 July. Where an export has scores without a day, the end of its range tells them.
--   * Scores are on one of two scales, 1300 to 3700 or 5000 to 6000. One between them is on neither:
--     it is no score, and kept beside. Units may lie a little beyond the scale.
--   * A spoiled test is void whatever scores it has; so are its units.
--   * Lexile measures that begin with BR are below zero. Reading rate NM: not measured.
--   * Subjects that we do not know keep the code scantron_<name> and no subject.
--   * Units of which the score is not within the range have the score alone.
--   * The one that counts in a term is the scored test that was taken last.
--
-- Units travel as text (name, score, low, high and standard error, with chr(31) between, and
-- chr(30) between units) until each gets a row.
with test_versions as (
    select
        a.*,
        row_number() over (
            partition by a.district_id, a.result_id
            order by a.valid_from desc, a.valid_to desc nulls first
        ) as recency
    from assessments.scantron a
),
unit_versions as (
    select
        b.*,
        trim(regexp_replace(lower(b.name), '[^a-z0-9]+', ' ', 'g')) as plain_name,
        row_number() over (
            partition by b.district_id, b.result_id
            order by b.valid_from desc, b.valid_to desc nulls first
        ) as recency
    from assessments.scantron_units b
),
export_versions as (
    select
        c.*,
        row_number() over (
            partition by c.district_id, c.result_id
            order by c.valid_from desc, c.valid_to desc nulls first
        ) as recency
    from assessments.scantron_export c
),
ranked_units as (
    select
        u.*,
        row_number() over (
            partition by u.district_id, u.test_session_id, u.plain_name
            order by u.valid_from desc, u.line desc, cast(u.result_id as varchar) collate "C"
        ) as delivery
    from unit_versions u
    where u.recency = 1 and u.plain_name <> 'overall' and u.score is not null
),
units_of_tests as (
    select
        u.district_id, u.test_session_id,
        string_agg(
            concat(
                u.name, chr(31), u.score, chr(31),
                case when u.low <= u.score then u.low end, chr(31),
                case when u.high >= u.score then u.high end, chr(31)
            ),
            chr(30) order by cast(u.name as varchar) collate "C"
        ) as units
    from ranked_units u
    where u.delivery = 1
    group by u.district_id, u.test_session_id
),
api_rows as (
    select
        v.*,
        case when upper(trim(v.test_session_id)) not in (
            '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
        ) then v.test_session_id end as session_id,
        lower(trim(v.spoiled)) in ('true', 't', 'yes', 'y', '1', 'spoiled') as is_spoiled,
        lower(trim(v.invalidated)) in (
            'true', 't', 'yes', 'y', '1', 'invalid', 'invalidated'
        ) as is_invalid
    from test_versions v
    where v.recency = 1
),
export_rows as (
    select
        x.*,
        coalesce(
            case when upper(trim(x.student_id)) not in (
                '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
            ) then x.student_id end,
            x.result_id
        ) as student,
        coalesce(x.end_of_date_range, x.reporting_date) as range_on,
        concat_ws(
            chr(30),
            'Vocabulary' || chr(31) || cast(x.vocabulary_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.vocabulary_standard_error),
            'Long Passage' || chr(31) || cast(x.long_passage_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.long_passage_standard_error),
            'Fiction' || chr(31) || cast(x.fiction_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.fiction_standard_error),
            'Nonfiction' || chr(31) || cast(x.nonfiction_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.nonfiction_standard_error)
        ) as reading_units,
        concat_ws(
            chr(30),
            'Number & Operations' || chr(31)
                || cast(x.number_operations_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.number_operations_standard_error),
            'Algebra' || chr(31) || cast(x.algebra_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.algebra_standard_error),
            'Geometry' || chr(31) || cast(x.geometry_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.geometry_standard_error),
            'Measurement' || chr(31) || cast(x.measurement_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.measurement_standard_error),
            'Data Analysis & Probability' || chr(31)
                || cast(x.data_analysis_probability_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.data_analysis_probability_standard_error)
        ) as math_units,
        concat_ws(
            chr(30),
            'Living Things' || chr(31) || cast(x.living_things_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.living_things_standard_error),
            'Ecology' || chr(31) || cast(x.ecology_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.ecology_standard_error),
            'Science Process' || chr(31) || cast(x.science_process_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.science_process_standard_error)
        ) as science_units,
        concat_ws(
            chr(30),
            'Parts Of Speech' || chr(31) || cast(x.parts_of_speech_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.parts_of_speech_standard_error),
            'Sentence Structure' || chr(31) || cast(x.sentence_structure_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.sentence_structure_standard_error),
            'Punctuation' || chr(31) || cast(x.punctuation_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.punctuation_standard_error),
            'Capitalization' || chr(31) || cast(x.capitalization_scaled_score as varchar)
                || concat(chr(31), chr(31), chr(31), x.capitalization_standard_error)
        ) as language_arts_units
    from export_versions x
    where x.recency = 1
),
tests as (
    select
        a.district_id, a.result_id, a.edition, true as is_from_api,
        coalesce(a.session_id, a.result_id) as source_record_id,
        case when a.session_id is null then 'composed' else 'vendor' end as source_record_id_kind,
        a.match_field, a.match_value, a.student_id, a.district_student_id,
        a.location_id as school_code,
        cast(null as varchar) as school_name,
        a.location_id as vendor_school_id,
        a.subject as subject_given,
        cast(a.completed_at as date) as sat_on,
        cast(a.completed_at as date) as year_on,
        a.completed_at, a.test_grade as grade,
        cast(null as varchar) as language,
        case
            when a.is_spoiled then 'spoiled'
            when a.is_invalid then 'invalidated'
        end as void_code,
        a.scaled_score, a.sem, a.national_percentile as percentile,
        cast(null as double precision) as nce,
        a.lexile, a.sip, a.reading_rate,
        cast(null as double precision) as predicted_score,
        cast(null as double precision) as prediction_error,
        cast(null as varchar) as prediction_name,
        k.units,
        a.valid_to, a.valid_from, a.drop_id, a.line
    from api_rows a
    left join units_of_tests k
        on k.district_id = a.district_id and k.test_session_id = a.session_id
    union all
    select
        e.district_id, e.result_id, e.edition, false as is_from_api,
        e.student || ':' || s.subject || ':'
            || coalesce(cast(coalesce(s.sat_on, e.range_on) as varchar), '') as source_record_id,
        'composed' as source_record_id_kind,
        e.match_field, e.match_value, e.student_id,
        cast(null as varchar) as district_student_id,
        e.site_id as school_code,
        e.site_name as school_name,
        cast(null as varchar) as vendor_school_id,
        s.subject as subject_given,
        s.sat_on,
        coalesce(s.sat_on, e.range_on) as year_on,
        cast(null as timestamp) as completed_at,
        e.grade, s.language,
        cast(null as varchar) as void_code,
        s.scaled_score, s.sem, s.percentile, s.nce,
        cast(null as varchar) as lexile,
        cast(null as double precision) as sip,
        s.reading_rate, s.predicted_score, s.prediction_error, s.prediction_name, s.units,
        e.valid_to, e.valid_from, e.drop_id, e.line
    from export_rows e
    cross join lateral (values
        (
            'Reading', e.reading_test_date, cast(null as varchar), e.reading_scaled_score,
            e.reading_standard_error, e.reading_percentile, e.reading_nce, e.reading_rate,
            e.reading_predicted_scaled_score, e.reading_error_of_prediction,
            e.reading_prediction_name_short, e.reading_units
        ),
        (
            'Mathematics', e.math_test_date, e.math_test_language, e.math_scaled_score,
            e.math_standard_error, e.math_percentile, e.math_nce, cast(null as varchar),
            e.math_predicted_scaled_score, e.math_error_of_prediction,
            e.math_prediction_name_short, e.math_units
        ),
        (
            'Science', e.science_test_date, cast(null as varchar), e.science_scaled_score,
            e.science_standard_error, e.science_percentile, e.science_nce, cast(null as varchar),
            e.science_predicted_scaled_score, e.science_error_of_prediction,
            e.science_prediction_name_short, e.science_units
        ),
        (
            'Language Arts', e.language_arts_test_date, cast(null as varchar),
            e.language_arts_scaled_score, e.language_arts_standard_error,
            e.language_arts_percentile, e.language_arts_nce, cast(null as varchar),
            e.language_arts_predicted_scaled_score, e.language_arts_error_of_prediction,
            e.language_arts_prediction_name_short, e.language_arts_units
        )
    ) as s(
        subject, sat_on, language, scaled_score, sem, percentile, nce, reading_rate,
        predicted_score, prediction_error, prediction_name, units
    )
    where s.sat_on is not null or s.scaled_score is not null or s.units <> ''
),
-- Read twice; written in twice, the district that is asked for narrows it at once.
named as not materialized (
    select
        t.*,
        regexp_replace(lower(t.subject_given), '[^a-z0-9]', '', 'g') as subject_word,
        case regexp_replace(lower(t.subject_given), '[^a-z0-9]', '', 'g')
            when 'reading' then 'reading'
            when 'mathematics' then 'math'
            when 'math' then 'math'
            when 'algebra' then 'math'
            when 'algebra1' then 'math'
            when 'algebrai' then 'math'
            when 'algebra2' then 'math'
            when 'algebraii' then 'math'
            when 'geometry' then 'math'
            when 'languagearts' then 'language'
            when 'science' then 'science'
        end as subject,
        case regexp_replace(lower(t.subject_given), '[^a-z0-9]', '', 'g')
            when 'algebra' then 'algebra_1'
            when 'algebra1' then 'algebra_1'
            when 'algebrai' then 'algebra_1'
            when 'algebra2' then 'algebra_2'
            when 'algebraii' then 'algebra_2'
            when 'geometry' then 'geometry'
            else 'none'
        end as course,
        case
            when t.scaled_score between 1300 and 3700 or t.scaled_score between 5000 and 6000
                then t.scaled_score
        end as scale_score,
        -- A condition beside the equalities of the join below costs DuckDB ten times its time.
        case when not t.is_from_api then t.student_id end as student_of_export
    from tests t
),
of_the_api as (
    select distinct
        n.district_id, n.subject, n.subject_word, d.student, d.sat_on
    from named n
    cross join lateral (values
        (n.student_id, n.sat_on),
        (n.district_student_id, n.sat_on),
        (n.student_id, cast(n.completed_at - interval '10 hours' as date)),
        (n.district_student_id, cast(n.completed_at - interval '10 hours' as date))
    ) as d(student, sat_on)
    where n.is_from_api and d.student is not null
),
covered as (
    select distinct
        f.district_id, coalesce(f.subject, f.subject_word) as subject, f.student, f.sat_on
    from of_the_api f
),
deliveries as (
    select
        n.*,
        row_number() over (
            partition by
                n.district_id, n.source_record_id, coalesce(n.subject, n.subject_word)
            order by n.valid_from desc, n.line desc, cast(n.result_id as varchar) collate "C"
        ) as delivery
    from named n
    left join covered c
        on c.district_id = n.district_id and c.student = n.student_of_export
        and c.sat_on = n.sat_on and c.subject = coalesce(n.subject, n.subject_word)
    where c.district_id is null
),
dated as (
    select
        d.*,
        case
            when d.subject is null then 'scantron_' || d.subject_word
            else 'scantron_performance_series'
        end as assessment_code,
        cast(extract(year from d.year_on + interval '6 months') as integer) as school_year,
        case
            when extract(month from d.year_on) between 8 and 11 then 'fall'
            when extract(month from d.year_on) in (12, 1, 2) then 'winter'
            when extract(month from d.year_on) between 3 and 5 then 'spring'
            when extract(month from d.year_on) in (6, 7) then 'summer'
        end as term,
        regexp_replace(
            upper(trim(d.grade)), '^GRADE *|[.]0$|[+]$|(ST|ND|RD|TH)( GRADE)?$', '', 'g'
        ) as grade_word,
        upper(replace(d.lexile, ' ', '')) as lexile_word,
        case
            when d.void_code is not null then 'invalidated'
            when d.scale_score is not null then 'scored'
            when d.units <> '' then 'partial'
            else 'no_information'
        end as score_status
    from deliveries d
    where d.delivery = 1
),
results as (
    select
        r.*,
        r.score_status = 'scored' as is_scored,
        r.score_status = 'scored' and r.valid_to is null and row_number() over (
            partition by
                r.district_id, r.match_value, r.assessment_code, r.subject, r.course,
                r.school_year, r.term, r.score_status = 'scored' and r.valid_to is null
            order by
                r.sat_on desc nulls last, r.completed_at desc nulls last, r.valid_from desc,
                r.line desc, cast(r.source_record_id as varchar) collate "C"
        ) = 1 as is_primary
    from dated r
),
-- Of each result its own line, then one per unit.
lined as (
    select
        v.*,
        unnest(
            string_to_array(
                concat_ws(
                    chr(30),
                    'overall',
                    case
                        when v.score_status in ('scored', 'partial') then nullif(v.units, '')
                    end
                ),
                chr(30)
            )
        ) as entry
    from results v
),
entries as (
    select
        l.*,
        l.entry = 'overall' as is_overall,
        split_part(l.entry, chr(31), 1) as unit_name,
        cast(nullif(split_part(l.entry, chr(31), 2), '') as double precision) as unit_score,
        cast(nullif(split_part(l.entry, chr(31), 3), '') as double precision) as unit_low,
        cast(nullif(split_part(l.entry, chr(31), 4), '') as double precision) as unit_high,
        cast(nullif(split_part(l.entry, chr(31), 5), '') as double precision) as unit_sem
    from lined l
),
parts as (
    select
        p.*,
        p.is_overall and p.is_scored as has_scores
    from entries p
)
select
    o.district_id,
    cast('scantron' as varchar) as source_system,
    o.edition,
    cast(o.source_record_id as varchar) as source_record_id,
    cast(o.source_record_id_kind as varchar) as source_record_id_kind,
    o.match_field,
    o.match_value,
    o.school_code as tested_school_code,
    o.school_name as tested_school_name,
    o.vendor_school_id,
    cast(o.assessment_code as varchar) as assessment_code,
    cast('Performance Series ' || trim(o.subject_given) as varchar) as assessment_name,
    cast(o.subject as varchar) as subject,
    cast(o.course as varchar) as course,
    cast(
        case
            when o.is_overall then 'overall'
            else regexp_replace(
                regexp_replace(lower(o.unit_name), '[^a-z0-9]+', '_', 'g'), '^_|_$', '', 'g'
            )
        end as varchar
    ) as objective_code,
    cast(
        case
            when o.is_overall then 'Performance Series ' || trim(o.subject_given)
            else o.unit_name
        end as varchar
    ) as objective_name,
    cast(case when o.is_overall then 'overall' else 'strand' end as varchar) as objective_level,
    o.school_year,
    cast(o.term as varchar) as term,
    cast(case when o.term is not null then 'derived' end as varchar) as term_source,
    cast(null as varchar) as admin_code,
    o.sat_on as test_date,
    o.completed_at,
    cast(
        case
            when o.grade_word in ('K', 'KG', 'KINDERGARTEN', '0', '00') then 'KG'
            when o.grade_word in ('PK', 'PREK', 'PRE-K') then 'PK'
            when o.grade_word ~ '^(0?[1-9]|1[0-2])$' then lpad(o.grade_word, 2, '0')
        end as varchar
    ) as grade_tested,
    o.language,
    cast(null as varchar) as mode,
    cast(null as integer) as attempt_no,
    cast(null as boolean) as is_retest,
    o.is_primary,
    cast('latest_scored' as varchar) as primary_rule,
    cast(case when o.is_overall then o.score_status else 'scored' end as varchar) as score_status,
    cast(o.void_code as varchar) as status_code,
    case
        when o.has_scores then o.scale_score
        when not o.is_overall then o.unit_score
    end as scale_score,
    case
        when o.has_scores then o.sem
        when not o.is_overall then o.unit_sem
    end as scale_score_sem,
    o.unit_low as scale_score_low,
    o.unit_high as scale_score_high,
    cast(null as double precision) as raw_score,
    cast(null as double precision) as points_possible,
    cast(null as double precision) as percent_correct,
    case when o.has_scores then o.percentile end as percentile,
    cast(null as varchar) as percentile_norm_year,
    case when o.has_scores then o.nce end as nce,
    cast(null as double precision) as grade_equivalent,
    cast(null as varchar) as grade_equivalent_text,
    cast(case when o.has_scores then o.lexile end as varchar) as lexile_text,
    cast(
        case
            when not o.has_scores then null
            when o.lexile_word ~ '^[<>]?(BR|-)[0-9]+L?$'
                then -cast(regexp_replace(o.lexile_word, '[^0-9]', '', 'g') as integer)
            when o.lexile_word ~ '^[<>]?[0-9]+L?$'
                then cast(regexp_replace(o.lexile_word, '[^0-9]', '', 'g') as integer)
        end as double precision
    ) as lexile_num,
    cast(null as varchar) as quantile_text,
    cast(null as double precision) as quantile_num,
    cast(null as varchar) as growth_from_term,
    cast(null as double precision) as growth_observed,
    cast(null as double precision) as growth_projected,
    cast(null as boolean) as growth_met,
    cast(null as double precision) as growth_percentile,
    cast(null as double precision) as growth_index,
    cast(null as varchar) as performance_level,
    cast(null as integer) as performance_level_no,
    cast(null as integer) as performance_level_of,
    cast(null as varchar) as level_source,
    cast(null as boolean) as is_proficient,
    cast(
        case
            when o.has_scores then nullif(
                '{' || concat_ws(
                    ', ',
                    nullif(
                        regexp_replace(
                            concat_ws(
                                ', ',
                                '"sip": ' || cast(o.sip as varchar),
                                case
                                    when trim(o.reading_rate) ~ '^(0|[1-9][0-9]*)([.][0-9]+)?$'
                                        then '"reading_rate": ' || trim(o.reading_rate)
                                end,
                                '"predicted_score": ' || cast(o.predicted_score as varchar),
                                '"prediction_error": ' || cast(o.prediction_error as varchar)
                            ),
                            '[.]0(,|$)', '\1', 'g'
                        ),
                        ''
                    ),
                    case
                        when trim(o.reading_rate) !~ '^(0|[1-9][0-9]*)([.][0-9]+)?$'
                            then '"reading_rate_status": '
                                || cast(to_json(upper(trim(o.reading_rate))) as varchar)
                    end,
                    case
                        when coalesce(o.predicted_score, o.prediction_error) is not null
                            then '"prediction_name": '
                                || cast(to_json(o.prediction_name) as varchar)
                    end
                ) || '}',
                '{}'
            )
            when o.is_overall and o.void_code is null and o.scaled_score is not null
                then '{"score_on_no_scale": '
                    || regexp_replace(cast(o.scaled_score as varchar), '[.]0$', '') || '}'
        end as varchar
    ) as other_scores,
    o.valid_to is not null as is_deleted,
    o.valid_to as deleted_on,
    o.valid_from as delivered_on,
    o.drop_id,
    o.line
from parts o
