-- One row per district, report that the state's service lists or has listed, and student of the
-- roster under whose Statewide Student Identifier (SSID) it is: which reports there are, never
-- their scores. Where nobody of the roster has the SSID, the report stands without a student.
-- Key: district_id, ssid, report_type, language, report_year, report_format, content_area,
--   student_id
-- Fresh: The latest survey of the service, once a day within its window; last_seen_at is the row's
--   own.
-- Caveats: That a report is listed does not say that its family has seen it. Links and documents
--   are never kept.
--
-- district_id: District that the row belongs to.
-- student_id: The student in the roster (sourcedId); null where nobody there has the SSID. [direct]
-- school_id: School the student belongs to now, or belonged to last.
-- school_name: Name of that school, where it is known.
-- is_current_student: True while the latest delivery of the roster has the student.
-- ssid: Statewide Student Identifier: ten digits, as text. [direct]
-- is_ssid_shared: True where several students of the roster have the SSID: the report stands with
--   each of them, and the SIS has to be corrected.
-- report_type: Kind of report: CAASPP, STS, CAST, CSA, CAAS, ESA, EIA, LEXQUAN, or one that is new;
--   CST is CAST.
-- report_name: The kind in words; null for one that is new.
-- type_given: The code or codes under which the service listed it, with | between.
-- language: Language of the report: EN, ES, VI, ZH, FL, or one that is new.
-- language_name: The language in words; null for one that is new.
-- report_year: Administration year, as given; 2018 is most likely that of 2017-18.
-- grade: Grade of the student in that administration: PK, KG, 01 to 12; null where it is none of
--   these. [indirect]
-- grade_given: The grade as the service gave it. [indirect]
-- report_format: Form of the report, such as PDF or HTML, where the service says it.
-- content_area: Subject of a report that is listed once for each, where the service says it.
-- has_link: Whether the service offered a link to the report. The link itself is never kept.
-- is_listed: True while the service lists the report. It keeps about three years: what is listed no
--   more is history, no error.
-- first_seen_at: When the service first listed it to us, in UTC.
-- last_seen_at: When it last did, in UTC.
-- no_longer_listed_at: When it had stopped, in UTC; null while it is listed.
-- configuration: Name of the configuration whose credentials it was seen with.
--
-- A report of an SSID that several students of today have stands with each of them, and with
-- students who left only where no student of today has it. So count `distinct student_id` for
-- students, and the key without it for reports.
with holders as (
    select
        i.*,
        bool_or(i.is_current) over (
            partition by i.district_id, i.match_field, i.match_value
        ) as has_current,
        count(*) over (
            partition by i.district_id, i.match_field, i.match_value, i.is_current
        ) as holder_count
    from marts.dim_student_identifier i
),
reports as (
    select
        c.*,
        regexp_replace(
            upper(trim(c.grade)), '^GRADE *|[.]0$|(ST|ND|RD|TH)( GRADE)?$', '', 'g'
        ) as grade_word
    from score_reports.current_catalog c
)
select
    r.district_id,
    h.student_id,
    s.school_id,
    s.school_name,
    coalesce(h.is_current, false) as is_current_student,
    r.ssid,
    coalesce(h.holder_count > 1, false) as is_ssid_shared,
    r.report_type,
    case r.report_type
        when 'CAASPP' then 'CAASPP: English language arts and mathematics'
        when 'STS' then 'Standards-based Tests in Spanish'
        when 'CAST' then 'California Science Test'
        when 'CSA' then 'California Spanish Assessment'
        when 'CAAS' then 'California Alternate Assessment for Science'
        when 'ESA' then 'ELPAC: Summative Assessment'
        when 'EIA' then 'ELPAC: Initial Assessment'
        when 'LEXQUAN' then 'CAASPP: Lexile and Quantile'
    end as report_name,
    r.type_given,
    r.language,
    case r.language
        when 'EN' then 'English'
        when 'ES' then 'Spanish'
        when 'VI' then 'Vietnamese'
        when 'ZH' then 'Mandarin'
        when 'FL' then 'Filipino'
    end as language_name,
    cast(r.report_year as integer) as report_year,
    case
        when r.grade_word in ('-1', 'PK', 'PREK', 'PRE-K') then 'PK'
        when r.grade_word in ('0', '00', 'K', 'KG', 'KN', 'KINDERGARTEN') then 'KG'
        when r.grade_word ~ '^(0?[1-9]|1[0-2])$' then lpad(r.grade_word, 2, '0')
    end as grade,
    r.grade as grade_given,
    r.report_format,
    r.content_area,
    r.has_link,
    r.no_longer_listed_at is null as is_listed,
    r.first_seen_at,
    r.last_seen_at,
    r.no_longer_listed_at,
    r.configuration
from reports r
left join holders h
    on h.district_id = r.district_id and h.match_field = r.match_field
    and h.match_value = r.ssid and (h.is_current or not h.has_current)
left join marts.dim_student s on s.district_id = h.district_id and s.student_id = h.student_id
