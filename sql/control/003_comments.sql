-- What the columns of ops are. Every statement may run again.

comment on column ops.schema_version.fingerprint is 'Hash of the DDL that the warehouse was last prepared with.';

comment on column ops.mart_versions.mart is 'Name of the mart.';
comment on column ops.mart_versions.fingerprint is 'Hash of its file, by which the table was last made or altered.';

comment on column ops.sync_history.sync_id is 'Identifier of the sync: when it started, in UTC, and its drop; sorts by time.';
comment on column ops.sync_history.district_id is 'District that was synced.';
comment on column ops.sync_history.source is 'System that the data comes from.';
comment on column ops.sync_history.delivery_day is 'Calendar day, in the time zone of the source, to which the drop belongs.';
comment on column ops.sync_history.drop_id is 'Drop that was loaded: hash of its file names and contents; null where nothing came.';
comment on column ops.sync_history.started_at is 'When the sync started, in UTC.';
comment on column ops.sync_history.completed_at is 'When it ended, in UTC.';
comment on column ops.sync_history.status is 'loaded, loaded_with_errors, removals_held, awaiting_approval, refused, missed or failed.';
comment on column ops.sync_history.edition is 'Layout that the files were read in, such as three_file or oneroster_1_2.';
comment on column ops.sync_history.mode is 'bulk: the files were the whole of their tables; delta: at least one held changes only.';
comment on column ops.sync_history.origin is 'How the drop arrived, such as sftp or upload.';
comment on column ops.sync_history.replay_of is 'Earlier delivery day whose load made this day be loaded again; null otherwise.';
comment on column ops.sync_history.message is 'What happened and what to do about it; counts and codes only.';

comment on column ops.sync_files.sync_id is 'Sync that the file was part of.';
comment on column ops.sync_files.position is 'Place of the file in the report, from 0.';
comment on column ops.sync_files.district_id is 'District that was synced.';
comment on column ops.sync_files.source is 'System that the data comes from.';
comment on column ops.sync_files.delivery_day is 'Delivery day of the sync.';
comment on column ops.sync_files.drop_id is 'Drop that the file was part of.';
comment on column ops.sync_files.table_name is 'Table that the file fills, as schema.table.';
comment on column ops.sync_files.file_name is 'Name of the file as delivered.';
comment on column ops.sync_files.status is 'loaded; same_bytes (the very bytes of the delivery before); kept (not used: the table stayed as it was).';
comment on column ops.sync_files.dialect is 'How the file is written: encoding, line ends, quotes.';
comment on column ops.sync_files.same_bytes_as_before is 'True where the file has the very bytes of the delivery before.';
comment on column ops.sync_files.ends_with_line_end is 'True where the last row has a line end; where that is usual, its absence means a file cut off.';
comment on column ops.sync_files.rows_read is 'Rows below the header; rows_accepted + rows_rejected.';
comment on column ops.sync_files.rows_accepted is 'Rows that passed; rows_added + rows_changed + rows_unchanged + rows_duplicate, unless kept.';
comment on column ops.sync_files.rows_rejected is 'Rows that did not pass; each is listed in ops.rejected_rows.';
comment on column ops.sync_files.rows_added is 'Accepted rows of records that were not there.';
comment on column ops.sync_files.rows_changed is 'Accepted rows that differ from what was there.';
comment on column ops.sync_files.rows_unchanged is 'Accepted rows that say what was there already.';
comment on column ops.sync_files.rows_duplicate is 'Accepted rows that are copies of another row of the file.';
comment on column ops.sync_files.rows_removed is 'Records that left with this delivery; not rows of the file.';
comment on column ops.sync_files.rows_held is 'Records that would leave, and wait for approval.';
comment on column ops.sync_files.rejected_by_code is 'Rejected rows by their first code, as JSON.';
comment on column ops.sync_files.warnings_by_code is 'Warnings by code, as JSON.';
comment on column ops.sync_files.sha256 is 'SHA-256 of the file as delivered, in hex digits.';

comment on column ops.rejected_rows.sync_id is 'Sync that found it; of a day, the findings of the latest sync are kept.';
comment on column ops.rejected_rows.district_id is 'District that was synced.';
comment on column ops.rejected_rows.source is 'System that the data comes from.';
comment on column ops.rejected_rows.delivery_day is 'Delivery day of the sync.';
comment on column ops.rejected_rows.drop_id is 'Drop that the row came with.';
comment on column ops.rejected_rows.file_name is 'Name of the file; null where it is about the delivery as a whole.';
comment on column ops.rejected_rows.line is 'Line in the file, the header being line 1; null where it is about the file as a whole.';
comment on column ops.rejected_rows.column_name is 'Column that it is about; null where it is about the row or the file.';
comment on column ops.rejected_rows.severity is 'error: the row or file was not used; warning: it was.';
comment on column ops.rejected_rows.code is 'What was found; see the list of codes.';
comment on column ops.rejected_rows.message is 'What was found and what to do, without values of the row.';
comment on column ops.rejected_rows.record_id is 'Key of the record in the row, where it can be known. Personal data.';

comment on column ops.approvals.district_id is 'District that the drop is of.';
comment on column ops.approvals.source is 'System that the data comes from.';
comment on column ops.approvals.drop_id is 'Drop that the decision is about, and no other.';
comment on column ops.approvals.what is 'What was approved: first_sync or removals.';
comment on column ops.approvals.approved_by is 'Who decided.';
comment on column ops.approvals.approved_at is 'When, in UTC.';
comment on column ops.approvals.note is 'What they wrote about it.';

comment on column ops.held_changes.district_id is 'District whose change waits.';
comment on column ops.held_changes.source is 'System that the data comes from.';
comment on column ops.held_changes.delivery_day is 'Delivery day that brought the change.';
comment on column ops.held_changes.drop_id is 'Drop that brought the change; what is to be approved.';
comment on column ops.held_changes.table_name is 'Table that would change, as schema.table.';
comment on column ops.held_changes.record_id is 'Key of the record that would leave. Personal data.';
comment on column ops.held_changes.change is 'removal (no longer in the file) or marked as deleted.';
comment on column ops.held_changes.reason is 'Why it waits.';

comment on column ops.configured_schools.district_id is 'District that the school is of.';
comment on column ops.configured_schools.source is 'System for whose deliveries it is configured.';
comment on column ops.configured_schools.school_id is 'Identifier of the school in that system; leading zeros count.';
comment on column ops.configured_schools.name is 'Name of the school.';

comment on column ops.match_rates.sync_id is 'Sync that compared the ids.';
comment on column ops.match_rates.district_id is 'District that uploaded the results.';
comment on column ops.match_rates.source is 'System that the results come from.';
comment on column ops.match_rates.drop_id is 'Drop that holds the ids.';
comment on column ops.match_rates.match_field is 'Field of the roster: username, district_user_id, state_user_id, alternate_user_id or email.';
comment on column ops.match_rates.is_chosen is 'True for the field that was chosen for the upload.';
comment on column ops.match_rates.value_count is 'Different ids in the file, taken from the columns that are compared with this field.';
comment on column ops.match_rates.matched_count is 'How many of these a student of the roster had.';

comment on table ops.schema_version is 'One row: which DDL the warehouse was prepared with.';
