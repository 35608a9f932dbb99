-- Every enrollment that holds in roster.enrollments names a class that holds in roster.classes.
select e.district_id, e.sourced_id, e.class_sourced_id
from roster.enrollments e
left join roster.classes c
    on c.district_id = e.district_id and c.sourced_id = e.class_sourced_id and c.valid_to is null
where e.valid_to is null and c.sourced_id is null
