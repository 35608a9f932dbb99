-- One row per district and student, also those who left: their results stay. A student is whom
-- the roster gives the role student, in users or, from OneRoster 1.2 on, in roles. What stands in
-- a row is what the roster said last.
-- Key: district_id, student_id
-- Fresh: The latest roster delivery.
-- Caveats: No history: grade and school are the latest, also beside results of earlier years, which
--   have grade_tested. Those who left stay, with is_current false: ask for is_current to count
--   today's students.
--
-- district_id: District that the row belongs to.
-- student_id: Identifier of the student in the roster (sourcedId); leading zeros count. [direct]
-- is_current: True while the latest delivery has the student, in a role that has not ended.
-- first_seen_on: Delivery day that first listed the student.
-- last_seen_on: Last day on which the roster held the student; null while is_current.
-- is_enabled: False when the account is blocked; null where the delivery does not say.
-- school_id: School the student mainly belongs to: the primary organisation or role where there
--   is one, else the first school listed, else the one with most of the student's classes.
-- school_name: Name of that school, where it is known.
-- grade: First of grades, such as KG, 01 or 12. [indirect]
-- grades: All grade levels as delivered, separated by commas. [indirect]
-- username: Name the student signs in with. [direct]
-- identifier: Number people know the student by, such as the student number. [direct]
-- state_id: Number in the state's system, from the user ids: the last entry whose type is SSID,
--   SASID, SUID or reads like a state id (StateId, State_Student_ID). [direct]
-- user_ids: Identifiers in other systems as delivered, each as {Type:Id}. [direct]
-- email: E-mail address. [direct]
-- given_name: First name. [direct]
-- middle_name: Middle name or names. [direct]
-- family_name: Last name. [direct]
-- preferred_given_name: First name the student goes by. [direct]
-- preferred_family_name: Last name the student goes by. [direct]
-- birth_date: Date of birth. [indirect]
-- sex: Sex as recorded by the school. [indirect]
-- hispanic_or_latino_ethnicity: True if recorded as Hispanic or Latino. [indirect]
-- american_indian_or_alaska_native: True if recorded as American Indian or Alaska Native. [indirect]
-- asian: True if recorded as Asian. [indirect]
-- black_or_african_american: True if recorded as Black or African American. [indirect]
-- native_hawaiian_or_other_pacific_islander: True if recorded as Native Hawaiian or other Pacific
--   Islander. [indirect]
-- white: True if recorded as White. [indirect]
-- two_or_more_races: True if recorded under more than one race. [indirect]
with roster_day as (
    select district_id, max(delivery_day) as last_day
    from ops.sync_files f
    where table_name like 'roster.%' and status <> 'kept'
    group by district_id
),
student_roles as (
    select
        r.district_id, r.user_sourced_id,
        bool_or(
            r.valid_to is null and (r.end_date is null or r.end_date > d.last_day)
        ) as is_held,
        max(least(r.valid_to, r.end_date)) as ended_on
    from roster.roles r
    left join roster_day d on d.district_id = r.district_id
    where r.status <> 'tobedeleted' and r.role = 'student'
    group by r.district_id, r.user_sourced_id
),
versions as (
    select
        u.*,
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
    left join student_roles r
        on r.district_id = u.district_id and r.user_sourced_id = u.sourced_id
    where u.status <> 'tobedeleted'
        and (u.role = 'student' or (u.role is null and r.user_sourced_id is not null))
),
students as (
    select * from versions where recency = 1
),
candidates as (
    select district_id, sourced_id, primary_org_sourced_id as school_id, 0 as place
    from students
    where primary_org_sourced_id is not null
    union all
    select
        s.district_id, s.sourced_id, r.org_sourced_id,
        case when r.role_type = 'primary' then 1 else 2 end
    from students s
    join roster.roles r on r.district_id = s.district_id and r.user_sourced_id = s.sourced_id
    where r.role = 'student' and r.status <> 'tobedeleted'
        and (r.valid_to is null or not s.is_current)
    union all
    select
        district_id, sourced_id, school_id,
        2 + strpos(',' || org_sourced_ids || ',', ',' || school_id || ',')
    from (
        select
            district_id, sourced_id, org_sourced_ids,
            unnest(string_to_array(org_sourced_ids, ',')) as school_id
        from students
        where org_sourced_ids is not null
    ) listed
),
ranked as (
    select
        c.district_id, c.sourced_id, c.school_id,
        row_number() over (
            partition by c.district_id, c.sourced_id
            order by c.place, cast(c.school_id as varchar) collate "C"
        ) as choice
    from candidates c
    join marts.dim_school s on s.district_id = c.district_id and s.school_id = c.school_id
),
chosen as (
    select district_id, sourced_id, school_id from ranked where choice = 1
),
attended as (
    select
        s.district_id, s.sourced_id, c.school_sourced_id as school_id,
        row_number() over (
            partition by s.district_id, s.sourced_id
            order by count(*) desc, cast(c.school_sourced_id as varchar) collate "C"
        ) as choice
    from students s
    left join chosen x on x.district_id = s.district_id and x.sourced_id = s.sourced_id
    join roster.current_enrollments e
        on e.district_id = s.district_id and e.user_sourced_id = s.sourced_id
    join roster.current_classes c
        on c.district_id = e.district_id and c.sourced_id = e.class_sourced_id
    where x.school_id is null
    group by s.district_id, s.sourced_id, c.school_sourced_id
),
schools as (
    select district_id, sourced_id, school_id from chosen
    union all
    select district_id, sourced_id, school_id from attended where choice = 1
),
demographics as (
    select
        d.*,
        row_number() over (
            partition by d.district_id, d.sourced_id order by d.valid_from desc
        ) as recency
    from roster.demographics d
    where d.status <> 'tobedeleted'
)
select
    s.district_id,
    s.sourced_id as student_id,
    s.is_current,
    s.first_seen_on,
    case
        when not s.is_current then cast(s.left_on - interval '1 day' as date)
    end as last_seen_on,
    s.enabled_user as is_enabled,
    c.school_id,
    n.school_name,
    split_part(s.grades, ',', 1) as grade,
    s.grades,
    s.username,
    s.identifier,
    nullif(
        trim(nullif(regexp_replace(
            s.user_ids,
            '^.*\{ *(?:ssid|sasid|suid|[a-z]*state[ _-]?(?:student[ _-]?)?(?:id|identifier|number)) *:([^}]*)\}.*$',
            '\1',
            'i'
        ), s.user_ids)),
        ''
    ) as state_id,
    s.user_ids,
    s.email,
    s.given_name,
    s.middle_name,
    s.family_name,
    s.preferred_given_name,
    s.preferred_family_name,
    d.birth_date,
    d.sex,
    d.hispanic_or_latino_ethnicity,
    d.american_indian_or_alaska_native,
    d.asian,
    d.black_or_african_american,
    d.native_hawaiian_or_other_pacific_islander,
    d.white,
    d.demographic_race_two_or_more_races as two_or_more_races
from students s
left join schools c on c.district_id = s.district_id and c.sourced_id = s.sourced_id
left join marts.dim_school n on n.district_id = c.district_id and n.school_id = c.school_id
left join demographics d
    on d.district_id = s.district_id and d.sourced_id = s.sourced_id and d.recency = 1
