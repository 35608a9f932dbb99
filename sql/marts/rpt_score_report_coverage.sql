-- One row per district, school with students of today, and kind of score report (type, language and
-- year) that the service lists for anybody of the district: for how many students of the school it
-- does. A school without any has a row with 0.
-- Key: district_id, school_id, report_type, language, report_year
-- Fresh: The latest survey of the service, and the latest roster delivery.
-- Caveats: A share is of the students whom the service answered about, not of all.
--
-- district_id: District that the row belongs to.
-- school_id: The school; null for the students of whom the roster says none.
-- school_name: Name of the school, where it is known.
-- report_type: Kind of report: CAASPP, STS, CAST, CSA, CAAS, ESA, EIA, LEXQUAN, or one that is new.
-- report_name: The kind in words; null for one that is new.
-- language: Language of the report: EN, ES, VI, ZH, FL, or one that is new.
-- language_name: The language in words; null for one that is new.
-- report_year: Administration year, as given.
-- students: Students who belong to the school today.
-- students_with_ssid: Those of them with an SSID of ten digits in the roster.
-- students_answered: Those of whom the service's last answer said which reports there are; the
--   others are in marts.rpt_score_report_open.
-- students_with_report: Students of the school with a listed report of this kind, also where it is
--   an earlier answer that listed it.
-- answered_with_report: Those of students_answered with one.
-- share_of_answered: answered_with_report / students_answered, from 0 to 1; null where nobody was
--   answered.
--
-- No kind of report is for every student: grade, language at home and program decide who is tested.
-- Compare schools and years of one kind; a share says nothing against a number of one's own.
with schools as (
    select
        s.district_id, s.school_id, s.school_name,
        count(*) as students,
        count(*) filter (
            where o.student_id is null or o.outcome not in ('skipped_no_ssid', 'skipped_bad_ssid')
        ) as students_with_ssid,
        count(*) filter (where o.student_id is null) as students_answered
    from marts.dim_student s
    left join marts.rpt_score_report_open o
        on o.district_id = s.district_id and o.student_id = s.student_id
    where s.is_current
    group by s.district_id, s.school_id, s.school_name
),
kinds as (
    select distinct
        f.district_id, f.report_type, f.report_name, f.language, f.language_name, f.report_year
    from marts.fct_score_report f
    where f.is_listed
),
students_of_kind as (
    -- A student may have a kind in several forms, and under each subject.
    select distinct
        r.district_id, r.school_id, r.student_id, r.report_type, r.language, r.report_year
    from marts.fct_score_report r
    where r.is_listed and r.is_current_student
),
counted as (
    select
        k.district_id, k.school_id, k.report_type, k.language, k.report_year,
        count(*) as students_with_report,
        count(*) filter (where w.student_id is null) as answered_with_report
    from students_of_kind k
    left join marts.rpt_score_report_open w
        on w.district_id = k.district_id and w.student_id = k.student_id
    group by k.district_id, k.school_id, k.report_type, k.language, k.report_year
)
select
    s.district_id,
    s.school_id,
    s.school_name,
    k.report_type,
    k.report_name,
    k.language,
    k.language_name,
    k.report_year,
    s.students,
    s.students_with_ssid,
    s.students_answered,
    coalesce(c.students_with_report, 0) as students_with_report,
    coalesce(c.answered_with_report, 0) as answered_with_report,
    cast(coalesce(c.answered_with_report, 0) as double precision)
        / nullif(s.students_answered, 0) as share_of_answered
from schools s
join kinds k on k.district_id = s.district_id
left join counted c
    on c.district_id = s.district_id and coalesce(c.school_id, '') = coalesce(s.school_id, '')
    and c.report_type = k.report_type and c.language = k.language
    and c.report_year = k.report_year
