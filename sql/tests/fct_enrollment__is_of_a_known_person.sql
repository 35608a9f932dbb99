-- Every current enrollment of marts.fct_enrollment is of a current user; and whoever has the role
-- of a student or of staff there is a current row of marts.dim_student or marts.dim_staff.
-- (Families, and people without a role in OneRoster 1.2, are in neither.)
select e.district_id, e.enrollment_id, e.user_id
from marts.fct_enrollment e
left join roster.current_users u
    on u.district_id = e.district_id and u.sourced_id = e.user_id
left join (
    select distinct r.district_id, r.user_sourced_id
    from roster.current_roles r
    left join (
        select district_id, max(delivery_day) as last_day
        from ops.sync_files f
        where table_name like 'roster.%' and status <> 'kept'
        group by district_id
    ) d on d.district_id = r.district_id
    where r.role not in ('parent', 'guardian', 'relative')
        and (r.end_date is null or r.end_date > d.last_day)
) r on r.district_id = e.district_id and r.user_sourced_id = e.user_id
left join marts.dim_student s
    on s.district_id = e.district_id and s.student_id = e.user_id and s.is_current
left join marts.dim_staff t
    on t.district_id = e.district_id and t.staff_id = e.user_id and t.is_current
where e.is_current
    and (
        u.sourced_id is null
        or (
            s.student_id is null and t.staff_id is null
            and (
                u.role not in ('parent', 'guardian', 'relative')
                or (u.role is null and r.user_sourced_id is not null)
            )
        )
    )
