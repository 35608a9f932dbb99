-- The districts of whoever asks. Views and policies ask it, so that it says it in one place. Those
-- who may do as the owner of the tables does see every district.
create or replace view ops.my_districts with (security_barrier) as
select a.district_id, a.as_steward
from ops.district_access a
join pg_catalog.pg_roles r on r.rolname = a.role_name
where pg_catalog.pg_has_role(r.oid, 'usage')
union all
select '*', true
from pg_catalog.pg_class c
where c.oid = 'ops.district_access'::regclass and pg_catalog.pg_has_role(c.relowner, 'usage');

comment on view ops.my_districts is 'One row per district that whoever asks sees, and way in which; * is every district.';
comment on column ops.my_districts.district_id is 'District, or * for all of them.';
comment on column ops.my_districts.as_steward is 'True where marts and histories are seen, false where the de-identified views alone.';
