-- Did the results of each upload and pull find their students?
--
-- How to read it: one row per drop, the newest first. `matched_percent` is of the results whose
-- school is known; `waiting_for_school` are the others, and `edpipeline match-schools` lets them
-- through. Where `better_field` is not null, more ids of the file would have matched by it: upload
-- the file again with that field.
--
-- Caveats: only results that count now. Of a drop that later ones have replaced altogether,
-- `results` is 0 and there is no rate. A low rate in fall mostly means that the roster is not
-- complete yet; it heals by itself with the next one.
with asked as (
    select 'quillmere' as district_id, date '2026-08-01' as since
)
select
    u.source,
    u.delivery_day,
    u.drop_id,
    u.status,
    u.rows_read,
    u.rows_rejected,
    u.result_count as results,
    cast(round(cast(100 * u.match_rate as numeric(12, 6))) as integer) as matched_percent,
    u.schoolless_count as waiting_for_school,
    u.match_field,
    u.best_match_field as better_field
from asked a
join marts.rpt_upload_quality u on u.district_id = a.district_id and u.delivery_day >= a.since
order by u.delivery_day desc, 1, 3
