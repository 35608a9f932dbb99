-- One row per Let's Go Learn ADAM test of a student, per strand of it, and per sub-test where the
-- file has them; the latest version of each.
--
-- What the files would have one trip over, and what is done about it (the vendor's public guides;
-- the layout itself is assumed):
--   * The test is taken in sittings, a strand at a time: without a total it is partial, and its
--     strands count all the same.
--   * Practice raises scores between tests: the day of the test is Date Completed, and Last Score
--     Improvement is kept beside the scores.
--   * A grade level is a grade equivalent: 0.x is kindergarten, and 0 is a value.
--   * There is no level and no percentile. The level here is ours, by the vendor's own measure of
--     being below grade: the total less the enrolled grade (K is 0) is under -1: well below, under
--     -0.25: below, else at or above. It says nothing of proficiency.
--   * Other tests of the vendor keep the code lgl_<name> and no subject.
--   * No key is in the file: student, test and day make one. School year and term are told from the
--     day; years begin on 1 July.
with versions as (
    select
        a.*,
        regexp_replace(
            upper(trim(a.grade)), '^GRADE *|[.]0$|[+]$|(ST|ND|RD|TH)( GRADE)?$', '', 'g'
        ) as grade_word,
        row_number() over (
            partition by a.district_id, a.result_id
            order by a.valid_from desc, a.valid_to desc nulls first
        ) as recency
    from assessments.adam a
),
tests as (
    select
        v.*,
        coalesce(
            case when upper(trim(v.student_id)) not in (
                '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
            ) then v.student_id end,
            v.username, v.alternate_id, v.email, v.match_value, v.result_id
        ) || ':' || v.assessment || ':' || cast(v.date_completed as varchar) as source_record_id,
        case
            when lower(v.assessment) like '%adam%' then 'adam_k7'
            else 'lgl_' || regexp_replace(lower(trim(v.assessment)), '[^a-z0-9]+', '_', 'g')
        end as assessment_code,
        case when lower(v.assessment) like '%adam%' then 'math' end as subject,
        cast(extract(year from v.date_completed + interval '6 months') as integer) as school_year,
        case
            when extract(month from v.date_completed) between 8 and 11 then 'fall'
            when extract(month from v.date_completed) in (12, 1, 2) then 'winter'
            when extract(month from v.date_completed) between 3 and 5 then 'spring'
            when extract(month from v.date_completed) in (6, 7) then 'summer'
        end as term,
        case
            when v.grade_word in ('K', 'KG', 'KINDERGARTEN', '0', '00') then 0
            when v.grade_word ~ '^(0?[1-9]|1[0-2])$' then cast(v.grade_word as integer)
        end as grade_no,
        case
            when v.total_grade_level is not null then 'scored'
            when coalesce(
                v.numbers_and_operations_grade_level, v.measurement_grade_level,
                v.data_analysis_grade_level, v.geometry_grade_level,
                v.algebraic_thinking_grade_level, v.numbers_and_operations_raw_score,
                v.measurement_raw_score, v.data_analysis_raw_score, v.geometry_raw_score,
                v.algebraic_thinking_raw_score
            ) is not null or v.sub_tests is not null then 'partial'
            else 'no_information'
        end as score_status
    from versions v
    where v.recency = 1
),
deliveries as (
    select
        t.*,
        t.score_status = 'scored' and t.valid_to is null as is_standing,
        row_number() over (
            partition by t.district_id, t.source_record_id
            order by t.valid_from desc, t.line desc, cast(t.result_id as varchar) collate "C"
        ) as delivery
    from tests t
),
results as (
    select
        d.*,
        d.is_standing and row_number() over (
            partition by
                d.district_id, d.match_value, d.assessment_code, d.subject, d.school_year, d.term
            order by
                d.is_standing desc, d.date_completed desc, d.valid_from desc, d.line desc,
                cast(d.source_record_id as varchar) collate "C"
        ) = 1 as is_primary,
        case
            when d.score_status <> 'scored' or d.subject is null then null
            when d.total_grade_level - d.grade_no < -1 then 1
            when d.total_grade_level - d.grade_no < -0.25 then 2
            when d.total_grade_level - d.grade_no >= -0.25 then 3
        end as level_no
    from deliveries d
    where d.delivery = 1
),
-- Of each result its own line, one per strand, and one per sub-test.
lined as (
    select
        r.*,
        s.objective_level, s.objective_code, s.objective_name, s.raw_score, s.grade_level,
        unnest(string_to_array(s.entries, '|')) as entry
    from results r
    cross join lateral (values
        (
            'overall', 'overall', r.assessment,
            case when r.score_status = 'scored' then r.total_raw_score end, r.total_grade_level, '-'
        ),
        (
            'strand', 'numbers_and_operations', 'Numbers and Operations',
            r.numbers_and_operations_raw_score, r.numbers_and_operations_grade_level, '-'
        ),
        (
            'strand', 'measurement', 'Measurement', r.measurement_raw_score,
            r.measurement_grade_level, '-'
        ),
        (
            'strand', 'data_analysis', 'Data Analysis', r.data_analysis_raw_score,
            r.data_analysis_grade_level, '-'
        ),
        (
            'strand', 'geometry', 'Geometry', r.geometry_raw_score, r.geometry_grade_level, '-'
        ),
        (
            'strand', 'algebraic_thinking', 'Algebraic Thinking', r.algebraic_thinking_raw_score,
            r.algebraic_thinking_grade_level, '-'
        ),
        (
            'standard', null, null, cast(null as double precision),
            cast(null as double precision), r.sub_tests
        )
    ) as s(objective_level, objective_code, objective_name, raw_score, grade_level, entries)
    where s.objective_level <> 'strand' or coalesce(s.raw_score, s.grade_level) is not null
),
named as (
    select
        l.*,
        l.objective_level = 'overall' as is_overall,
        case
            when l.objective_level = 'standard' then trim(
                regexp_replace(split_part(l.entry, '=', 1), ' [Gg]rade [Ll]evel *$', '')
            )
            else l.objective_name
        end as name,
        case
            when l.objective_level <> 'standard' then l.grade_level
            when trim(split_part(l.entry, '=', 2)) ~ '^-?[0-9]+([.][0-9]+)?$'
                then cast(trim(split_part(l.entry, '=', 2)) as double precision)
        end as level_of_grade
    from lined l
)
select
    n.district_id,
    cast('adam' as varchar) as source_system,
    n.edition,
    cast(n.source_record_id as varchar) as source_record_id,
    cast('composed' as varchar) as source_record_id_kind,
    n.match_field,
    n.match_value,
    cast(null as varchar) as tested_school_code,
    n.school as tested_school_name,
    cast(null as varchar) as vendor_school_id,
    cast(n.assessment_code as varchar) as assessment_code,
    n.assessment as assessment_name,
    cast(n.subject as varchar) as subject,
    cast('none' as varchar) as course,
    cast(
        case
            when n.objective_level = 'standard' then regexp_replace(
                regexp_replace(lower(n.name), '[^a-z0-9]+', '_', 'g'), '^_|_$', '', 'g'
            )
            else n.objective_code
        end as varchar
    ) as objective_code,
    cast(n.name as varchar) as objective_name,
    cast(n.objective_level as varchar) as objective_level,
    n.school_year,
    cast(n.term as varchar) as term,
    cast('derived' as varchar) as term_source,
    cast(null as varchar) as admin_code,
    n.date_completed as test_date,
    cast(null as timestamp) as completed_at,
    cast(
        case
            when n.grade_no = 0 then 'KG'
            when n.grade_word in ('PK', 'PREK', 'PRE-K') then 'PK'
            else lpad(cast(n.grade_no as varchar), 2, '0')
        end as varchar
    ) as grade_tested,
    cast(null as varchar) as language,
    cast(null as varchar) as mode,
    cast(null as integer) as attempt_no,
    cast(null as boolean) as is_retest,
    n.is_primary,
    cast('latest_with_total' as varchar) as primary_rule,
    cast(case when n.is_overall then n.score_status else 'scored' end as varchar) as score_status,
    cast(null as varchar) as status_code,
    cast(null as double precision) as scale_score,
    cast(null as double precision) as scale_score_sem,
    cast(null as double precision) as scale_score_low,
    cast(null as double precision) as scale_score_high,
    n.raw_score,
    cast(null as double precision) as points_possible,
    cast(null as double precision) as percent_correct,
    cast(null as double precision) as percentile,
    cast(null as varchar) as percentile_norm_year,
    cast(null as double precision) as nce,
    n.level_of_grade as grade_equivalent,
    cast(null as varchar) as grade_equivalent_text,
    cast(null as varchar) as lexile_text,
    cast(null as double precision) as lexile_num,
    cast(null as varchar) as quantile_text,
    cast(null as double precision) as quantile_num,
    cast(null as varchar) as growth_from_term,
    cast(null as double precision) as growth_observed,
    cast(null as double precision) as growth_projected,
    cast(null as boolean) as growth_met,
    cast(null as double precision) as growth_percentile,
    cast(null as double precision) as growth_index,
    cast(
        case
            when n.is_overall and n.level_no = 1 then 'Well below grade level'
            when n.is_overall and n.level_no = 2 then 'Below grade level'
            when n.is_overall and n.level_no = 3 then 'At or above grade level'
        end as varchar
    ) as performance_level,
    case when n.is_overall then n.level_no end as performance_level_no,
    case when n.is_overall and n.level_no is not null then 3 end as performance_level_of,
    cast(
        case when n.is_overall and n.level_no is not null then 'derived' end as varchar
    ) as level_source,
    cast(null as boolean) as is_proficient,
    cast(
        case
            when n.is_overall then nullif(
                '{' || concat_ws(
                    ', ',
                    '"date_started": ' || cast(to_json(cast(n.date_started as varchar)) as varchar),
                    '"last_score_improvement": '
                        || cast(to_json(cast(n.last_score_improvement as varchar)) as varchar)
                ) || '}',
                '{}'
            )
        end as varchar
    ) as other_scores,
    n.valid_to is not null as is_deleted,
    n.valid_to as deleted_on,
    n.valid_from as delivered_on,
    n.drop_id,
    n.line
from named n
where n.objective_level <> 'standard' or n.level_of_grade is not null
