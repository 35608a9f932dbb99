-- Who sees which districts, and what pseudonyms are made with. Every statement may run again.

create table if not exists ops.district_access (
    role_name varchar,
    district_id varchar,
    as_steward boolean
);

create table if not exists ops.pseudonym_salt (salt varchar);

comment on table ops.district_access is 'One row per role of PostgreSQL and district that its members see; DuckDB has no roles, and the table stays empty there.';
comment on column ops.district_access.role_name is 'Role of the database: a login, or a group of them.';
comment on column ops.district_access.district_id is 'District whose rows it sees; * is every district.';
comment on column ops.district_access.as_steward is 'True where it sees marts and histories of the district with all that identifies a person; false where it sees the de-identified views alone.';

comment on table ops.pseudonym_salt is 'One row: the secret of this installation with which the pseudonyms of the de-identified views are made. Nobody but the owner may read it; without it they cannot be made again.';
comment on column ops.pseudonym_salt.salt is 'Random, drawn when the warehouse was first prepared. A secret.';
