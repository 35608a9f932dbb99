-- Every report of score_reports.catalog is in marts.fct_score_report as it came, and nothing else
-- is: once for each student of today with its SSID, else for each who left, else once without a
-- student.
with holders as (
    select
        i.district_id, i.match_field, i.match_value,
        count(*) as everybody,
        count(*) filter (where i.is_current) as of_today
    from marts.dim_student_identifier i
    group by i.district_id, i.match_field, i.match_value
),
expected as (
    select
        c.district_id, c.ssid, c.report_type, c.language, c.report_year,
        coalesce(c.report_format, '') as report_format,
        coalesce(c.content_area, '') as content_area,
        case when h.of_today > 0 then h.of_today else coalesce(h.everybody, 1) end as copies,
        c.first_seen_at, c.last_seen_at, c.no_longer_listed_at
    from score_reports.current_catalog c
    left join holders h
        on h.district_id = c.district_id and h.match_field = c.match_field
        and h.match_value = c.ssid
),
found as (
    select
        f.district_id, f.ssid, f.report_type, f.language, f.report_year,
        coalesce(f.report_format, '') as report_format,
        coalesce(f.content_area, '') as content_area,
        count(*) as copies,
        min(f.first_seen_at) as first_seen_at,
        max(f.last_seen_at) as last_seen_at,
        max(f.no_longer_listed_at) as no_longer_listed_at,
        bool_or(f.is_listed) as is_listed
    from marts.fct_score_report f
    group by
        f.district_id, f.ssid, f.report_type, f.language, f.report_year,
        coalesce(f.report_format, ''), coalesce(f.content_area, '')
)
select
    coalesce(e.district_id, f.district_id) as district_id, e.report_type, e.report_year,
    f.report_type as found_type, f.report_year as found_year, e.copies, f.copies as found_copies
from expected e
full join found f
    on f.district_id = e.district_id and f.ssid = e.ssid and f.report_type = e.report_type
    and f.language = e.language and f.report_year = e.report_year
    and f.report_format = e.report_format and f.content_area = e.content_area
where e.copies is distinct from f.copies
    or e.first_seen_at is distinct from f.first_seen_at
    or e.last_seen_at is distinct from f.last_seen_at
    or e.no_longer_listed_at is distinct from f.no_longer_listed_at
    or f.is_listed <> (f.no_longer_listed_at is null)
