-- Operations: what came, what was decided, what was left out. Every statement may run again.

create table if not exists ops.schema_version (fingerprint varchar);

create table if not exists ops.sync_history (
    sync_id varchar,
    district_id varchar,
    source varchar,
    delivery_day date,
    drop_id varchar,
    started_at timestamp,
    completed_at timestamp,
    status varchar,
    edition varchar,
    mode varchar,
    origin varchar,
    replay_of varchar,
    message varchar
);

create table if not exists ops.sync_files (
    sync_id varchar,
    position integer,
    district_id varchar,
    source varchar,
    delivery_day date,
    drop_id varchar,
    table_name varchar,
    file_name varchar,
    status varchar,
    dialect varchar,
    same_bytes_as_before boolean,
    ends_with_line_end boolean,
    rows_read bigint,
    rows_accepted bigint,
    rows_rejected bigint,
    rows_added bigint,
    rows_changed bigint,
    rows_unchanged bigint,
    rows_duplicate bigint,
    rows_removed bigint,
    rows_held bigint,
    rejected_by_code varchar,
    warnings_by_code varchar,
    sha256 varchar
);

create table if not exists ops.rejected_rows (
    sync_id varchar,
    district_id varchar,
    source varchar,
    delivery_day date,
    drop_id varchar,
    file_name varchar,
    line bigint,
    column_name varchar,
    severity varchar,
    code varchar,
    message varchar,
    record_id varchar
);

create table if not exists ops.approvals (
    district_id varchar,
    source varchar,
    drop_id varchar,
    what varchar,
    approved_by varchar,
    approved_at timestamp,
    note varchar
);

create table if not exists ops.held_changes (
    district_id varchar,
    source varchar,
    delivery_day date,
    drop_id varchar,
    table_name varchar,
    record_id varchar,
    change varchar,
    reason varchar
);

create table if not exists ops.configured_schools (
    district_id varchar,
    source varchar,
    school_id varchar,
    name varchar
);

comment on table ops.configured_schools is 'One row per district and school of the districts file, for deliveries without a file of organisations.';
comment on table ops.sync_history is 'One row per sync: one pass of one source for one district and day.';
comment on table ops.sync_files is 'One row per sync and file: the sync report. rows_read = rows_accepted + rows_rejected.';
comment on table ops.rejected_rows is 'One row per finding: every rejected row with its reasons, and warnings up to 1000 per code and column (severity says which).';
comment on table ops.approvals is 'One row per decision of a person about a drop.';
comment on table ops.held_changes is 'One row per change that waits for approval.';

create table if not exists ops.match_rates (
    sync_id varchar,
    district_id varchar,
    source varchar,
    drop_id varchar,
    match_field varchar,
    is_chosen boolean,
    value_count bigint,
    matched_count bigint
);

comment on table ops.match_rates is 'One row per sync of results and match field: how many of the ids in the file a student of the roster had when it was loaded.';
