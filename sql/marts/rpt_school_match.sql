-- One row per district, source and school of a vendor that lists its schools, or names them in
-- results: which school of the roster it is, and how many results wait until a person says so with
-- `edpipeline match-schools`. Sources that name schools as the roster does are not here.
-- Key: district_id, source, vendor_school_id
-- Fresh: The latest load of the source, and the latest decision of a person.
-- Caveats: Only sources that have schools of their own.
--
-- district_id: District that the row belongs to.
-- source: Source that has the school, such as star.
-- vendor_school_id: The vendor's identifier of the school.
-- vendor_school_name: Name of the school in the vendor's list, else in its latest result.
-- vendor_school_code: Code of the school in its latest result; null where results have none.
-- decision: matched, no_matching_school (a person said that the roster has none) or
--   school_not_matched (nobody said anything yet, or the school has left the roster altogether).
-- school_id: The school of the roster; null unless matched.
-- school_name: Its name there.
-- decided_by: Who decided; null where nobody did. [direct]
-- decided_at: When, in UTC.
-- last_seen_on: Delivery day of the last list or result that had the school.
-- result_count: Results of tests taken there, without counting their parts.
-- waiting_count: Of these, results that wait until the school is matched.
with tested as (
    select
        r.district_id, r.source_system, r.vendor_school_id, r.tested_school_name,
        r.tested_school_code, r.delivered_on,
        row_number() over (
            partition by r.district_id, r.source_system, r.vendor_school_id
            order by
                r.delivered_on desc, cast(r.tested_school_code as varchar) collate "C" nulls last,
                cast(r.tested_school_name as varchar) collate "C" nulls last
        ) as recency
    from assessments.results r
    where r.vendor_school_id <> '' and r.objective_code = 'overall'
),
named as (
    select
        district_id, source_system, vendor_school_id,
        max(case when recency = 1 then tested_school_name end) as vendor_school_name,
        max(case when recency = 1 then tested_school_code end) as vendor_school_code,
        max(delivered_on) as last_seen_on,
        count(*) as result_count
    from tested
    group by district_id, source_system, vendor_school_id
),
known as (
    select
        coalesce(v.district_id, n.district_id) as district_id,
        coalesce(v.source, n.source_system) as source,
        coalesce(v.vendor_school_id, n.vendor_school_id) as vendor_school_id,
        coalesce(v.vendor_school_name, n.vendor_school_name) as vendor_school_name,
        n.vendor_school_code,
        greatest(v.last_seen_on, n.last_seen_on) as last_seen_on,
        coalesce(n.result_count, 0) as result_count
    from ops.vendor_schools v
    full join named n
        on n.district_id = v.district_id and n.source_system = v.source
        and n.vendor_school_id = v.vendor_school_id
),
decided as (
    select
        k.*, s.school_id, s.school_name, m.decided_by, m.decided_at,
        case
            when s.school_id is not null then 'matched'
            when m.vendor_school_id is not null and m.school_id is null then 'no_matching_school'
            else 'school_not_matched'
        end as decision
    from known k
    left join ops.school_matches m
        on m.district_id = k.district_id and m.source = k.source
        and m.vendor_school_id = k.vendor_school_id
    left join marts.dim_school s on s.district_id = m.district_id and s.school_id = m.school_id
)
select
    d.district_id,
    d.source,
    d.vendor_school_id,
    d.vendor_school_name,
    d.vendor_school_code,
    d.decision,
    d.school_id,
    d.school_name,
    d.decided_by,
    d.decided_at,
    d.last_seen_on,
    d.result_count,
    case when d.decision = 'school_not_matched' then d.result_count else 0 end as waiting_count
from decided d
