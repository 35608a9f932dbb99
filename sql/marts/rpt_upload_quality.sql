-- One row per district, source and uploaded drop: what became of its rows, and how many of the
-- results that count now found their student.
-- Key: district_id, source, drop_id
-- Fresh: The latest load of results, of school matches or of the roster.
-- Caveats: Counts results that count now: of a drop that later ones have replaced, none. A rate is
--   of results, not of students.
--
-- district_id: District that the row belongs to.
-- source: Source that was uploaded.
-- drop_id: The drop.
-- delivery_day: Day on which it was last delivered.
-- completed_at: When it was last loaded, in UTC.
-- status: What became of it; see rpt_sync_health.
-- edition: Layout that it was read as.
-- rows_read: Rows of its files.
-- rows_accepted: Rows that were used.
-- rows_rejected: Rows that were not; ops.rejected_rows lists each.
-- result_count: Results of this drop that count now; later drops may have taken its place.
-- schoolless_count: Of these, results whose school is not matched, or has none that matches,
--   whoever their student is.
-- matched_count: Of the others, results whose student is in the roster.
-- match_rate: Their share of the others, 0 to 1; null where there are none.
-- match_field: Field of the roster that was compared.
-- best_match_field: Field that would have matched more of its ids, when it was loaded; else null.
-- is_poorly_matched: True where match_rate is less than half.
with syncs as (
    select
        h.*,
        row_number() over (
            partition by h.district_id, h.source, h.drop_id order by h.sync_id desc
        ) as recency
    from ops.sync_history h
    where h.drop_id is not null
),
files as (
    select
        f.district_id, f.sync_id,
        cast(sum(f.rows_read) as bigint) as rows_read,
        cast(sum(f.rows_accepted) as bigint) as rows_accepted,
        cast(sum(f.rows_rejected) as bigint) as rows_rejected
    from ops.sync_files f
    where f.table_name like 'assessments.%'
    group by f.district_id, f.sync_id
),
-- Not from assessments.results: the marts below have computed it already.
results as (
    select
        r.district_id, r.source_system, r.drop_id, r.match_field, 1 as matched, 0 as schoolless
    from marts.fct_assessment_result r
    where r.objective_code = 'overall'
    union all
    select
        u.district_id, u.source_system, u.drop_id, u.match_field, 0,
        case when u.reject_reason in ('school_not_matched', 'no_matching_school') then 1 else 0 end
    from marts.rpt_unmatched_result u
),
counted as (
    select
        district_id, source_system, drop_id,
        min(match_field) as match_field,
        count(*) as result_count,
        cast(sum(schoolless) as bigint) as schoolless_count,
        cast(sum(matched) as bigint) as matched_count
    from results
    group by district_id, source_system, drop_id
),
rates as (
    select
        m.district_id, m.sync_id, m.match_field, m.is_chosen, m.matched_count,
        row_number() over (
            partition by m.district_id, m.sync_id
            order by m.matched_count desc, m.is_chosen desc, m.match_field
        ) as place
    from ops.match_rates m
)
select
    h.district_id,
    h.source,
    h.drop_id,
    h.delivery_day,
    h.completed_at,
    h.status,
    h.edition,
    f.rows_read,
    f.rows_accepted,
    f.rows_rejected,
    coalesce(c.result_count, 0) as result_count,
    coalesce(c.schoolless_count, 0) as schoolless_count,
    coalesce(c.matched_count, 0) as matched_count,
    cast(c.matched_count as double precision) / nullif(c.result_count - c.schoolless_count, 0)
        as match_rate,
    c.match_field,
    case when not m.is_chosen and m.matched_count > 0 then m.match_field end as best_match_field,
    coalesce(2 * c.matched_count < c.result_count - c.schoolless_count, false) as is_poorly_matched
from syncs h
join files f on f.district_id = h.district_id and f.sync_id = h.sync_id
left join counted c
    on c.district_id = h.district_id and c.source_system = h.source and c.drop_id = h.drop_id
left join rates m
    on m.district_id = h.district_id and m.sync_id = h.sync_id and m.place = 1
where h.recency = 1
