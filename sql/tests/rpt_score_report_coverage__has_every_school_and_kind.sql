-- Every school with students of today has a row in marts.rpt_score_report_coverage for every kind
-- of report that is listed for anybody, with as many students as it has, and as many of them with a
-- report as marts.fct_score_report has, also where these are none.
with kinds as (
    select distinct f.district_id, f.report_type, f.language, f.report_year
    from marts.fct_score_report f
    where f.is_listed
),
schools as (
    select s.district_id, coalesce(s.school_id, '') as school_id, count(*) as students
    from marts.dim_student s
    where s.is_current
    group by s.district_id, coalesce(s.school_id, '')
),
reported as (
    select
        r.district_id, coalesce(r.school_id, '') as school_id, r.report_type, r.language,
        r.report_year, count(distinct r.student_id) as students_with_report
    from marts.fct_score_report r
    where r.is_listed and r.is_current_student
    group by
        r.district_id, coalesce(r.school_id, ''), r.report_type, r.language, r.report_year
),
expected as (
    select
        k.district_id, s.school_id, k.report_type, k.language, k.report_year, s.students,
        coalesce(r.students_with_report, 0) as students_with_report
    from kinds k
    join schools s on s.district_id = k.district_id
    left join reported r
        on r.district_id = s.district_id and r.school_id = s.school_id
        and r.report_type = k.report_type and r.language = k.language
        and r.report_year = k.report_year
)
select
    coalesce(e.district_id, c.district_id) as district_id, e.school_id, e.report_type, e.language,
    e.report_year, c.students, c.students_with_report
from expected e
full join (
    select t.*, coalesce(t.school_id, '') as school
    from marts.rpt_score_report_coverage t
) c
    on c.district_id = e.district_id and c.school = e.school_id and c.report_type = e.report_type
    and c.language = e.language and c.report_year = e.report_year
where e.students is distinct from c.students
    or e.students_with_report is distinct from c.students_with_report
