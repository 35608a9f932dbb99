-- One row per district and source: how its syncs are doing.
-- Key: district_id, source
-- Fresh: The day computed_on; counts of the last 30 days are as of then.
-- Caveats: It does not age by itself: where nothing was loaded since, days_since_last_load is too
--   small.
--
-- district_id: District that the row belongs to.
-- source: System that the data comes from.
-- last_delivery_day: Latest delivery day in the history, whatever became of it.
-- last_status: What became of that day: loaded, loaded_with_errors, removals_held,
--   awaiting_approval, refused, missed or failed.
-- last_sync_at: When that sync ended, in UTC.
-- message: What happened and what to do about it; null where all went well.
-- last_loaded_day: Latest delivery day that the tables hold.
-- days_since_last_load: Days from last_loaded_day to computed_on.
-- waits_for_approval: True where a person must decide: a first sync, or held removals.
-- held_changes: Changes that wait for that decision.
-- files_kept: Files of the last sync that could not be used: their tables stayed as they were.
-- rows_read: Rows of the last sync's files.
-- rows_rejected: Rows of them that were rejected.
-- rejected_share: rows_rejected / rows_read, from 0 to 1; null where nothing was read.
-- days_loaded_30: Delivery days of the last 30 that were loaded.
-- days_refused_30: Delivery days of the last 30 that were refused or failed.
-- days_missed_30: Delivery days of the last 30 on which nothing came.
-- computed_on: Day on which this row was computed, in UTC; the last 30 days are counted back from
--   it.
with attempts as (
    select
        district_id, source, delivery_day, sync_id, completed_at, status, message,
        row_number() over (
            partition by district_id, source, delivery_day
            order by started_at desc nulls last, sync_id desc
        ) as recency
    from ops.sync_history h
    where delivery_day is not null
),
days as (
    select
        district_id, source, delivery_day, sync_id, completed_at, status, message,
        status in ('loaded', 'loaded_with_errors', 'removals_held') as is_loaded,
        delivery_day > current_date - 30 as is_recent,
        row_number() over (partition by district_id, source order by delivery_day desc) as recency
    from attempts
    where recency = 1
),
totals as (
    select
        district_id, source,
        max(case when is_loaded then delivery_day end) as last_loaded_day,
        count(*) filter (where is_recent and is_loaded) as days_loaded_30,
        count(*) filter (where is_recent and status in ('refused', 'failed')) as days_refused_30,
        count(*) filter (where is_recent and status = 'missed') as days_missed_30
    from days
    group by district_id, source
),
files as (
    select
        district_id, sync_id,
        cast(sum(rows_read) as bigint) as rows_read,
        cast(sum(rows_rejected) as bigint) as rows_rejected,
        count(*) filter (where status = 'kept') as files_kept
    from ops.sync_files f
    group by district_id, sync_id
),
held as (
    select district_id, source, count(*) as held_changes
    from ops.held_changes c
    group by district_id, source
)
select
    d.district_id,
    d.source,
    d.delivery_day as last_delivery_day,
    d.status as last_status,
    d.completed_at as last_sync_at,
    nullif(d.message, '') as message,
    t.last_loaded_day,
    cast(current_date - t.last_loaded_day as integer) as days_since_last_load,
    d.status in ('awaiting_approval', 'removals_held') as waits_for_approval,
    coalesce(h.held_changes, 0) as held_changes,
    coalesce(f.files_kept, 0) as files_kept,
    coalesce(f.rows_read, 0) as rows_read,
    coalesce(f.rows_rejected, 0) as rows_rejected,
    cast(f.rows_rejected as double precision) / nullif(f.rows_read, 0) as rejected_share,
    t.days_loaded_30,
    t.days_refused_30,
    t.days_missed_30,
    current_date as computed_on
from days d
join totals t on t.district_id = d.district_id and t.source = d.source
left join files f on f.district_id = d.district_id and f.sync_id = d.sync_id
left join held h on h.district_id = d.district_id and h.source = d.source
where d.recency = 1
