-- In every sync report, rows read are accepted or rejected; accepted ones are added, changed,
-- unchanged or a copy, unless the file was not used (kept).
select
    district_id, sync_id, table_name, rows_read, rows_accepted, rows_rejected, rows_added,
    rows_changed, rows_unchanged, rows_duplicate
from ops.sync_files f
where rows_read <> rows_accepted + rows_rejected
    or (
        status <> 'kept'
        and rows_accepted <> rows_added + rows_changed + rows_unchanged + rows_duplicate
    )
    or least(rows_read, rows_accepted, rows_rejected, rows_added, rows_changed) < 0
    or least(rows_unchanged, rows_duplicate, rows_removed, rows_held) < 0
