-- The current students of marts.dim_student are those of roster.current_users with that role; where
-- users have no role (OneRoster 1.2), those with a role student that has not ended.
select
    coalesce(r.district_id, s.district_id) as district_id,
    coalesce(r.sourced_id, s.student_id) as student_id,
    r.sourced_id is not null as in_roster,
    s.student_id is not null as in_mart
from (
    select distinct u.district_id, u.sourced_id
    from roster.current_users u
    left join roster.current_roles r
        on r.district_id = u.district_id and r.user_sourced_id = u.sourced_id
        and r.role = 'student'
    left join (
        select district_id, max(delivery_day) as last_day
        from ops.sync_files f
        where table_name like 'roster.%' and status <> 'kept'
        group by district_id
    ) d on d.district_id = u.district_id
    where coalesce(u.role, r.role) = 'student'
        and (u.role is not null or r.end_date is null or r.end_date > d.last_day)
) r
full join (
    select district_id, student_id from marts.dim_student m where is_current
) s on s.district_id = r.district_id and s.student_id = r.sourced_id
where r.sourced_id is null or s.student_id is null
