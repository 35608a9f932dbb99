-- Current enrollments of marts.fct_enrollment are those of roster.current_enrollments whose person
-- and class are current too; as many in each district.
select
    coalesce(r.district_id, m.district_id) as district_id,
    coalesce(r.rows_there, 0) as in_roster,
    coalesce(m.rows_there, 0) as in_mart
from (
    select e.district_id, count(*) as rows_there
    from roster.current_enrollments e
    join roster.current_users u
        on u.district_id = e.district_id and u.sourced_id = e.user_sourced_id
    join roster.current_classes c
        on c.district_id = e.district_id and c.sourced_id = e.class_sourced_id
    group by e.district_id
) r
full join (
    select district_id, count(*) as rows_there
    from marts.fct_enrollment f
    where is_current
    group by district_id
) m on m.district_id = r.district_id
where coalesce(r.rows_there, 0) <> coalesce(m.rows_there, 0)
