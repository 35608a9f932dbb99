-- Which text of a mart the table in the warehouse was made for. Every statement may run again.

create table if not exists ops.mart_versions (mart varchar, fingerprint varchar);

comment on table ops.mart_versions is 'One row per mart: the SQL file, as a hash, by which its table was last made or altered.';
