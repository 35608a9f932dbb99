-- One row per Renaissance Star test and objective: `overall` is the test; domains and sub-domains
-- are its strands; standards, skill areas and skill sets its standards. The latest version of each.
--
-- What is settled here, and by whom it was found:
--
-- - All products share the columns of a test; the product comes with the file, not with the row.
--   Objectives of two products may have one name; they are told apart by their test.
-- - A test that was deactivated, at any later day, stays as invalidated, without scores; the reason
--   is its status_code (the vendor's field definitions). So do its objectives.
-- - CompletedDateLocal is the clock of the district with a Z that means nothing. It gives
--   test_date, as a test of the evening is of the next day in UTC. Where it is blank the day is
--   that of UTC, and other_scores says so (test_date_source). completed_at is CompletedDate, in
--   UTC; version 1 has none. The local time is in other_scores.
-- - term is the screening window, where its name is that of a season (or BOY, MOY, EOY); a test
--   outside of all windows, or in one of another name, gets its term by its date, and term_source
--   is derived. admin_code is the window's name as given.
-- - Scaled scores of products do not compare; unified_score in other_scores does, and is the one
--   for trends (the vendor's field definitions).
-- - Primary is the scored test of a student, product, school year and term that was completed last
--   in a screening window, else completed last (windows, then the day, as the vendor's own reports
--   and public code of districts count); of same-day retakes the later time, then the lower
--   standard error. Star is given for progress, so that is_retest only means: not the first.
-- - Benchmark categories count from 1, the best: performance_level_no is turned, 1 is the lowest.
--   The level is the vendor's; where the row has none, the state's, else the district's.
--   Version 1 has the vendor's category in words alone.
-- - is_proficient is what the state's benchmark says, else the district's, else the school's, else
--   whether the level is the highest one. Spanish tests often have no benchmark: null.
-- - growth_percentile is the one to this term from the nearest term before it that has one (as
--   CurrentSGP in public samples), else CurrentSGP; other_scores has all of them.
-- - Grade equivalents beyond the scale have > or + (`>12`, `12.9+`): the number is the bound. An
--   instructional reading level may be PP or P; it stays text, in other_scores.
-- - BR (before a Lexile) and EM (before a Quantile) mean below zero (MetaMetrics).
-- - A domain's values stand again in the row of each of its standards: the row delivered last
--   counts. Mastery is the share of the domain, standard or skill area that the student is expected
--   to know; it is in percent_correct. Levels in words (Beginning, Developing, Secure) are 1 to
--   3 of 3; where a file has numbers for them they stay as given, as nobody says of how many.
-- - Standards and skill areas may come before their tests, or without them: they keep the match and
--   the dates of their own rows, are never primary, and have no overall row.

with versions as (
    select
        r.district_id, r.result_id, r.valid_from, r.valid_to, r.drop_id, r.line, r.edition,
        r.match_field, r.match_value, r.product, r.assessment_id, r.school_year, r.launch_date,
        r.completed_date, r.completed_date_local, r.school_renaissance_id, r.school_identifier,
        r.school_state_id, r.school_name, r.grade, r.assessment_type, r.assessment_number,
        r.assessment_status, r.screening_period_window_name, r.global_window, r.scaled_score,
        r.standard_error_of_measurement,
        case when upper(trim(r.deactivation_reason)) not in (
            'N/A', '#N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', 'NO', 'FALSE'
        ) then r.deactivation_reason end as deactivation_reason,
        row_number() over (
            partition by r.district_id, r.result_id
            order by r.valid_from desc, case when r.valid_to is null then 0 else 1 end, r.line desc
        ) as version
    from assessments.star r
),

-- Standards and skill areas in one shape, the latest version of each.
details as (
    select d.*
    from (
        select
            s.district_id, s.valid_from, s.valid_to, s.drop_id, s.line, s.edition,
            s.match_field, s.match_value, s.product, s.assessment_id, s.school_year, s.launch_date,
            s.completed_date, s.completed_date_local, cast('domain' as varchar) as strand_code,
            cast('standard' as varchar) as standard_code, s.domain_group as group_name,
            s.domain_name, s.domain_percent_mastery as domain_mastery, s.domain_mastery_level,
            s.domain_confidence_level, s.standard_name, s.standard_description,
            s.standard_percent_mastery as standard_mastery, s.standard_mastery_level,
            s.standard_confidence_level,
            row_number() over (
                partition by s.district_id, s.result_id
                order by s.valid_from desc, case when s.valid_to is null then 0 else 1 end,
                    s.line desc
            ) as version
        from assessments.star_standards s
        union all
        select
            k.district_id, k.valid_from, k.valid_to, k.drop_id, k.line, k.edition,
            k.match_field, k.match_value, k.product, k.assessment_id, k.school_year, k.launch_date,
            k.completed_date, k.completed_date_local, 'skill_domain', 'skill_area', k.family_name,
            k.domain_name, k.domain_score, null, null, k.skill_area_name, null,
            k.skill_area_mastery_score, null, null,
            row_number() over (
                partition by k.district_id, k.result_id
                order by k.valid_from desc, case when k.valid_to is null then 0 else 1 end,
                    k.line desc
            ) as version
        from assessments.star_skill_areas k
    ) d
    where d.version = 1
),

-- Tests that are known from their standards or skill areas alone.
without_test as (
    select
        d.*,
        row_number() over (
            partition by d.district_id, d.assessment_id order by d.valid_from desc, d.line desc
        ) as position
    from details d
    left join versions v
        on v.district_id = d.district_id and v.assessment_id = d.assessment_id and v.version = 1
    where v.assessment_id is null
),

taken as (
    select v.*, true as has_test
    from versions v
    where v.version = 1
    union all
    select
        w.district_id, w.assessment_id, w.valid_from, w.valid_to, w.drop_id, w.line, w.edition,
        w.match_field, w.match_value, w.product, w.assessment_id, w.school_year, w.launch_date,
        w.completed_date, w.completed_date_local, null, null, null, null, null, null, null, null,
        null, null, null, null, null, w.version, false
    from without_test w
    where w.position = 1
),

-- What the vendor's words say, before they are turned into ours.
worded as (
    select
        t.*,
        coalesce(t.completed_date_local, t.completed_date, t.launch_date) as taken_at,
        lower(trim(t.screening_period_window_name)) as window_name,
        lower(trim(t.global_window)) as wide_window_name,
        regexp_replace(upper(trim(t.grade)), '^GRADE *|[+]$|[.]0$', '', 'g') as grade_word,
        t.deactivation_reason is not null
            or coalesce(lower(t.assessment_status), '')
                ~ '^.*(inactive|deactivat|invalid|void|cancel).*$'
            as is_invalidated,
        t.valid_to is not null as is_deleted
    from taken t
),

classified as (
    select
        w.*,
        case w.product
            when 'SR' then 'star_reading'
            when 'SM' then 'star_math'
            when 'SEL' then 'star_early_literacy'
            when 'SRS' then 'star_reading_spanish'
            when 'SMS' then 'star_math_spanish'
            when 'SELS' then 'star_early_literacy_spanish'
        end as assessment_code,
        case w.product
            when 'SR' then 'Star Reading'
            when 'SM' then 'Star Math'
            when 'SEL' then 'Star Early Literacy'
            when 'SRS' then 'Star Reading Spanish'
            when 'SMS' then 'Star Math Spanish'
            when 'SELS' then 'Star Early Literacy Spanish'
        end as assessment_name,
        case
            when w.product in ('SR', 'SRS') then 'reading'
            when w.product in ('SM', 'SMS') then 'math'
            when w.product in ('SEL', 'SELS') then 'early_literacy'
        end as subject_code,
        case
            when w.school_year ~ '^.*[0-9]{4}$' then cast(right(w.school_year, 4) as integer)
            when w.school_year ~ '^.*[0-9]{4}-[0-9]{2}$'
                then 2000 + cast(right(w.school_year, 2) as integer)
            else cast(extract(year from w.taken_at + interval '6 months') as integer)
        end as ends_in,
        case
            when w.window_name like '%fall%' or w.window_name = 'boy' then 'fall'
            when w.window_name like '%winter%' or w.window_name = 'moy' then 'winter'
            when w.window_name like '%spring%' or w.window_name = 'eoy' then 'spring'
            when w.window_name like '%summer%' then 'summer'
            when w.wide_window_name like '%fall%' then 'fall'
            when w.wide_window_name like '%winter%' then 'winter'
            when w.wide_window_name like '%spring%' then 'spring'
        end as season,
        case
            when extract(month from w.taken_at) in (8, 9, 10, 11) then 'fall'
            when extract(month from w.taken_at) in (12, 1, 2) then 'winter'
            when extract(month from w.taken_at) in (3, 4, 5) then 'spring'
            when extract(month from w.taken_at) in (6, 7) then 'summer'
        end as season_of_day,
        case
            when w.grade_word in ('PK', 'PREK', 'PRE-K') then 'PK'
            when w.grade_word in ('K', 'KG', '0', '00', 'KINDERGARTEN') then 'KG'
            when w.grade_word ~ '^0?[1-9]$' then '0' || right(w.grade_word, 1)
            when w.grade_word in ('10', '11', '12') then w.grade_word
        end as grade_tested,
        case
            when w.is_invalidated then 'invalidated'
            when w.scaled_score is null then 'no_information'
            else 'scored'
        end as test_status
    from worded w
),

compared as (
    select
        c.*,
        coalesce(c.season, c.season_of_day) as term,
        row_number() over (
            partition by c.district_id, c.match_value, c.assessment_code, c.ends_in,
                coalesce(c.season, c.season_of_day), c.is_deleted, c.has_test
            order by c.taken_at nulls last, cast(c.assessment_id as varchar) collate "C"
        ) as attempt,
        row_number() over (
            partition by c.district_id, c.match_value, c.assessment_code, c.ends_in,
                coalesce(c.season, c.season_of_day), c.is_deleted, c.has_test, c.test_status
            order by case when c.window_name is null then 1 else 0 end, c.taken_at desc nulls last,
                c.completed_date desc nulls last,
                c.standard_error_of_measurement nulls last,
                cast(c.assessment_id as varchar) collate "C"
        ) as preference
    from classified c
),

-- The wide columns of the tests that have a score.
joined as (
    select
        c.term,
        r.*,
        case
            when r.renaissance_benchmark_category_name is not null
                or r.renaissance_benchmark_category_level is not null then 'vendor'
            when r.state_benchmark_category_name is not null
                or r.state_benchmark_category_level is not null then 'state'
            when r.district_benchmark_category_name is not null
                or r.district_benchmark_category_level is not null then 'district'
        end as level_source,
        regexp_replace(r.grade_equivalent, '[<>+= ]', '', 'g') as equivalent,
        upper(replace(r.lexile, ' ', '')) as lexile_word,
        upper(replace(r.quantile, ' ', '')) as quantile_word,
        coalesce(
            case lower(trim(r.state_benchmark_proficient))
                when 'yes' then true when 'no' then false end,
            case lower(trim(r.district_benchmark_proficient))
                when 'yes' then true when 'no' then false end,
            case lower(trim(r.school_benchmark_proficient))
                when 'yes' then true when 'no' then false end
        ) as benchmark_met,
        case
            when c.term = 'fall' and r.student_growth_percentile_spring_fall is not null then 1
            when c.term = 'fall' and r.student_growth_percentile_fall_fall is not null then 2
            when c.term = 'winter' and r.student_growth_percentile_fall_winter is not null then 3
            when c.term = 'spring' and r.student_growth_percentile_winter_spring is not null then 4
            when c.term = 'spring' and r.student_growth_percentile_fall_spring is not null then 5
            when c.term = 'spring' and r.student_growth_percentile_spring_spring is not null then 6
        end as pair,
        concat_ws(', ',
            '"unified_score": ' || r.unified_score,
            '"rasch_score": ' || r.rasch_score,
            '"parcc_score": ' || to_json(r.parcc_score),
            '"smarter_balanced_score": ' || to_json(r.smarter_balanced_score),
            '"open_growth_score": ' || r.open_growth_score,
            '"instructional_reading_level": ' || to_json(r.instructional_reading_level),
            '"estimated_oral_reading_fluency": ' || r.estimated_oral_reading_fluency,
            '"lower_zone_of_proximal_development": '
                || to_json(r.lower_zone_of_proximal_development),
            '"upper_zone_of_proximal_development": '
                || to_json(r.upper_zone_of_proximal_development),
            '"lower_lexile_zone_of_proximal_development": '
                || to_json(r.lower_lexile_zone_of_proximal_development),
            '"upper_lexile_zone_of_proximal_development": '
                || to_json(r.upper_lexile_zone_of_proximal_development),
            '"lexile_range": ' || to_json(r.lexile_range),
            '"literacy_classification": ' || to_json(r.literacy_classification),
            '"grade_placement": ' || r.grade_placement,
            '"total_time_in_seconds": ' || r.total_time_in_seconds,
            '"total_time": ' || r.total_time,
            '"total_duration": ' || r.total_duration,
            '"extra_time": ' || to_json(r.extra_time),
            '"audio": ' || to_json(r.audio),
            '"taken_at": ' || to_json(r.taken_at),
            '"probable_test_type": ' || to_json(r.probable_test_type),
            '"grade3_assessment_attempts": ' || r.grade3_assessment_attempts,
            '"grade3_passing_status": ' || to_json(r.grade3_passing_status),
            '"grade3_passing_score": ' || r.grade3_passing_score,
            '"current_sgp": ' || r.current_sgp,
            '"student_growth_percentile_fall_fall": ' || r.student_growth_percentile_fall_fall,
            '"student_growth_percentile_fall_spring": ' || r.student_growth_percentile_fall_spring,
            '"student_growth_percentile_fall_winter": ' || r.student_growth_percentile_fall_winter,
            '"student_growth_percentile_spring_fall": ' || r.student_growth_percentile_spring_fall,
            '"student_growth_percentile_spring_spring": '
                || r.student_growth_percentile_spring_spring,
            '"student_growth_percentile_winter_spring": '
                || r.student_growth_percentile_winter_spring,
            '"global_window": ' || to_json(r.global_window),
            '"screening_window_start_date": '
                || to_json(cast(r.screening_window_start_date as varchar)),
            '"screening_window_end_date": '
                || to_json(cast(r.screening_window_end_date as varchar)),
            '"renaissance_benchmark_category_min_percentile_rank": '
                || r.renaissance_benchmark_category_min_percentile_rank,
            '"renaissance_benchmark_category_max_percentile_rank": '
                || r.renaissance_benchmark_category_max_percentile_rank,
            '"state_benchmark_assessment_name": ' || to_json(r.state_benchmark_assessment_name),
            '"state_benchmark_category_adjustment": '
                || to_json(r.state_benchmark_category_adjustment),
            '"state_benchmark_category_group_adjustment": '
                || to_json(r.state_benchmark_category_group_adjustment),
            '"state_benchmark_category_name": ' || to_json(r.state_benchmark_category_name),
            '"state_benchmark_proficient": ' || to_json(r.state_benchmark_proficient),
            '"state_benchmark_category_level": ' || r.state_benchmark_category_level,
            '"state_benchmark_number_of_category_levels": '
                || r.state_benchmark_number_of_category_levels,
            '"state_benchmark_min_scaled_score": ' || r.state_benchmark_min_scaled_score,
            '"state_benchmark_max_scaled_score": ' || r.state_benchmark_max_scaled_score,
            '"district_benchmark_category_name": ' || to_json(r.district_benchmark_category_name),
            '"district_benchmark_proficient": ' || to_json(r.district_benchmark_proficient),
            '"district_benchmark_category_level": ' || r.district_benchmark_category_level,
            '"district_benchmark_number_of_category_levels": '
                || r.district_benchmark_number_of_category_levels,
            '"district_benchmark_min_percentile_rank": '
                || r.district_benchmark_min_percentile_rank,
            '"district_benchmark_max_percentile_rank": '
                || r.district_benchmark_max_percentile_rank,
            '"school_benchmark_category_name": ' || to_json(r.school_benchmark_category_name),
            '"school_benchmark_proficient": ' || to_json(r.school_benchmark_proficient),
            '"school_benchmark_category_level": ' || r.school_benchmark_category_level,
            '"school_benchmark_number_of_category_levels": '
                || r.school_benchmark_number_of_category_levels,
            '"school_benchmark_min_percentile_rank": ' || r.school_benchmark_min_percentile_rank,
            '"school_benchmark_max_percentile_rank": ' || r.school_benchmark_max_percentile_rank,
            '"sat_benchmark_category": ' || to_json(r.sat_benchmark_category),
            '"act_benchmark_category": ' || to_json(r.act_benchmark_category)
        ) as rest
    from compared c
    join assessments.star r
        on r.district_id = c.district_id and r.result_id = c.result_id
        and r.valid_from = c.valid_from and r.drop_id = c.drop_id and r.line = c.line
    where c.has_test and c.test_status = 'scored'
),

levelled as (
    select
        j.*,
        case j.level_source
            when 'vendor' then j.renaissance_benchmark_category_name
            when 'state' then j.state_benchmark_category_name
            when 'district' then j.district_benchmark_category_name
        end as level_word,
        case j.level_source
            when 'vendor' then j.renaissance_benchmark_category_level
            when 'state' then j.state_benchmark_category_level
            when 'district' then j.district_benchmark_category_level
        end as from_best,
        case j.level_source
            when 'vendor' then j.renaissance_benchmark_category_number_of_levels
            when 'state' then j.state_benchmark_number_of_category_levels
            when 'district' then j.district_benchmark_number_of_category_levels
        end as level_count,
        case replace(lower(j.renaissance_benchmark_category_name), ' benchmark', '')
            when 'urgent intervention' then 1
            when 'intervention' then 2
            when 'on watch' then 3
            when 'at/above' then 4
        end as named_level
    from joined j
),

-- Joined to the row of the test by equality alone: a condition on one side makes DuckDB compare
-- every row with every other.
scored as (
    select
        l.*,
        cast('overall' as varchar) as objective_code,
        cast(case
            when l.from_best between 1 and l.level_count then l.level_count + 1 - l.from_best
            when l.level_source = 'vendor' and l.from_best is null then l.named_level
        end as integer) as level_no,
        cast(case
            when l.from_best between 1 and l.level_count then l.level_count
            when l.level_source = 'vendor' and l.from_best is null and l.named_level is not null
                then 4
        end as integer) as level_of
    from levelled l
),

-- One row for each test and for each part of it. mastered: share in hundredths; word: level.
parts as (
    select
        c.district_id, c.assessment_id, c.valid_from, c.valid_to, c.drop_id, c.line, c.edition,
        cast('overall' as varchar) as objective_code, cast(null as varchar) as objective_name,
        cast('overall' as varchar) as objective_level, cast(null as double precision) as mastered,
        cast(null as varchar) as word, cast(null as varchar) as confidence,
        cast(null as varchar) as description
    from compared c
    where c.has_test
    union all
    select
        d.district_id, d.assessment_id, d.valid_from, d.valid_to, d.drop_id, d.line, d.edition,
        concat_ws(':', d.strand_code, coalesce(d.group_name, ''), d.domain_name),
        d.domain_name, 'strand', d.domain_mastery, d.domain_mastery_level,
        d.domain_confidence_level, null
    from (
        select
            s.*,
            row_number() over (
                partition by s.district_id, s.assessment_id, s.strand_code, s.group_name,
                    s.domain_name
                order by s.valid_from desc, s.line desc
            ) as position
        from details s
        where s.domain_name is not null
    ) d
    where d.position = 1
    union all
    select
        d.district_id, d.assessment_id, d.valid_from, d.valid_to, d.drop_id, d.line, d.edition,
        concat_ws(':', d.standard_code, coalesce(d.group_name, ''), coalesce(d.domain_name, ''),
            d.standard_name),
        d.standard_name, 'standard', d.standard_mastery, d.standard_mastery_level,
        d.standard_confidence_level, d.standard_description
    from details d
    where d.standard_name is not null
    union all
    select
        r.district_id, r.assessment_id, r.valid_from, r.valid_to, r.drop_id, r.line, r.edition,
        g.objective_code, g.objective_name, g.objective_level, g.mastered, null, null, null
    from versions v
    join assessments.star r
        on r.district_id = v.district_id and r.result_id = v.result_id
        and r.valid_from = v.valid_from and r.drop_id = v.drop_id and r.line = v.line
    cross join lateral (
        values
            ('sub_domain:AP', 'Alphabetic Principle', 'strand', r.sel_ap),
            ('skill_set:AP:AlphabeticKnowledge', 'Alphabetic Knowledge',
                'standard', r.sel_ap_alphabetic_knowledge),
            ('skill_set:AP:AlphabeticSequence', 'Alphabetic Sequence',
                'standard', r.sel_ap_alphabetic_sequence),
            ('skill_set:AP:LetterSounds', 'Letter Sounds', 'standard', r.sel_ap_letter_sounds),
            ('sub_domain:CW', 'Concept Of Word', 'strand', r.sel_cw),
            ('skill_set:CW:PrintConceptsWordLength', 'Print Concepts Word Length',
                'standard', r.sel_cw_print_concepts_word_length),
            ('skill_set:CW:PrintConceptsWordBorders', 'Print Concepts Word Borders',
                'standard', r.sel_cw_print_concepts_word_borders),
            ('skill_set:CW:PrintConceptsLettersAndWords', 'Print Concepts Letters And Words',
                'standard', r.sel_cw_print_concepts_letters_and_words),
            ('sub_domain:VS', 'Visual Discrimination', 'strand', r.sel_vs),
            ('skill_set:VS:Letters', 'Letters', 'standard', r.sel_vs_letters),
            ('skill_set:VS:IdentificationAndWordMatching', 'Identification And Word Matching',
                'standard', r.sel_vs_identification_and_word_matching),
            ('sub_domain:PA', 'Phonemic Awareness', 'strand', r.sel_pa),
            ('skill_set:PA:RhymingAndWordFamilies', 'Rhyming And Word Families',
                'standard', r.sel_pa_rhyming_and_word_families),
            ('skill_set:PA:BlendingWordParts', 'Blending Word Parts',
                'standard', r.sel_pa_blending_word_parts),
            ('skill_set:PA:BlendingPhonemes', 'Blending Phonemes',
                'standard', r.sel_pa_blending_phonemes),
            ('skill_set:PA:InitialAndFinalPhonemes', 'Initial And Final Phonemes',
                'standard', r.sel_pa_initial_and_final_phonemes),
            ('skill_set:PA:ConsonantBlends', 'Consonant Blends',
                'standard', r.sel_pa_consonant_blends),
            ('skill_set:PA:MedialPhonemeDiscrimination', 'Medial Phoneme Discrimination',
                'standard', r.sel_pa_medial_phoneme_discrimination),
            ('skill_set:PA:PhonemeSegmentation', 'Phoneme Segmentation',
                'standard', r.sel_pa_phoneme_segmentation),
            ('skill_set:PA:PhonemeIsolationManipulation', 'Phoneme Isolation Manipulation',
                'standard', r.sel_pa_phoneme_isolation_manipulation),
            ('sub_domain:PH', 'Phonics', 'strand', r.sel_ph),
            ('skill_set:PH:LongVowelSounds', 'Long Vowel Sounds',
                'standard', r.sel_ph_long_vowel_sounds),
            ('skill_set:PH:ShortVowelSounds', 'Short Vowel Sounds',
                'standard', r.sel_ph_short_vowel_sounds),
            ('skill_set:PH:InitialConsonantSounds', 'Initial Consonant Sounds',
                'standard', r.sel_ph_initial_consonant_sounds),
            ('skill_set:PH:FinalConsonantSounds', 'Final Consonant Sounds',
                'standard', r.sel_ph_final_consonant_sounds),
            ('skill_set:PH:SoundSymbolCorrespondenceConsonants',
                'Sound Symbol Correspondence Consonants', 'standard',
                r.sel_ph_sound_symbol_correspondence_consonants),
            ('skill_set:PH:SoundSymbolCorrespondenceVowels', 'Sound Symbol Correspondence Vowels',
                'standard', r.sel_ph_sound_symbol_correspondence_vowels),
            ('skill_set:PH:WordFamiliesRhyming', 'Word Families Rhyming',
                'standard', r.sel_ph_word_families_rhyming),
            ('skill_set:PH:ConsonantBlends', 'Consonant Blends',
                'standard', r.sel_ph_consonant_blends),
            ('skill_set:PH:ConsonantDigraphs', 'Consonant Digraphs',
                'standard', r.sel_ph_consonant_digraphs),
            ('skill_set:PH:VariantVowelSounds', 'Variant Vowel Sounds',
                'standard', r.sel_ph_variant_vowel_sounds),
            ('skill_set:PH:OtherVowelSounds', 'Other Vowel Sounds',
                'standard', r.sel_ph_other_vowel_sounds),
            ('skill_set:PH:WordBuilding', 'Word Building', 'standard', r.sel_ph_word_building),
            ('sub_domain:SA', 'Structural Analysis', 'strand', r.sel_sa),
            ('skill_set:SA:WordsWithAffixes', 'Words With Affixes',
                'standard', r.sel_sa_words_with_affixes),
            ('skill_set:SA:Syllabification', 'Syllabification',
                'standard', r.sel_sa_syllabification),
            ('skill_set:SA:CompoundWords', 'Compound Words', 'standard', r.sel_sa_compound_words),
            ('sub_domain:VO', 'Vocabulary', 'strand', r.sel_vo),
            ('skill_set:VO:WordFacility', 'Word Facility', 'standard', r.sel_vo_word_facility),
            ('skill_set:VO:Synonyms', 'Synonyms', 'standard', r.sel_vo_synonyms),
            ('skill_set:VO:Antonyms', 'Antonyms', 'standard', r.sel_vo_antonyms),
            ('sub_domain:SC', 'Sentence Level Comprehension', 'strand', r.sel_sc),
            ('skill_set:SC:ComprehensionAtTheSentenceLevel',
                'Comprehension At The Sentence Level', 'standard',
                r.sel_sc_comprehension_at_the_sentence_level),
            ('sub_domain:PC', 'Paragraph Level Comprehension', 'strand', r.sel_pc),
            ('skill_set:PC:ComprehensionOfParagraphs', 'Comprehension Of Paragraphs',
                'standard', r.sel_pc_comprehension_of_paragraphs),
            ('sub_domain:EN', 'Early Numeracy', 'strand', r.sel_en),
            ('skill_set:EN:NumberNamingAndNumberIdentification',
                'Number Naming And Number Identification', 'standard',
                r.sel_en_number_naming_and_number_identification),
            ('skill_set:EN:Measurement', 'Measurement', 'standard', r.sel_en_measurement),
            ('skill_set:EN:SequenceCompletion', 'Sequence Completion',
                'standard', r.sel_en_sequence_completion),
            ('skill_set:EN:NumberObjectCorrespondence', 'Number Object Correspondence',
                'standard', r.sel_en_number_object_correspondence),
            ('skill_set:EN:ComposingAndDecomposing', 'Composing And Decomposing',
                'standard', r.sel_en_composing_and_decomposing)
    ) as g (objective_code, objective_name, objective_level, mastered)
    where v.version = 1 and v.edition = 'star_v1' and g.mastered is not null
),

measured as (
    select
        c.*,
        p.valid_from as part_from, p.valid_to as part_to, p.drop_id as part_drop_id,
        p.line as part_line, p.edition as part_edition, p.objective_code, p.objective_name,
        p.objective_level,
        case
            when p.objective_code = 'overall' or c.is_invalidated then c.test_status
            when p.mastered is null and p.word is null then 'no_information'
            else 'scored'
        end as score_status,
        case when not c.is_invalidated then p.mastered end as mastered,
        case when not c.is_invalidated then p.word end as word,
        case
            when p.objective_code = 'overall' then concat_ws(', ',
                '"completed_date_local": ' || to_json(cast(c.completed_date_local as varchar)),
                case when c.completed_date_local is null and c.taken_at is not null
                    then '"test_date_source": "utc"' end,
                '"assessment_type": ' || to_json(c.assessment_type),
                '"assessment_number": ' || c.assessment_number
            )
            when not c.is_invalidated then concat_ws(', ',
                '"confidence_level": ' || to_json(p.confidence),
                '"description": ' || to_json(p.description)
            )
        end as known
    from parts p
    join compared c on c.district_id = p.district_id and c.assessment_id = p.assessment_id
)

select
    m.district_id,
    cast('star' as varchar) as source_system,
    m.part_edition as edition,
    m.assessment_id as source_record_id,
    cast('vendor' as varchar) as source_record_id_kind,
    m.match_field,
    m.match_value,
    coalesce(m.school_identifier, m.school_state_id) as tested_school_code,
    m.school_name as tested_school_name,
    m.school_renaissance_id as vendor_school_id,
    cast(m.assessment_code as varchar) as assessment_code,
    cast(m.assessment_name as varchar) as assessment_name,
    cast(m.subject_code as varchar) as subject,
    cast('none' as varchar) as course,
    cast(m.objective_code as varchar) as objective_code,
    cast(m.objective_name as varchar) as objective_name,
    cast(m.objective_level as varchar) as objective_level,
    m.ends_in as school_year,
    cast(m.term as varchar) as term,
    cast(case when m.season is null then 'derived' else 'file' end as varchar) as term_source,
    m.screening_period_window_name as admin_code,
    cast(m.taken_at as date) as test_date,
    m.completed_date as completed_at,
    cast(m.grade_tested as varchar) as grade_tested,
    cast(case when m.product in ('SRS', 'SMS', 'SELS') then 'es' else 'en' end as varchar)
        as language,
    cast(null as varchar) as mode,
    cast(case when m.has_test and not m.is_deleted then m.attempt end as integer) as attempt_no,
    case when m.has_test and not m.is_deleted then m.attempt > 1 end as is_retest,
    m.has_test and not m.is_deleted and m.test_status = 'scored' and m.preference = 1
        as is_primary,
    cast(case when m.has_test and not m.is_deleted and m.test_status = 'scored'
        then 'in_window_then_latest' end as varchar) as primary_rule,
    cast(m.score_status as varchar) as score_status,
    cast(coalesce(m.deactivation_reason, m.assessment_status) as varchar) as status_code,
    s.scaled_score as scale_score,
    s.standard_error_of_measurement as scale_score_sem,
    cast(null as double precision) as scale_score_low,
    cast(null as double precision) as scale_score_high,
    s.total_correct as raw_score,
    s.total_possible as points_possible,
    m.mastered as percent_correct,
    s.percentile_rank as percentile,
    cast(null as varchar) as percentile_norm_year,
    s.normal_curve_equivalent as nce,
    cast(case when s.equivalent ~ '^-?[0-9]+([.][0-9]+)?$' then s.equivalent end
        as double precision) as grade_equivalent,
    s.grade_equivalent as grade_equivalent_text,
    s.lexile as lexile_text,
    cast(case
        when s.lexile_word ~ '^[<>]?(BR|-)[0-9]+L?$'
            then '-' || regexp_replace(s.lexile_word, '[^0-9]', '', 'g')
        when s.lexile_word ~ '^[<>]?[0-9]+L?[+]?$'
            then regexp_replace(s.lexile_word, '[^0-9]', '', 'g')
    end as double precision) as lexile_num,
    s.quantile as quantile_text,
    cast(case
        when s.quantile_word ~ '^[<>]?(EM|-)[0-9]+Q?$'
            then '-' || regexp_replace(s.quantile_word, '[^0-9]', '', 'g')
        when s.quantile_word ~ '^[<>]?[0-9]+Q?[+]?$'
            then regexp_replace(s.quantile_word, '[^0-9]', '', 'g')
    end as double precision) as quantile_num,
    cast((array['spring', 'fall', 'fall', 'winter', 'fall', 'spring'])[s.pair] as varchar)
        as growth_from_term,
    cast(null as double precision) as growth_observed,
    cast(null as double precision) as growth_projected,
    cast(null as boolean) as growth_met,
    case s.pair
        when 1 then s.student_growth_percentile_spring_fall
        when 2 then s.student_growth_percentile_fall_fall
        when 3 then s.student_growth_percentile_fall_winter
        when 4 then s.student_growth_percentile_winter_spring
        when 5 then s.student_growth_percentile_fall_spring
        when 6 then s.student_growth_percentile_spring_spring
        else s.current_sgp
    end as growth_percentile,
    cast(null as double precision) as growth_index,
    cast(coalesce(s.level_word, m.word) as varchar) as performance_level,
    cast(case lower(trim(m.word))
        when 'beginning' then 1
        when 'developing' then 2
        when 'secure' then 3
        else s.level_no
    end as integer) as performance_level_no,
    cast(case when lower(trim(m.word)) in ('beginning', 'developing', 'secure') then 3
        else s.level_of end as integer) as performance_level_of,
    cast(case when m.word is not null then 'vendor' else s.level_source end as varchar)
        as level_source,
    coalesce(s.benchmark_met, s.level_no = s.level_of) as is_proficient,
    cast('{' || regexp_replace(
        nullif(concat_ws(', ', nullif(m.known, ''), nullif(s.rest, '')), ''),
        '": (-?[0-9]+)[.]0(,|$)', '": \1\2', 'g') || '}' as varchar) as other_scores,
    m.is_deleted,
    m.part_to as deleted_on,
    m.part_from as delivered_on,
    m.part_drop_id as drop_id,
    m.part_line as line
from measured m
left join scored s
    on s.district_id = m.district_id and s.result_id = m.result_id
    and s.objective_code = m.objective_code
