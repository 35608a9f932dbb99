-- The current classes of marts.dim_class are those of roster.current_classes.
select
    coalesce(r.district_id, c.district_id) as district_id,
    coalesce(r.sourced_id, c.class_id) as class_id,
    r.sourced_id is not null as in_roster,
    c.class_id is not null as in_mart
from (select district_id, sourced_id from roster.current_classes k) r
full join (select district_id, class_id from marts.dim_class m where is_current) c
    on c.district_id = r.district_id and c.class_id = r.sourced_id
where r.sourced_id is null or c.class_id is null
