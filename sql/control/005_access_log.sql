-- Who asked for score reports of whom. Every statement may run again.

create table if not exists ops.access_log (
    district_id varchar,
    source varchar,
    accessed_at timestamp,
    accessed_by varchar,
    student_id varchar,
    ssid varchar,
    reports varchar,
    link_count integer,
    asked_type varchar,
    asked_language varchar,
    asked_year integer
);

comment on table ops.access_log is 'One row per request of a person for links to the score reports of a student, also where there were none. No link is kept.';
comment on column ops.access_log.district_id is 'District of the student.';
comment on column ops.access_log.source is 'System that gave the links.';
comment on column ops.access_log.accessed_at is 'When they were asked for, in UTC.';
comment on column ops.access_log.accessed_by is 'Who asked.';
comment on column ops.access_log.student_id is 'The student: sourcedId of the user in OneRoster. Personal data.';
comment on column ops.access_log.ssid is 'The number the service was asked with: 10-digit Statewide Student Identifier. Personal data.';
comment on column ops.access_log.reports is 'The reports that there were links to, such as CAASPP EN 2025, separated by commas; null where there were none.';
comment on column ops.access_log.link_count is 'How many links were given.';
comment on column ops.access_log.asked_type is 'Kind of report asked for; null for every kind.';
comment on column ops.access_log.asked_language is 'Language asked for; null for every language.';
comment on column ops.access_log.asked_year is 'Administration year asked for; null for every year.';
