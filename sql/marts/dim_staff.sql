-- One row per district and member of staff, also those who left. Staff is everybody with a role
-- other than student, parent, guardian or relative, in users or, from OneRoster 1.2 on, in roles.
-- What stands in a row is what the roster said last.
-- Key: district_id, staff_id
-- Fresh: The latest roster delivery.
-- Caveats: No history: schools and roles are the latest. Those who left stay, with is_current
--   false.
--
-- district_id: District that the row belongs to.
-- staff_id: Identifier of the person in the roster (sourcedId); leading zeros count. [direct]
-- is_current: True while the latest delivery has the person, in a role that has not ended.
-- first_seen_on: Delivery day that first listed the person.
-- last_seen_on: Last day on which the roster held the person; null while is_current.
-- is_enabled: False when the account is blocked; null where the delivery does not say.
-- roles: Roles of the person in alphabetical order, separated by commas, such as aide,teacher.
-- is_teacher: True where teacher is one of the roles.
-- school_id: School the person mainly belongs to: the primary organisation or role where there is
--   one, else the first school listed; null for staff of the district's office.
-- school_name: Name of that school, where it is known.
-- username: Name the person signs in with. [direct]
-- identifier: Number people know the person by, such as the staff number. [direct]
-- email: E-mail address. [direct]
-- given_name: First name. [direct]
-- middle_name: Middle name or names. [direct]
-- family_name: Last name. [direct]
-- preferred_given_name: First name the person goes by. [direct]
-- preferred_family_name: Last name the person goes by. [direct]
with roster_day as (
    select district_id, max(delivery_day) as last_day
    from ops.sync_files f
    where table_name like 'roster.%' and status <> 'kept'
    group by district_id
),
role_versions as (
    select
        r.district_id, r.user_sourced_id, r.role,
        r.valid_to is null and (r.end_date is null or r.end_date > d.last_day) as is_held,
        least(r.valid_to, r.end_date) as ended_on
    from roster.roles r
    left join roster_day d on d.district_id = r.district_id
    where r.status <> 'tobedeleted'
        and r.role not in ('student', 'parent', 'guardian', 'relative')
),
staff_roles as (
    select
        district_id, user_sourced_id,
        bool_or(is_held) as is_held,
        max(ended_on) as ended_on,
        string_agg(distinct role, ',' order by role) as past_roles,
        string_agg(distinct case when is_held then role end, ',' order by case when is_held then role end)
            as held_roles
    from role_versions
    group by district_id, user_sourced_id
),
versions as (
    select
        u.*,
        coalesce(u.role, r.held_roles, r.past_roles) as roles,
        u.valid_to is null and (u.role is not null or coalesce(r.is_held, false)) as is_current,
        case
            when u.role is not null or r.is_held then u.valid_to
            else least(u.valid_to, r.ended_on)
        end as left_on,
        min(u.valid_from) over (partition by u.district_id, u.sourced_id) as first_seen_on,
        row_number() over (
            partition by u.district_id, u.sourced_id order by u.valid_from desc
        ) as recency
    from roster.users u
    left join staff_roles r on r.district_id = u.district_id and r.user_sourced_id = u.sourced_id
    where u.status <> 'tobedeleted'
        and (
            u.role not in ('student', 'parent', 'guardian', 'relative')
            or (u.role is null and r.user_sourced_id is not null)
        )
),
staff as (
    select * from versions where recency = 1
),
candidates as (
    select district_id, sourced_id, primary_org_sourced_id as school_id, 0 as place
    from staff
    where primary_org_sourced_id is not null
    union all
    select
        s.district_id, s.sourced_id, r.org_sourced_id,
        case when r.role_type = 'primary' then 1 else 2 end
    from staff s
    join roster.roles r on r.district_id = s.district_id and r.user_sourced_id = s.sourced_id
    where r.role not in ('student', 'parent', 'guardian', 'relative')
        and r.status <> 'tobedeleted' and (r.valid_to is null or not s.is_current)
    union all
    select
        district_id, sourced_id, school_id,
        2 + strpos(',' || org_sourced_ids || ',', ',' || school_id || ',')
    from (
        select
            district_id, sourced_id, org_sourced_ids,
            unnest(string_to_array(org_sourced_ids, ',')) as school_id
        from staff
        where org_sourced_ids is not null
    ) listed
),
ranked as (
    select
        c.district_id, c.sourced_id, c.school_id, s.school_name,
        row_number() over (
            partition by c.district_id, c.sourced_id
            order by c.place, cast(c.school_id as varchar) collate "C"
        ) as choice
    from candidates c
    join marts.dim_school s on s.district_id = c.district_id and s.school_id = c.school_id
)
select
    s.district_id,
    s.sourced_id as staff_id,
    s.is_current,
    s.first_seen_on,
    case
        when not s.is_current then cast(s.left_on - interval '1 day' as date)
    end as last_seen_on,
    s.enabled_user as is_enabled,
    s.roles,
    ',' || s.roles || ',' like '%,teacher,%' as is_teacher,
    c.school_id,
    c.school_name,
    s.username,
    s.identifier,
    s.email,
    s.given_name,
    s.middle_name,
    s.family_name,
    s.preferred_given_name,
    s.preferred_family_name
from staff s
left join ranked c
    on c.district_id = s.district_id and c.sourced_id = s.sourced_id and c.choice = 1
