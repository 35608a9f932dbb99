-- Which rows were rejected lately, and what is to be fixed?
--
-- How to read it: one row per file, column and code, the most rows first; `what_to_fix` says it in
-- words, and docs/codes.md has every code. `first_line` is where to look in the file, the header
-- being line 1; `edpipeline report DROP` lists every row.
--
-- Caveats: of each delivery its latest sync. A row with two faults counts once under each. Fix the
-- source system, not the file: the next delivery would bring the fault again.
with asked as (
    select 'quillmere' as district_id, date '2026-08-01' as since
),
syncs as (
    select
        h.district_id, h.sync_id,
        row_number() over (
            partition by h.district_id, h.source, h.drop_id
            order by h.started_at desc, h.sync_id desc
        ) as recency
    from asked a
    join ops.sync_history h on h.district_id = a.district_id and h.delivery_day >= a.since
    where h.drop_id is not null
)
select
    r.source,
    r.delivery_day,
    r.file_name,
    r.column_name,
    r.code,
    count(distinct r.line) as row_count,
    min(r.line) as first_line,
    min(r.message) as what_to_fix
from syncs s
join ops.rejected_rows r on r.district_id = s.district_id and r.sync_id = s.sync_id
where s.recency = 1 and r.severity = 'error'
group by r.source, r.delivery_day, r.file_name, r.column_name, r.code
order by 6 desc, 1, 2, 3, 4, 5
