-- Every enrollment that holds in roster.enrollments names a person that holds in roster.users.
select e.district_id, e.sourced_id, e.user_sourced_id
from roster.enrollments e
left join roster.users u
    on u.district_id = e.district_id and u.sourced_id = e.user_sourced_id and u.valid_to is null
where e.valid_to is null and u.sourced_id is null
