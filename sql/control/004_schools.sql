-- Schools of vendors, and which school of the roster each is. Every statement may run again.

create table if not exists ops.vendor_schools (
    district_id varchar,
    source varchar,
    vendor_school_id varchar,
    vendor_school_name varchar,
    state_id varchar,
    identifier varchar,
    sourced_id varchar,
    last_seen_on date
);

create table if not exists ops.school_matches (
    district_id varchar,
    source varchar,
    vendor_school_id varchar,
    school_id varchar,
    decided_by varchar,
    decided_at timestamp
);

comment on table ops.vendor_schools is 'One row per district, source and school that the vendor lists.';
comment on column ops.vendor_schools.district_id is 'District whose school the vendor lists.';
comment on column ops.vendor_schools.source is 'System that lists it.';
comment on column ops.vendor_schools.vendor_school_id is 'Identifier by which the results of that system name the school.';
comment on column ops.vendor_schools.vendor_school_name is 'Name of the school there.';
comment on column ops.vendor_schools.state_id is 'Number that the state gave the school, where the vendor has it.';
comment on column ops.vendor_schools.identifier is 'Identifier that the district gave the school there, where the vendor has it.';
comment on column ops.vendor_schools.sourced_id is 'Identifier of the school in the roster that the vendor was given, where it has it.';
comment on column ops.vendor_schools.last_seen_on is 'Delivery day of the last list that had the school.';

comment on table ops.school_matches is 'One row per district, source and school of the vendor of which a person said what it is in the roster: the latest decision.';
comment on column ops.school_matches.district_id is 'District of the school.';
comment on column ops.school_matches.source is 'System that has the school.';
comment on column ops.school_matches.vendor_school_id is 'Identifier of the school there.';
comment on column ops.school_matches.school_id is 'Identifier of the school in the roster; null where it has no such school.';
comment on column ops.school_matches.decided_by is 'Who decided.';
comment on column ops.school_matches.decided_at is 'When, in UTC.';
