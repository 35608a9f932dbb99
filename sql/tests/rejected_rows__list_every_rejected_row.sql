-- As many rows as the latest sync of a day counts as rejected are listed in ops.rejected_rows, by
-- their line. Files that were not used as a whole (kept) have one finding instead.
select f.district_id, f.sync_id, f.file_name, f.rows_rejected, coalesce(r.lines, 0) as listed
from ops.sync_files f
join (
    select
        sync_id,
        row_number() over (
            partition by district_id, source, delivery_day
            order by started_at desc nulls last, sync_id desc
        ) as recency
    from ops.sync_history h
) latest on latest.sync_id = f.sync_id and latest.recency = 1
left join (
    select sync_id, file_name, count(distinct line) as lines
    from ops.rejected_rows x
    where severity = 'error' and line is not null
    group by sync_id, file_name
) r on r.sync_id = f.sync_id and r.file_name = f.file_name
where f.status <> 'kept' and f.rows_rejected <> coalesce(r.lines, 0)
