-- One row per ACT Aspire test of a student, per reporting category of it (strand), and per
-- composite, ELA and STEM score of a battery of tests; the latest version of each.
--
-- What the files would have one trip over, and what is done about it (the publisher's file format
-- of 2021-22 unless said otherwise):
--   * The subject stands in the name of the test alone, which is misspelled at times (Mathemtics):
--     it is told by a part of the word. The English test is of usage and conventions: language.
--   * EHS is early high school, grades 9 and 10; the grade then stands in the name of the test.
--   * DoNotReport voids a result whatever its scores are. An irregularity annotation is a note.
--     In files before 2021 one column serves for both: it voids a result only where it names a
--     reason for not reporting and there is no score.
--   * Writing has no scale score (but in 2018): the code of the essay says whether it was scored.
--     Of tests not attempted only writing has rows, so a writing row without code is one of those.
--   * Composite, ELA and STEM scores are repeated on every row of a battery. They are taken once,
--     from the row that was delivered last of those that have them.
--   * Files delivered while testing goes on are preliminary: the newest delivery counts, also where
--     it comes under another id. TestUUID is the key, else student, test and day.
--   * No file has a term or a school year: both are told from the day; years begin on 1 July.
--   * In wide files a day may be blank beside scores: the day of the student's last
--     test in the row then tells the school year.
--
-- Points of reporting categories travel as text (category, raw score, points possible, percent and
-- range, with chr(31) between, and chr(30) between categories) until each gets a row: a join of
-- tests with categories misleads PostgreSQL into a nested loop.
with long_versions as (
    select
        a.*,
        row_number() over (
            partition by a.district_id, a.result_id
            order by a.valid_from desc, a.valid_to desc nulls first
        ) as recency
    from assessments.act_aspire a
),
wide_versions as (
    select
        b.*,
        row_number() over (
            partition by b.district_id, b.result_id
            order by b.valid_from desc, b.valid_to desc nulls first
        ) as recency
    from assessments.act_aspire_wide b
),
-- Each is read twice; written in twice, the district that is asked for narrows it at once.
long_rows as not materialized (
    select
        v.*,
        cast(v.test_admin_date as date) as sat_on,
        coalesce(
            case when upper(trim(v.state_student_id)) not in (
                '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
            ) then v.state_student_id end,
            case when upper(trim(v.local_id)) not in (
                '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
            ) then v.local_id end,
            v.pearson_student_code, v.match_value, v.result_id
        ) as student,
        case when upper(trim(v.test_uuid)) not in (
            '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
        ) then v.test_uuid end as unit_id,
        case when upper(trim(v.battery_uuid)) not in (
            '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
        ) then v.battery_uuid end as battery_id,
        case
            when v.edition = 'act_aspire_interim' or lower(v.test_name) like 'interim%'
                then 'act_aspire_interim'
            else 'act_aspire'
        end as assessment_code,
        case
            when lower(v.test_name) like '%math%' then 'math'
            when lower(v.test_name) like '%read%' then 'reading'
            when lower(v.test_name) like '%scien%' then 'science'
            when lower(v.test_name) like '%writ%' then 'writing'
            when lower(v.test_name) like '%english%' then 'language'
        end as subject,
        concat_ws(
            chr(30),
            case
                when v.rpt_cat1_label <> ''
                    and coalesce(v.rpt_cat1_raw_score, v.rpt_cat1_percent_correct) is not null
                    then concat(
                        v.rpt_cat1_label, chr(31), v.rpt_cat1_raw_score, chr(31),
                        v.rpt_cat1_points_possible, chr(31), v.rpt_cat1_percent_correct, chr(31),
                        v.rpt_cat1_readiness_range
                    )
            end,
            case
                when v.rpt_cat2_label <> ''
                    and coalesce(v.rpt_cat2_raw_score, v.rpt_cat2_percent_correct) is not null
                    then concat(
                        v.rpt_cat2_label, chr(31), v.rpt_cat2_raw_score, chr(31),
                        v.rpt_cat2_points_possible, chr(31), v.rpt_cat2_percent_correct, chr(31),
                        v.rpt_cat2_readiness_range
                    )
            end,
            case
                when v.rpt_cat3_label <> ''
                    and coalesce(v.rpt_cat3_raw_score, v.rpt_cat3_percent_correct) is not null
                    then concat(
                        v.rpt_cat3_label, chr(31), v.rpt_cat3_raw_score, chr(31),
                        v.rpt_cat3_points_possible, chr(31), v.rpt_cat3_percent_correct, chr(31),
                        v.rpt_cat3_readiness_range
                    )
            end,
            case
                when v.rpt_cat4_label <> ''
                    and coalesce(v.rpt_cat4_raw_score, v.rpt_cat4_percent_correct) is not null
                    then concat(
                        v.rpt_cat4_label, chr(31), v.rpt_cat4_raw_score, chr(31),
                        v.rpt_cat4_points_possible, chr(31), v.rpt_cat4_percent_correct, chr(31),
                        v.rpt_cat4_readiness_range
                    )
            end,
            case
                when v.rpt_cat5_label <> ''
                    and coalesce(v.rpt_cat5_raw_score, v.rpt_cat5_percent_correct) is not null
                    then concat(
                        v.rpt_cat5_label, chr(31), v.rpt_cat5_raw_score, chr(31),
                        v.rpt_cat5_points_possible, chr(31), v.rpt_cat5_percent_correct, chr(31),
                        v.rpt_cat5_readiness_range
                    )
            end,
            case
                when v.rpt_cat6_label <> ''
                    and coalesce(v.rpt_cat6_raw_score, v.rpt_cat6_percent_correct) is not null
                    then concat(
                        v.rpt_cat6_label, chr(31), v.rpt_cat6_raw_score, chr(31),
                        v.rpt_cat6_points_possible, chr(31), v.rpt_cat6_percent_correct, chr(31),
                        v.rpt_cat6_readiness_range
                    )
            end,
            case
                when v.rpt_cat7_label <> ''
                    and coalesce(v.rpt_cat7_raw_score, v.rpt_cat7_percent_correct) is not null
                    then concat(
                        v.rpt_cat7_label, chr(31), v.rpt_cat7_raw_score, chr(31),
                        v.rpt_cat7_points_possible, chr(31), v.rpt_cat7_percent_correct, chr(31),
                        v.rpt_cat7_readiness_range
                    )
            end,
            case
                when v.rpt_cat8_label <> ''
                    and coalesce(v.rpt_cat8_raw_score, v.rpt_cat8_percent_correct) is not null
                    then concat(
                        v.rpt_cat8_label, chr(31), v.rpt_cat8_raw_score, chr(31),
                        v.rpt_cat8_points_possible, chr(31), v.rpt_cat8_percent_correct, chr(31),
                        v.rpt_cat8_readiness_range
                    )
            end,
            case
                when v.rpt_cat9_label <> ''
                    and coalesce(v.rpt_cat9_raw_score, v.rpt_cat9_percent_correct) is not null
                    then concat(
                        v.rpt_cat9_label, chr(31), v.rpt_cat9_raw_score, chr(31),
                        v.rpt_cat9_points_possible, chr(31), v.rpt_cat9_percent_correct, chr(31),
                        v.rpt_cat9_readiness_range
                    )
            end,
            case
                when v.rpt_cat10_label <> ''
                    and coalesce(v.rpt_cat10_raw_score, v.rpt_cat10_percent_correct) is not null
                    then concat(
                        v.rpt_cat10_label, chr(31), v.rpt_cat10_raw_score, chr(31),
                        v.rpt_cat10_points_possible, chr(31), v.rpt_cat10_percent_correct,
                        chr(31), v.rpt_cat10_readiness_range
                    )
            end,
            case
                when v.rpt_cat11_label <> ''
                    and coalesce(v.rpt_cat11_raw_score, v.rpt_cat11_percent_correct) is not null
                    then concat(
                        v.rpt_cat11_label, chr(31), v.rpt_cat11_raw_score, chr(31),
                        v.rpt_cat11_points_possible, chr(31), v.rpt_cat11_percent_correct,
                        chr(31), v.rpt_cat11_readiness_range
                    )
            end,
            case
                when v.rpt_cat12_label <> ''
                    and coalesce(v.rpt_cat12_raw_score, v.rpt_cat12_percent_correct) is not null
                    then concat(
                        v.rpt_cat12_label, chr(31), v.rpt_cat12_raw_score, chr(31),
                        v.rpt_cat12_points_possible, chr(31), v.rpt_cat12_percent_correct,
                        chr(31), v.rpt_cat12_readiness_range
                    )
            end,
            case
                when v.rpt_cat13_label <> ''
                    and coalesce(v.rpt_cat13_raw_score, v.rpt_cat13_percent_correct) is not null
                    then concat(
                        v.rpt_cat13_label, chr(31), v.rpt_cat13_raw_score, chr(31),
                        v.rpt_cat13_points_possible, chr(31), v.rpt_cat13_percent_correct,
                        chr(31), v.rpt_cat13_readiness_range
                    )
            end,
            case
                when v.rpt_cat14_label <> ''
                    and coalesce(v.rpt_cat14_raw_score, v.rpt_cat14_percent_correct) is not null
                    then concat(
                        v.rpt_cat14_label, chr(31), v.rpt_cat14_raw_score, chr(31),
                        v.rpt_cat14_points_possible, chr(31), v.rpt_cat14_percent_correct,
                        chr(31), v.rpt_cat14_readiness_range
                    )
            end,
            case
                when v.rpt_cat15_label <> ''
                    and coalesce(v.rpt_cat15_raw_score, v.rpt_cat15_percent_correct) is not null
                    then concat(
                        v.rpt_cat15_label, chr(31), v.rpt_cat15_raw_score, chr(31),
                        v.rpt_cat15_points_possible, chr(31), v.rpt_cat15_percent_correct,
                        chr(31), v.rpt_cat15_readiness_range
                    )
            end,
            case
                when v.rpt_cat16_label <> ''
                    and coalesce(v.rpt_cat16_raw_score, v.rpt_cat16_percent_correct) is not null
                    then concat(
                        v.rpt_cat16_label, chr(31), v.rpt_cat16_raw_score, chr(31),
                        v.rpt_cat16_points_possible, chr(31), v.rpt_cat16_percent_correct,
                        chr(31), v.rpt_cat16_readiness_range
                    )
            end
        ) as categories
    from long_versions v
    where v.recency = 1
),
wide_days as (
    select
        d.*,
        greatest(
            d.english_test_admin_date, d.math_test_admin_date, d.reading_test_admin_date,
            d.science_test_admin_date, d.writing_test_admin_date
        ) as last_on
    from wide_versions d
    where d.recency = 1
),
wide_rows as not materialized (
    select
        w.*,
        cast(
            cast(extract(year from w.last_on + interval '6 months') as integer) as varchar
        ) as last_year,
        coalesce(
            case when upper(trim(w.state_student_id)) not in (
                '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
            ) then w.state_student_id end,
            case when upper(trim(w.local_id)) not in (
                '#N/A', 'N/A', 'NA', 'NULL', 'NONE', 'NAN', '-', '#REF!', '#VALUE!', '#NAME?'
            ) then w.local_id end,
            w.pearson_student_code, w.match_value, w.result_id
        ) as student,
        concat_ws(
            chr(30),
            case
                when coalesce(w.english_pow_raw_score, w.english_pow_percent_correct) is not null
                    then concat(
                        'POW', chr(31), w.english_pow_raw_score, chr(31),
                        w.english_pow_points_possible, chr(31), w.english_pow_percent_correct,
                        chr(31), w.english_pow_readiness_range
                    )
            end,
            case
                when coalesce(w.english_kla_raw_score, w.english_kla_percent_correct) is not null
                    then concat(
                        'KLA', chr(31), w.english_kla_raw_score, chr(31),
                        w.english_kla_points_possible, chr(31), w.english_kla_percent_correct,
                        chr(31), w.english_kla_readiness_range
                    )
            end,
            case
                when coalesce(w.english_coe_raw_score, w.english_coe_percent_correct) is not null
                    then concat(
                        'COE', chr(31), w.english_coe_raw_score, chr(31),
                        w.english_coe_points_possible, chr(31), w.english_coe_percent_correct,
                        chr(31), w.english_coe_readiness_range
                    )
            end
        ) as english_categories,
        concat_ws(
            chr(30),
            case
                when coalesce(w.math_glp_raw_score, w.math_glp_percent_correct) is not null
                    then concat(
                        'GLP', chr(31), w.math_glp_raw_score, chr(31),
                        w.math_glp_points_possible, chr(31), w.math_glp_percent_correct, chr(31),
                        w.math_glp_readiness_range
                    )
            end,
            case
                when coalesce(w.math_ies_raw_score, w.math_ies_percent_correct) is not null
                    then concat(
                        'IES', chr(31), w.math_ies_raw_score, chr(31),
                        w.math_ies_points_possible, chr(31), w.math_ies_percent_correct, chr(31),
                        w.math_ies_readiness_range
                    )
            end,
            case
                when coalesce(w.math_je_raw_score, w.math_je_percent_correct) is not null
                    then concat(
                        'JE', chr(31), w.math_je_raw_score, chr(31), w.math_je_points_possible,
                        chr(31), w.math_je_percent_correct, chr(31), w.math_je_readiness_range
                    )
            end,
            case
                when coalesce(
                    w.math_modeling_raw_score, w.math_modeling_percent_correct
                ) is not null
                    then concat(
                        'MODELING', chr(31), w.math_modeling_raw_score, chr(31),
                        w.math_modeling_points_possible, chr(31),
                        w.math_modeling_percent_correct, chr(31), w.math_modeling_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_nf_raw_score, w.math_glp_nf_percent_correct) is not null
                    then concat(
                        'GLP_NF', chr(31), w.math_glp_nf_raw_score, chr(31),
                        w.math_glp_nf_points_possible, chr(31), w.math_glp_nf_percent_correct,
                        chr(31), w.math_glp_nf_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_nbt_raw_score, w.math_glp_nbt_percent_correct) is not null
                    then concat(
                        'GLP_NBT', chr(31), w.math_glp_nbt_raw_score, chr(31),
                        w.math_glp_nbt_points_possible, chr(31), w.math_glp_nbt_percent_correct,
                        chr(31), w.math_glp_nbt_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_ns_raw_score, w.math_glp_ns_percent_correct) is not null
                    then concat(
                        'GLP_NS', chr(31), w.math_glp_ns_raw_score, chr(31),
                        w.math_glp_ns_points_possible, chr(31), w.math_glp_ns_percent_correct,
                        chr(31), w.math_glp_ns_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_n_raw_score, w.math_glp_n_percent_correct) is not null
                    then concat(
                        'GLP_N', chr(31), w.math_glp_n_raw_score, chr(31),
                        w.math_glp_n_points_possible, chr(31), w.math_glp_n_percent_correct,
                        chr(31), w.math_glp_n_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_oa_raw_score, w.math_glp_oa_percent_correct) is not null
                    then concat(
                        'GLP_OA', chr(31), w.math_glp_oa_raw_score, chr(31),
                        w.math_glp_oa_points_possible, chr(31), w.math_glp_oa_percent_correct,
                        chr(31), w.math_glp_oa_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_ee_raw_score, w.math_glp_ee_percent_correct) is not null
                    then concat(
                        'GLP_EE', chr(31), w.math_glp_ee_raw_score, chr(31),
                        w.math_glp_ee_points_possible, chr(31), w.math_glp_ee_percent_correct,
                        chr(31), w.math_glp_ee_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_rp_raw_score, w.math_glp_rp_percent_correct) is not null
                    then concat(
                        'GLP_RP', chr(31), w.math_glp_rp_raw_score, chr(31),
                        w.math_glp_rp_points_possible, chr(31), w.math_glp_rp_percent_correct,
                        chr(31), w.math_glp_rp_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_a_raw_score, w.math_glp_a_percent_correct) is not null
                    then concat(
                        'GLP_A', chr(31), w.math_glp_a_raw_score, chr(31),
                        w.math_glp_a_points_possible, chr(31), w.math_glp_a_percent_correct,
                        chr(31), w.math_glp_a_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_f_raw_score, w.math_glp_f_percent_correct) is not null
                    then concat(
                        'GLP_F', chr(31), w.math_glp_f_raw_score, chr(31),
                        w.math_glp_f_points_possible, chr(31), w.math_glp_f_percent_correct,
                        chr(31), w.math_glp_f_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_g_raw_score, w.math_glp_g_percent_correct) is not null
                    then concat(
                        'GLP_G', chr(31), w.math_glp_g_raw_score, chr(31),
                        w.math_glp_g_points_possible, chr(31), w.math_glp_g_percent_correct,
                        chr(31), w.math_glp_g_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_md_raw_score, w.math_glp_md_percent_correct) is not null
                    then concat(
                        'GLP_MD', chr(31), w.math_glp_md_raw_score, chr(31),
                        w.math_glp_md_points_possible, chr(31), w.math_glp_md_percent_correct,
                        chr(31), w.math_glp_md_readiness_range
                    )
            end,
            case
                when coalesce(w.math_glp_s_raw_score, w.math_glp_s_percent_correct) is not null
                    then concat(
                        'GLP_S', chr(31), w.math_glp_s_raw_score, chr(31),
                        w.math_glp_s_points_possible, chr(31), w.math_glp_s_percent_correct,
                        chr(31), w.math_glp_s_readiness_range
                    )
            end
        ) as math_categories,
        concat_ws(
            chr(30),
            case
                when coalesce(w.reading_kid_raw_score, w.reading_kid_percent_correct) is not null
                    then concat(
                        'KID', chr(31), w.reading_kid_raw_score, chr(31),
                        w.reading_kid_points_possible, chr(31), w.reading_kid_percent_correct,
                        chr(31), w.reading_kid_readiness_range
                    )
            end,
            case
                when coalesce(w.reading_cas_raw_score, w.reading_cas_percent_correct) is not null
                    then concat(
                        'CAS', chr(31), w.reading_cas_raw_score, chr(31),
                        w.reading_cas_points_possible, chr(31), w.reading_cas_percent_correct,
                        chr(31), w.reading_cas_readiness_range
                    )
            end,
            case
                when coalesce(w.reading_iok_raw_score, w.reading_iok_percent_correct) is not null
                    then concat(
                        'IOK', chr(31), w.reading_iok_raw_score, chr(31),
                        w.reading_iok_points_possible, chr(31), w.reading_iok_percent_correct,
                        chr(31), w.reading_iok_readiness_range
                    )
            end
        ) as reading_categories,
        concat_ws(
            chr(30),
            case
                when coalesce(w.science_iod_raw_score, w.science_iod_percent_correct) is not null
                    then concat(
                        'IOD', chr(31), w.science_iod_raw_score, chr(31),
                        w.science_iod_points_possible, chr(31), w.science_iod_percent_correct,
                        chr(31), w.science_iod_readiness_range
                    )
            end,
            case
                when coalesce(w.science_sin_raw_score, w.science_sin_percent_correct) is not null
                    then concat(
                        'SIN', chr(31), w.science_sin_raw_score, chr(31),
                        w.science_sin_points_possible, chr(31), w.science_sin_percent_correct,
                        chr(31), w.science_sin_readiness_range
                    )
            end,
            case
                when coalesce(w.science_emi_raw_score, w.science_emi_percent_correct) is not null
                    then concat(
                        'EMI', chr(31), w.science_emi_raw_score, chr(31),
                        w.science_emi_points_possible, chr(31), w.science_emi_percent_correct,
                        chr(31), w.science_emi_readiness_range
                    )
            end
        ) as science_categories,
        concat_ws(
            chr(30),
            case
                when coalesce(w.writing_iaa_raw_score, w.writing_iaa_percent_correct) is not null
                    then concat(
                        'IAA', chr(31), w.writing_iaa_raw_score, chr(31),
                        w.writing_iaa_points_possible, chr(31), w.writing_iaa_percent_correct,
                        chr(31), w.writing_iaa_readiness_range
                    )
            end,
            case
                when coalesce(w.writing_das_raw_score, w.writing_das_percent_correct) is not null
                    then concat(
                        'DAS', chr(31), w.writing_das_raw_score, chr(31),
                        w.writing_das_points_possible, chr(31), w.writing_das_percent_correct,
                        chr(31), w.writing_das_readiness_range
                    )
            end,
            case
                when coalesce(w.writing_org_raw_score, w.writing_org_percent_correct) is not null
                    then concat(
                        'ORG', chr(31), w.writing_org_raw_score, chr(31),
                        w.writing_org_points_possible, chr(31), w.writing_org_percent_correct,
                        chr(31), w.writing_org_readiness_range
                    )
            end,
            case
                when coalesce(w.writing_luc_raw_score, w.writing_luc_percent_correct) is not null
                    then concat(
                        'LUC', chr(31), w.writing_luc_raw_score, chr(31),
                        w.writing_luc_points_possible, chr(31), w.writing_luc_percent_correct,
                        chr(31), w.writing_luc_readiness_range
                    )
            end
        ) as writing_categories
    from wide_days w
),
tests as (
    select
        r.district_id, r.result_id, r.edition, r.subject, 'overall' as objective_level,
        coalesce(
            r.unit_id, r.student || ':' || r.test_name || ':' || cast(r.sat_on as varchar)
        ) as source_record_id,
        case when r.unit_id is null then 'composed' else 'vendor' end as source_record_id_kind,
        r.match_field, r.match_value, r.state_school_code, r.state_school_name, r.assessment_code,
        r.test_name as assessment_name,
        case
            when lower(r.test_name) ~ '^interim *[0-9]+.*$'
                then regexp_replace(r.test_name, '^([A-Za-z]+) *([0-9]+).*$', '\1 \2')
        end as admin_code,
        r.test_admin_date as tested_at, r.sat_on, r.sat_on as year_on,
        coalesce(
            case
                when lower(r.tested_grade) ~ '^ *(grade|ehs)? *[0-9]{1,2} *$'
                    then regexp_replace(lower(r.tested_grade), '^ *(grade|ehs)? *([0-9]+) *$', '\2')
            end,
            case
                when lower(r.test_name) ~ '^.*(grade|ehs) *[0-9]{1,2}([^0-9].*)?$'
                    then regexp_replace(
                        lower(r.test_name), '^.*(grade|ehs) *([0-9]+)([^0-9].*)?$', '\2'
                    )
            end
        ) as grade,
        case upper(trim(r.test_format)) when 'P' then 'paper' when 'O' then 'online' end as mode,
        upper(trim(r.do_not_report)) = 'Y' as is_void,
        coalesce(r.do_not_report_reason, r.subject_irregularity) as reason,
        r.writing_score,
        r.scale_score, r.scale_score_range_lower_bound as scale_score_low,
        r.scale_score_range_upper_bound as scale_score_high,
        r.national_percentile_rank as percentile, r.growth_percentile,
        r.readiness_level as level, r.readiness_benchmark as benchmark,
        nullif(
            '{' || concat_ws(
                ', ',
                '"off_grade": ' || cast(to_json(r.off_grade) as varchar),
                '"subject_irregularity": ' || cast(to_json(r.subject_irregularity) as varchar),
                '"irregularity_annotation": '
                    || cast(to_json(r.irregularity_annotation) as varchar),
                '"growth_category": ' || cast(to_json(r.growth_category) as varchar),
                nullif(
                    regexp_replace(
                        concat_ws(
                            ', ',
                            '"projected_one_year_aspire_score_range_lower": '
                                || cast(r.projected_one_year_aspire_score_range_lower as varchar),
                            '"projected_one_year_aspire_score_range_upper": '
                                || cast(r.projected_one_year_aspire_score_range_upper as varchar),
                            '"projected_two_year_aspire_score_range_lower": '
                                || cast(r.projected_two_year_aspire_score_range_lower as varchar),
                            '"projected_two_year_aspire_score_range_upper": '
                                || cast(r.projected_two_year_aspire_score_range_upper as varchar),
                            '"subject_predicted_act_score_lower": '
                                || cast(r.subject_predicted_act_score_lower as varchar),
                            '"subject_predicted_act_score_upper": '
                                || cast(r.subject_predicted_act_score_upper as varchar),
                            '"subject_predicted_preact_score_lower": '
                                || cast(r.subject_predicted_preact_score_lower as varchar),
                            '"subject_predicted_preact_score_upper": '
                                || cast(r.subject_predicted_preact_score_upper as varchar)
                        ),
                        '[.]0(,|$)', '\1', 'g'
                    ),
                    ''
                )
            ) || '}',
            '{}'
        ) as other_scores,
        r.categories,
        r.valid_to, r.valid_from, r.drop_id, r.line
    from long_rows r
    union all
    select
        w.district_id, w.result_id, w.edition,
        case s.subject when 'english' then 'language' else s.subject end as subject,
        'overall' as objective_level,
        coalesce(
            s.login_key,
            w.student || ':' || s.subject || ':'
                || coalesce(cast(s.sat_on as varchar), w.last_year, '')
        ) as source_record_id,
        case when s.login_key is null then 'composed' else 'vendor' end as source_record_id_kind,
        w.match_field, w.match_value, w.state_school_code, w.state_school_name,
        'act_aspire' as assessment_code,
        'ACT Aspire ' || upper(substr(s.subject, 1, 1)) || substr(s.subject, 2) as assessment_name,
        cast(null as varchar) as admin_code,
        cast(s.sat_on as timestamp) as tested_at, s.sat_on,
        coalesce(s.sat_on, w.last_on) as year_on,
        coalesce(
            case
                when lower(s.tested_grade) ~ '^ *(grade|ehs)? *[0-9]{1,2} *$'
                    then regexp_replace(lower(s.tested_grade), '^ *(grade|ehs)? *([0-9]+) *$', '\2')
            end,
            case
                when s.testing_grade ~ '^ *[0-9]{1,2} *$' then trim(s.testing_grade)
            end
        ) as grade,
        cast(null as varchar) as mode,
        false as is_void,
        s.irregularity as reason, s.writing_score,
        s.scale_score, s.scale_score_low, s.scale_score_high, s.percentile, s.growth_percentile,
        s.level, s.benchmark,
        nullif(
            '{' || concat_ws(
                ', ',
                '"off_grade": ' || cast(to_json(s.off_grade) as varchar),
                '"irregularity": ' || cast(to_json(s.irregularity) as varchar),
                '"growth_category": ' || cast(to_json(s.growth_category) as varchar),
                nullif(
                    regexp_replace(
                        concat_ws(
                            ', ',
                            '"projected_one_year_aspire_score_range_lower": '
                                || cast(s.one_year_low as varchar),
                            '"projected_one_year_aspire_score_range_upper": '
                                || cast(s.one_year_high as varchar),
                            '"projected_two_year_aspire_score_range_lower": '
                                || cast(s.two_year_low as varchar),
                            '"projected_two_year_aspire_score_range_upper": '
                                || cast(s.two_year_high as varchar),
                            '"subject_predicted_act_score_lower": ' || cast(s.act_low as varchar),
                            '"subject_predicted_act_score_upper": ' || cast(s.act_high as varchar)
                        ),
                        '[.]0(,|$)', '\1', 'g'
                    ),
                    ''
                )
            ) || '}',
            '{}'
        ) as other_scores,
        s.categories,
        w.valid_to, w.valid_from, w.drop_id, w.line
    from wide_rows w
    cross join lateral (values
        (
            'english', w.english_test_admin_date, w.english_testing_grade,
            w.english_tested_grade, w.english_off_grade, w.english_irregularity,
            w.english_external_login_key, cast(null as varchar), w.english_scale_score,
            w.english_scale_score_range_lower_bound, w.english_scale_score_range_upper_bound,
            w.english_national_percentile_rank, w.english_readiness_level,
            w.english_readiness_benchmark, w.english_growth_percentile,
            w.english_growth_category, w.english_projected_one_year_aspire_score_range_lower,
            w.english_projected_one_year_aspire_score_range_upper,
            w.english_projected_two_year_aspire_score_range_lower,
            w.english_projected_two_year_aspire_score_range_upper,
            w.english_predicted_act_score_lower, w.english_predicted_act_score_upper,
            w.english_categories
        ),
        (
            'math', w.math_test_admin_date, w.math_testing_grade, w.math_tested_grade,
            w.math_off_grade, w.math_irregularity, w.math_external_login_key,
            cast(null as varchar), w.math_scale_score, w.math_scale_score_range_lower_bound,
            w.math_scale_score_range_upper_bound, w.math_national_percentile_rank,
            w.math_readiness_level, w.math_readiness_benchmark, w.math_growth_percentile,
            w.math_growth_category, w.math_projected_one_year_aspire_score_range_lower,
            w.math_projected_one_year_aspire_score_range_upper,
            w.math_projected_two_year_aspire_score_range_lower,
            w.math_projected_two_year_aspire_score_range_upper,
            w.math_predicted_act_score_lower, w.math_predicted_act_score_upper,
            w.math_categories
        ),
        (
            'reading', w.reading_test_admin_date, w.reading_testing_grade,
            w.reading_tested_grade, w.reading_off_grade, w.reading_irregularity,
            w.reading_external_login_key, cast(null as varchar), w.reading_scale_score,
            w.reading_scale_score_range_lower_bound, w.reading_scale_score_range_upper_bound,
            w.reading_national_percentile_rank, w.reading_readiness_level,
            w.reading_readiness_benchmark, w.reading_growth_percentile,
            w.reading_growth_category, w.reading_projected_one_year_aspire_score_range_lower,
            w.reading_projected_one_year_aspire_score_range_upper,
            w.reading_projected_two_year_aspire_score_range_lower,
            w.reading_projected_two_year_aspire_score_range_upper,
            w.reading_predicted_act_score_lower, w.reading_predicted_act_score_upper,
            w.reading_categories
        ),
        (
            'science', w.science_test_admin_date, w.science_testing_grade,
            w.science_tested_grade, w.science_off_grade, w.science_irregularity,
            w.science_external_login_key, cast(null as varchar), w.science_scale_score,
            w.science_scale_score_range_lower_bound, w.science_scale_score_range_upper_bound,
            w.science_national_percentile_rank, w.science_readiness_level,
            w.science_readiness_benchmark, w.science_growth_percentile,
            w.science_growth_category, w.science_projected_one_year_aspire_score_range_lower,
            w.science_projected_one_year_aspire_score_range_upper,
            w.science_projected_two_year_aspire_score_range_lower,
            w.science_projected_two_year_aspire_score_range_upper,
            w.science_predicted_act_score_lower, w.science_predicted_act_score_upper,
            w.science_categories
        ),
        (
            'writing', w.writing_test_admin_date, w.writing_testing_grade,
            w.writing_tested_grade, w.writing_off_grade, w.writing_irregularity,
            w.writing_external_login_key, w.writing_score, w.writing_scale_score,
            w.writing_scale_score_range_lower_bound, w.writing_scale_score_range_upper_bound,
            w.writing_national_percentile_rank, w.writing_readiness_level,
            w.writing_readiness_benchmark, w.writing_growth_percentile,
            w.writing_growth_category, w.writing_projected_one_year_aspire_score_range_lower,
            w.writing_projected_one_year_aspire_score_range_upper,
            w.writing_projected_two_year_aspire_score_range_lower,
            w.writing_projected_two_year_aspire_score_range_upper,
            cast(null as double precision), cast(null as double precision),
            w.writing_categories
        )
    ) as s(
        subject, sat_on, testing_grade, tested_grade, off_grade, irregularity, login_key,
        writing_score, scale_score, scale_score_low, scale_score_high, percentile, level, benchmark,
        growth_percentile, growth_category, one_year_low, one_year_high, two_year_low,
        two_year_high, act_low, act_high, categories
    )
    where s.scale_score is not null or s.sat_on is not null or s.categories <> ''
        or coalesce(s.writing_score, s.level, s.irregularity) is not null
),
batteries as (
    select
        r.district_id, r.result_id, r.edition, s.subject, 'composite' as objective_level,
        coalesce(
            r.battery_id,
            r.student || ':' || cast(
                cast(extract(year from r.sat_on + interval '6 months') as integer) as varchar
            )
        ) as source_record_id,
        case when r.battery_id is null then 'composed' else 'vendor' end as source_record_id_kind,
        r.match_field, r.match_value, r.state_school_code, r.state_school_name, r.assessment_code,
        s.name as assessment_name,
        r.test_admin_date as tested_at, r.sat_on,
        coalesce(
            case
                when lower(r.tested_grade) ~ '^ *(grade|ehs)? *[0-9]{1,2} *$'
                    then regexp_replace(lower(r.tested_grade), '^ *(grade|ehs)? *([0-9]+) *$', '\2')
            end,
            case
                when lower(r.test_name) ~ '^.*(grade|ehs) *[0-9]{1,2}([^0-9].*)?$'
                    then regexp_replace(
                        lower(r.test_name), '^.*(grade|ehs) *([0-9]+)([^0-9].*)?$', '\2'
                    )
            end
        ) as grade,
        s.score, s.score_low, s.score_high, s.percentile, s.benchmark, s.other_scores,
        r.valid_to, r.valid_from, r.drop_id, r.line
    from long_rows r
    cross join lateral (values
        (
            'composite', 'ACT Aspire Composite', r.act_aspire_composite_score,
            r.composite_scale_score_lower, r.composite_scale_score_upper,
            r.composite_national_percentile_rank, cast(null as varchar),
            nullif(
                '{' || concat_ws(
                    ', ',
                    '"progress_toward_career_readiness": '
                        || cast(to_json(r.progress_toward_career_readiness) as varchar),
                    nullif(
                        regexp_replace(
                            concat_ws(
                                ', ',
                                '"act_projected_composite_score_low": '
                                    || cast(r.act_projected_composite_score_low as varchar),
                                '"act_projected_composite_score_high": '
                                    || cast(r.act_projected_composite_score_high as varchar),
                                '"composite_predicted_preact_score_lower": '
                                    || cast(r.composite_predicted_preact_score_lower as varchar),
                                '"composite_predicted_preact_score_upper": '
                                    || cast(r.composite_predicted_preact_score_upper as varchar)
                            ),
                            '[.]0(,|$)', '\1', 'g'
                        ),
                        ''
                    )
                ) || '}',
                '{}'
            )
        ),
        (
            'ela', 'ACT Aspire ELA', r.ela_score, r.ela_score_range_lower_bound,
            r.ela_score_range_upper_bound, r.ela_national_percentile_rank,
            r.ela_act_readiness,
            '{"progress_text_complexity": '
                || cast(to_json(r.progress_text_complexity) as varchar) || '}'
        ),
        (
            'stem', 'ACT Aspire STEM', r.stem_score, r.stem_score_range_lower_bound,
            r.stem_score_range_upper_bound, r.stem_national_percentile_rank,
            r.stem_act_readiness, cast(null as varchar)
        )
    ) as s(
        subject, name, score, score_low, score_high, percentile, benchmark, other_scores
    )
    union all
    select
        w.district_id, w.result_id, w.edition, s.subject, 'composite' as objective_level,
        w.student || ':' || coalesce(w.last_year, '') as source_record_id,
        'composed' as source_record_id_kind,
        w.match_field, w.match_value, w.state_school_code, w.state_school_name,
        'act_aspire' as assessment_code,
        s.name as assessment_name,
        cast(w.last_on as timestamp) as tested_at, w.last_on as sat_on,
        case
            when coalesce(w.math_tested_grade, w.english_tested_grade) ~ '^ *[0-9]{1,2} *$'
                then trim(coalesce(w.math_tested_grade, w.english_tested_grade))
        end as grade,
        s.score, s.score_low, s.score_high, s.percentile, s.benchmark, s.other_scores,
        w.valid_to, w.valid_from, w.drop_id, w.line
    from wide_rows w
    cross join lateral (values
        (
            'composite', 'ACT Aspire Composite', w.act_aspire_composite_score,
            w.composite_scale_score_lower, w.composite_scale_score_upper,
            cast(null as double precision), cast(null as varchar),
            nullif(
                '{' || concat_ws(
                    ', ',
                    '"progress_toward_career_readiness": '
                        || cast(to_json(w.progress_toward_career_readiness) as varchar),
                    nullif(
                        regexp_replace(
                            concat_ws(
                                ', ',
                                '"act_projected_composite_score_low": '
                                    || cast(w.act_projected_composite_score_low as varchar),
                                '"act_projected_composite_score_high": '
                                    || cast(w.act_projected_composite_score_high as varchar)
                            ),
                            '[.]0(,|$)', '\1', 'g'
                        ),
                        ''
                    )
                ) || '}',
                '{}'
            )
        ),
        (
            'ela', 'ACT Aspire ELA', w.ela_score, w.ela_score_range_lower_bound,
            w.ela_score_range_upper_bound, cast(null as double precision),
            w.ela_act_readiness,
            '{"progress_text_complexity": '
                || cast(to_json(w.progress_text_complexity) as varchar) || '}'
        ),
        (
            'stem', 'ACT Aspire STEM', w.stem_score, w.stem_score_range_lower_bound,
            w.stem_score_range_upper_bound, cast(null as double precision),
            w.stem_act_readiness, cast(null as varchar)
        )
    ) as s(
        subject, name, score, score_low, score_high, percentile, benchmark, other_scores
    )
),
ranked_batteries as (
    select
        b.*,
        row_number() over (
            partition by b.district_id, b.source_record_id, b.subject
            order by
                b.valid_to is not null, b.score is null, b.valid_from desc,
                b.tested_at desc nulls last, b.line desc
        ) as recency
    from batteries b
),
ranked_tests as (
    select
        t.*,
        row_number() over (
            partition by t.district_id, t.source_record_id, t.subject
            order by t.valid_from desc, t.line desc, cast(t.result_id as varchar) collate "C"
        ) as recency
    from tests t
),
results as (
    select
        t.district_id, t.result_id, t.edition, t.subject, t.objective_level, t.source_record_id,
        t.source_record_id_kind, t.match_field, t.match_value, t.state_school_code,
        t.state_school_name, t.assessment_code, t.assessment_name, t.admin_code, t.tested_at,
        t.sat_on, t.year_on, t.grade, t.mode,
        case
            when t.is_void then 'invalidated'
            when t.scale_score is not null then 'scored'
            when t.subject = 'writing' and upper(trim(t.writing_score)) = 'SCOREABLE' then 'scored'
            when t.subject = 'writing' and upper(trim(t.writing_score)) = 'BL' then 'not_attempted'
            when t.subject = 'writing' and upper(trim(t.writing_score)) = 'VO' then 'invalidated'
            when t.subject = 'writing' and upper(trim(t.writing_score)) in ('NE', 'OT', 'IL')
                then 'other'
            when upper(trim(t.reason)) in (
                'TECHNICAL_ISSUES', 'PB', 'MISADMIN', 'ILLNESS', 'UNSUBMITTED'
            ) then 'invalidated'
            when t.categories <> '' and t.subject = 'writing' then 'scored'
            when t.categories <> '' then 'partial'
            when t.subject = 'writing' and t.writing_score is null then 'not_attempted'
            else 'no_information'
        end as score_status,
        case
            when t.is_void then coalesce(t.reason, 'Y')
            else coalesce(t.writing_score, t.reason)
        end as status_code,
        t.scale_score, t.scale_score_low, t.scale_score_high, t.percentile, t.growth_percentile,
        t.level, t.benchmark, t.other_scores, t.categories, t.valid_to, t.valid_from, t.drop_id,
        t.line
    from ranked_tests t
    where t.recency = 1
    union all
    select
        b.district_id, b.result_id, b.edition, b.subject, b.objective_level, b.source_record_id,
        b.source_record_id_kind, b.match_field, b.match_value, b.state_school_code,
        b.state_school_name, b.assessment_code, b.assessment_name,
        cast(null as varchar) as admin_code,
        b.tested_at, b.sat_on, b.sat_on as year_on, b.grade,
        cast(null as varchar) as mode,
        'scored' as score_status,
        cast(null as varchar) as status_code,
        b.score as scale_score, b.score_low, b.score_high, b.percentile,
        cast(null as double precision) as growth_percentile,
        cast(null as varchar) as level,
        b.benchmark, b.other_scores,
        cast(null as varchar) as categories,
        b.valid_to, b.valid_from, b.drop_id, b.line
    from ranked_batteries b
    where b.recency = 1 and b.score is not null
),
dated as (
    select
        d.*,
        cast(extract(year from d.year_on + interval '6 months') as integer) as school_year,
        case
            when extract(month from d.year_on) between 8 and 11 then 'fall'
            when extract(month from d.year_on) in (12, 1, 2) then 'winter'
            when extract(month from d.year_on) between 3 and 5 then 'spring'
            when extract(month from d.year_on) in (6, 7) then 'summer'
        end as term,
        case
            when cast(d.grade as integer) between 1 and 12
                then lpad(cast(cast(d.grade as integer) as varchar), 2, '0')
        end as grade_tested,
        d.score_status = 'scored' as is_scored,
        d.score_status = 'scored' and d.valid_to is null as is_standing
    from results d
),
overall as (
    select
        o.*,
        o.is_standing and row_number() over (
            partition by
                o.district_id, o.match_value, o.assessment_code, o.subject, o.school_year, o.term
            order by
                o.is_standing desc, o.tested_at desc nulls last, o.valid_from desc, o.line desc,
                cast(o.source_record_id as varchar) collate "C"
        ) = 1 as is_primary
    from dated o
),
-- Of each result its own line, then one per reporting category.
lined as (
    select
        v.*,
        unnest(
            string_to_array(
                concat_ws(
                    chr(30),
                    'overall',
                    case
                        when v.score_status in ('scored', 'partial') then nullif(v.categories, '')
                    end
                ),
                chr(30)
            )
        ) as entry
    from overall v
),
entries as (
    select
        l.*,
        l.entry = 'overall' as is_overall,
        split_part(l.entry, chr(31), 1) as label,
        cast(nullif(split_part(l.entry, chr(31), 2), '') as double precision) as raw_score,
        cast(nullif(split_part(l.entry, chr(31), 3), '') as double precision) as points_possible,
        cast(nullif(split_part(l.entry, chr(31), 4), '') as double precision) as percent_correct,
        nullif(split_part(l.entry, chr(31), 5), '') as readiness_range
    from lined l
),
-- Files write the code of a category, or its name.
codes(label, code, name) as (
    values
        ('pow', 'POW', 'Production of Writing'),
        ('productionofwriting', 'POW', 'Production of Writing'),
        ('kla', 'KLA', 'Knowledge of Language'),
        ('knowledgeoflanguage', 'KLA', 'Knowledge of Language'),
        ('coe', 'COE', 'Conventions of Standard English'),
        ('conventionsofstandardenglish', 'COE', 'Conventions of Standard English'),
        ('kid', 'KID', 'Key Ideas and Details'),
        ('keyideasanddetails', 'KID', 'Key Ideas and Details'),
        ('cas', 'CAS', 'Craft and Structure'),
        ('craftandstructure', 'CAS', 'Craft and Structure'),
        ('iok', 'IOK', 'Integration of Knowledge and Ideas'),
        ('integrationofknowledgeandideas', 'IOK', 'Integration of Knowledge and Ideas'),
        ('iaa', 'IAA', 'Ideas and Analysis'),
        ('ideasandanalysis', 'IAA', 'Ideas and Analysis'),
        ('das', 'DAS', 'Development and Support'),
        ('developmentandsupport', 'DAS', 'Development and Support'),
        ('org', 'ORG', 'Organization'),
        ('organization', 'ORG', 'Organization'),
        ('luc', 'LUC', 'Language Use and Conventions'),
        ('languageuseandconventions', 'LUC', 'Language Use and Conventions'),
        ('iod', 'IOD', 'Interpretation of Data'),
        ('interpretationofdata', 'IOD', 'Interpretation of Data'),
        ('sin', 'SIN', 'Scientific Investigation'),
        ('scientificinvestigation', 'SIN', 'Scientific Investigation'),
        ('emi', 'EMI', 'Evaluation of Models, Inferences, and Experimental Results'),
        (
            'evaluationofmodelsinferencesandexperimentalresults', 'EMI',
            'Evaluation of Models, Inferences, and Experimental Results'
        ),
        ('glp', 'GLP', 'Grade Level Progress'),
        ('gradelevelprogress', 'GLP', 'Grade Level Progress'),
        ('ies', 'IES', 'Integrating Essential Skills'),
        ('integratingessentialskills', 'IES', 'Integrating Essential Skills'),
        ('je', 'JE', 'Justification and Explanation'),
        ('justificationandexplanation', 'JE', 'Justification and Explanation'),
        ('modeling', 'MODELING', 'Modeling'),
        ('glpnf', 'GLP_NF', 'Number and Operations - Fractions'),
        ('numberandoperationsfractions', 'GLP_NF', 'Number and Operations - Fractions'),
        ('glpnbt', 'GLP_NBT', 'Number and Operations in Base 10'),
        ('numberandoperationsinbase10', 'GLP_NBT', 'Number and Operations in Base 10'),
        ('glpns', 'GLP_NS', 'The Number System'),
        ('thenumbersystem', 'GLP_NS', 'The Number System'),
        ('glpn', 'GLP_N', 'Number and Quantity'),
        ('numberandquantity', 'GLP_N', 'Number and Quantity'),
        ('glpoa', 'GLP_OA', 'Operations and Algebraic Thinking'),
        ('operationsandalgebraicthinking', 'GLP_OA', 'Operations and Algebraic Thinking'),
        ('glpee', 'GLP_EE', 'Expressions & Equations'),
        ('expressionsequations', 'GLP_EE', 'Expressions & Equations'),
        ('glprp', 'GLP_RP', 'Ratios and Proportional Relationships'),
        ('ratiosandproportionalrelationships', 'GLP_RP', 'Ratios and Proportional Relationships'),
        ('glpa', 'GLP_A', 'Algebra'),
        ('algebra', 'GLP_A', 'Algebra'),
        ('glpf', 'GLP_F', 'Functions'),
        ('functions', 'GLP_F', 'Functions'),
        ('glpg', 'GLP_G', 'Geometry'),
        ('geometry', 'GLP_G', 'Geometry'),
        ('glpmd', 'GLP_MD', 'Measurement and Data'),
        ('measurementanddata', 'GLP_MD', 'Measurement and Data'),
        ('glps', 'GLP_S', 'Statistics and Probability'),
        ('statisticsandprobability', 'GLP_S', 'Statistics and Probability')
),
objectives as (
    select
        n.*,
        n.is_overall and n.is_scored as has_scores,
        coalesce(k.code, n.label) as objective_code,
        case when n.is_overall then n.assessment_name else coalesce(k.name, n.label) end
            as objective_name,
        row_number() over (
            partition by
                n.district_id, n.source_record_id, n.subject, coalesce(k.code, n.label)
            order by n.is_overall desc, n.raw_score desc nulls last
        ) as repetition
    from entries n
    left join codes k on k.label = regexp_replace(lower(n.label), '[^a-z0-9]', '', 'g')
)
select
    e.district_id,
    cast('act_aspire' as varchar) as source_system,
    e.edition,
    cast(e.source_record_id as varchar) as source_record_id,
    cast(e.source_record_id_kind as varchar) as source_record_id_kind,
    e.match_field,
    e.match_value,
    e.state_school_code as tested_school_code,
    e.state_school_name as tested_school_name,
    cast(null as varchar) as vendor_school_id,
    cast(e.assessment_code as varchar) as assessment_code,
    cast(e.assessment_name as varchar) as assessment_name,
    cast(e.subject as varchar) as subject,
    cast('none' as varchar) as course,
    cast(e.objective_code as varchar) as objective_code,
    cast(e.objective_name as varchar) as objective_name,
    cast(case when e.is_overall then e.objective_level else 'strand' end as varchar)
        as objective_level,
    e.school_year,
    cast(e.term as varchar) as term,
    cast(case when e.term is not null then 'derived' end as varchar) as term_source,
    cast(e.admin_code as varchar) as admin_code,
    e.sat_on as test_date,
    cast(null as timestamp) as completed_at,
    cast(e.grade_tested as varchar) as grade_tested,
    cast(null as varchar) as language,
    cast(e.mode as varchar) as mode,
    cast(null as integer) as attempt_no,
    cast(null as boolean) as is_retest,
    e.is_primary,
    cast('newest_reportable' as varchar) as primary_rule,
    cast(case when e.is_overall then e.score_status else 'scored' end as varchar) as score_status,
    cast(e.status_code as varchar) as status_code,
    case when e.has_scores then e.scale_score end as scale_score,
    cast(null as double precision) as scale_score_sem,
    case when e.has_scores then e.scale_score_low end as scale_score_low,
    case when e.has_scores then e.scale_score_high end as scale_score_high,
    e.raw_score,
    e.points_possible,
    e.percent_correct,
    case when e.has_scores then e.percentile end as percentile,
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
    case when e.has_scores then e.growth_percentile end as growth_percentile,
    cast(null as double precision) as growth_index,
    cast(case when e.has_scores then e.level end as varchar) as performance_level,
    case
        when not e.has_scores then null
        when upper(trim(e.level)) in ('N', 'IN NEED OF SUPPORT') then 1
        when upper(trim(e.level)) in ('C', 'CLOSE') then 2
        when upper(trim(e.level)) in ('R', 'READY') then 3
        when upper(trim(e.level)) in ('E', 'EXCEEDING') then 4
    end as performance_level_no,
    case when e.has_scores and e.level is not null then 4 end as performance_level_of,
    cast(
        case when e.has_scores and e.level is not null then 'vendor' end as varchar
    ) as level_source,
    case
        when e.has_scores and upper(trim(e.benchmark)) in ('Y', 'YES') then true
        when e.has_scores and upper(trim(e.benchmark)) in ('N', 'NO') then false
    end as is_proficient,
    cast(
        case
            when e.has_scores then e.other_scores
            when not e.is_overall
                then '{"readiness_range": ' || cast(to_json(e.readiness_range) as varchar) || '}'
        end as varchar
    ) as other_scores,
    e.valid_to is not null as is_deleted,
    e.valid_to as deleted_on,
    e.valid_from as delivered_on,
    e.drop_id,
    e.line
from objectives e
where e.repetition = 1
