-- Every current organisation of type school is in marts.dim_school under the name it has there.
select o.district_id, o.sourced_id, o.name, s.school_name
from roster.current_orgs o
left join marts.dim_school s on s.district_id = o.district_id and s.school_id = o.sourced_id
where o.type = 'school' and s.school_name is distinct from o.name
