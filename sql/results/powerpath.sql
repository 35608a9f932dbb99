-- One row per external test of a student in PowerPath: student, lesson and attempt; the latest
-- version of each. Tests have no parts here: marts.fct_external_test_question has their questions.
--
-- What the records would have one trip over, and what is done about it:
--   * A lesson is a test of its own: placement into grade 4 is no other try at grade 3, the test of
--     one unit none at the next, and each counts. So the code names type and lesson
--     (external_unit_test:lesson), and whoever wants a type asks for 'external_unit_test:%'. The
--     provider is not in it: a lesson stays what it is when its test moves to another system.
--   * Only a final attempt is scored. One with a score that is not final yet is partial; an exempt
--     one has no score, whatever stands there; 0 of an attempt in which nothing was answered or
--     graded is no score but what the vendor fills in: it was not attempted.
--   * Questions with partial credit count as correct at the vendor, so that correct questions say
--     more than the score. Neither is mended: percent_correct is the vendor's score.
--   * Day, school year and term are those of the completion, else of the beginning, in UTC. Where
--     there is neither, there is no day, and the delivery that first brought the attempt tells year
--     and term; years begin on 1 July.
--   * The grade is that of the test, whatever grade the student is in: -1 is PK, 0 is KG. Subjects
--     and grades that we do not know are null; FastMath is math.
--   * The one that counts is the latest final attempt of the student at the lesson, within a school
--     year and term, as with all results. Attempts of a lesson that draws from a bank are different
--     tests: the latest counts, not the best.
with versions as (
    select
        v.*,
        min(v.valid_from) over (partition by v.district_id, v.result_id) as first_delivered_on,
        row_number() over (
            partition by v.district_id, v.result_id
            order by v.valid_from desc, v.valid_to desc nulls first
        ) as recency
    from external_tests.results v
),
judged as (
    select
        r.*,
        coalesce(r.completed_at, r.started_at) as sat_at,
        coalesce(r.completed_at, r.started_at, cast(r.first_delivered_on as timestamp)) as year_at,
        regexp_replace(lower(r.subject), '[^a-z]', '', 'g') as subject_word,
        regexp_replace(
            upper(trim(r.grade)), '[]["]|^GRADE *|[.]0$|[+]$|(ST|ND|RD|TH)( GRADE)?$', '', 'g'
        ) as grade_word,
        case
            when lower(trim(r.score_status)) = 'exempt' then 'exempt'
            when r.finalized then case when r.score is null then 'no_information' else 'scored' end
            when r.score > 0
                or (r.score is not null and r.answered_questions > 0)
                or (
                    r.score is not null
                    and lower(trim(r.score_status)) in ('partially graded', 'fully graded')
                )
                then 'partial'
            when coalesce(r.answered_questions, 0) = 0
                and coalesce(lower(trim(r.score_status)), 'not submitted') = 'not submitted'
                then 'not_attempted'
            else 'no_information'
        end as judged_status
    from versions r
    where r.recency = 1
),
named as (
    select
        j.*,
        concat(
            'external_',
            coalesce(regexp_replace(lower(j.lesson_type), '[^a-z0-9]+', '_', 'g'), 'test'),
            ':', j.lesson_id
        ) as assessment_code,
        case
            when j.subject_word in ('math', 'mathematics', 'fastmath') then 'math'
            when j.subject_word in ('reading', 'language', 'writing', 'ela', 'science', 'stem')
                then j.subject_word
            when j.subject_word in ('english', 'englishlanguagearts') then 'ela'
            when j.subject_word = 'socialstudies' then 'social_studies'
        end as known_subject,
        cast(extract(year from j.year_at + interval '6 months') as integer) as school_year,
        case
            when extract(month from j.year_at) between 8 and 11 then 'fall'
            when extract(month from j.year_at) in (12, 1, 2) then 'winter'
            when extract(month from j.year_at) between 3 and 5 then 'spring'
            else 'summer'
        end as term,
        j.judged_status = 'scored' and j.valid_to is null as is_standing
    from judged j
)
select
    n.district_id,
    cast('powerpath' as varchar) as source_system,
    n.edition,
    n.result_id as source_record_id,
    cast('composed' as varchar) as source_record_id_kind,
    n.match_field,
    n.match_value,
    cast(null as varchar) as tested_school_code,
    cast(null as varchar) as tested_school_name,
    cast(null as varchar) as vendor_school_id,
    cast(n.assessment_code as varchar) as assessment_code,
    n.test_name as assessment_name,
    cast(n.known_subject as varchar) as subject,
    cast('none' as varchar) as course,
    cast('overall' as varchar) as objective_code,
    n.test_name as objective_name,
    cast('overall' as varchar) as objective_level,
    n.school_year,
    cast(n.term as varchar) as term,
    cast('derived' as varchar) as term_source,
    cast(null as varchar) as admin_code,
    cast(n.sat_at as date) as test_date,
    n.completed_at,
    cast(
        case
            when n.grade_word in ('-1', 'PK', 'PREK', 'PRE-K') then 'PK'
            when n.grade_word in ('0', '00', 'K', 'KG', 'KINDERGARTEN') then 'KG'
            when n.grade_word ~ '^(0?[1-9]|1[0-2])$' then lpad(n.grade_word, 2, '0')
        end as varchar
    ) as grade_tested,
    cast(null as varchar) as language,
    cast(null as varchar) as mode,
    cast(n.attempt as integer) as attempt_no,
    cast(null as boolean) as is_retest,
    n.is_standing and row_number() over (
        partition by
            n.district_id, n.match_value, n.assessment_code, n.known_subject, n.school_year,
            n.term, n.is_standing
        order by n.attempt desc, cast(n.result_id as varchar) collate "C"
    ) = 1 as is_primary,
    cast('latest_final_attempt' as varchar) as primary_rule,
    cast(n.judged_status as varchar) as score_status,
    n.score_status as status_code,
    cast(null as double precision) as scale_score,
    cast(null as double precision) as scale_score_sem,
    cast(null as double precision) as scale_score_low,
    cast(null as double precision) as scale_score_high,
    cast(null as double precision) as raw_score,
    cast(null as double precision) as points_possible,
    case when n.judged_status in ('scored', 'partial') then n.score end as percent_correct,
    cast(null as double precision) as percentile,
    cast(null as varchar) as percentile_norm_year,
    cast(null as double precision) as nce,
    cast(null as double precision) as grade_equivalent,
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
    cast(null as varchar) as performance_level,
    cast(null as integer) as performance_level_no,
    cast(null as integer) as performance_level_of,
    cast(null as varchar) as level_source,
    cast(null as boolean) as is_proficient,
    cast(
        case
            when n.judged_status in ('scored', 'partial', 'no_information') then nullif(
                '{' || regexp_replace(
                    concat_ws(
                        ', ',
                        '"accuracy": ' || n.accuracy,
                        '"correct_questions": ' || n.correct_questions,
                        '"total_questions": ' || n.total_questions,
                        '"answered_questions": ' || n.answered_questions,
                        '"xp": ' || n.xp,
                        '"multiplier": ' || n.multiplier
                    ),
                    '[.]0(,|$)', '\1', 'g'
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
