-- One row per district and school, whether it is open or has left the roster.
-- Key: district_id, school_id
-- Fresh: The latest roster delivery, and the districts file.
-- Caveats: A school that nobody names has its identifier alone (name_source). A row is never taken
--   away.
--
-- district_id: District that the row belongs to.
-- school_id: Identifier of the school in the roster; leading zeros count.
-- school_name: Name of the school; null where only its identifier is known.
-- name_source: Where the name came from: orgs (the delivery), districts file, or ids only (the
--   identifier stands in users, roles, classes or enrollments and nobody names it).
-- org_type: Kind of organisation as delivered, in nearly every case school; null without orgs.
-- school_number: Public number of the school, such as its state or NCES code; null without orgs.
-- parent_org_id: Organisation that the school belongs to, such as the district; null without orgs.
-- is_current: True while the latest delivery or the districts file has the school.
with orgs as (
    select
        district_id, sourced_id, name, type, identifier, parent_sourced_id,
        valid_to is null as is_current,
        row_number() over (
            partition by district_id, sourced_id order by valid_from desc
        ) as recency
    from roster.orgs o
    where status <> 'tobedeleted'
),
latest as (
    select * from orgs where recency = 1
),
configured as (
    select district_id, school_id, max(name) as name
    from ops.configured_schools s
    group by district_id, school_id
),
org_lists as (
    select
        district_id, org_sourced_ids,
        bool_or(valid_to is null and status <> 'tobedeleted') as is_current
    from roster.users u
    where org_sourced_ids is not null
    group by district_id, org_sourced_ids
),
mentions as (
    select
        district_id, unnest(string_to_array(org_sourced_ids, ',')) as school_id,
        is_current, false as has_classes
    from org_lists
    union all
    select
        district_id, org_sourced_id, bool_or(valid_to is null and status <> 'tobedeleted'), false
    from roster.roles r
    group by district_id, org_sourced_id
    union all
    select
        district_id, school_sourced_id, bool_or(valid_to is null and status <> 'tobedeleted'), true
    from roster.classes c
    group by district_id, school_sourced_id
    union all
    select
        district_id, school_sourced_id, bool_or(valid_to is null and status <> 'tobedeleted'), true
    from roster.enrollments e
    where school_sourced_id is not null
    group by district_id, school_sourced_id
),
mentioned as (
    select
        district_id, school_id,
        bool_or(is_current) as is_current, bool_or(has_classes) as has_classes
    from mentions
    group by district_id, school_id
),
ids as (
    select district_id, sourced_id as school_id from latest where type = 'school'
    union
    select district_id, school_id from configured
    union
    select district_id, school_id from mentioned
)
select
    i.district_id,
    i.school_id,
    coalesce(o.name, c.name) as school_name,
    case
        when o.name is not null then 'orgs'
        when c.name is not null then 'districts file'
        else 'ids only'
    end as name_source,
    o.type as org_type,
    o.identifier as school_number,
    o.parent_sourced_id as parent_org_id,
    case
        when o.sourced_id is not null then o.is_current
        when c.school_id is not null then true
        else coalesce(m.is_current, false)
    end as is_current
from ids i
left join latest o on o.district_id = i.district_id and o.sourced_id = i.school_id
left join configured c on c.district_id = i.district_id and c.school_id = i.school_id
left join mentioned m on m.district_id = i.district_id and m.school_id = i.school_id
where o.sourced_id is null or o.type = 'school' or m.has_classes
