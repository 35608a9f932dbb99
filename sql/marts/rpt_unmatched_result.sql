-- One row per district and result that does not count, because its school is not matched or its
-- student was not found in the roster. It goes by itself when `edpipeline match-schools` matches
-- the school, and when a later roster brings the student.
-- Key: district_id, source_system, source_record_id, subject, course
-- Fresh: The latest load of results, of school matches or of the roster.
-- Caveats: Results whose rows were rejected are not in it: see ops.rejected_rows.
--
-- district_id: District that the row belongs to.
-- source_system: Source of the result.
-- source_record_id: The vendor's id of the result, or one composed of what names it. [direct]
-- assessment_code: The assessment.
-- assessment_name: Name of the test as the file has it.
-- subject: Subject of the result.
-- course: Course of the result, where it has one.
-- school_year: The year in which the school year of the test ends.
-- term: fall, winter, spring or summer.
-- test_date: Day of the test.
-- tested_school_name: School where the student tested, as the file has it.
-- vendor_school_id: The vendor's identifier of that school, where its schools have to be matched.
-- match_field: Field of the roster that was compared.
-- match_value: The id in the file. [direct]
-- reject_reason: school_not_matched (nobody said yet which school of the roster it is) or
--   no_matching_school (a person said there is none), whoever the student; else missing_user_id,
--   bad_user_id, ambiguous_user or user_not_found.
-- remedy: What a person can do about it.
-- scale_score: Scale score of the vendor. [indirect]
-- is_deleted: True where a newer full export of the same term no longer has the result.
-- delivered_on: Delivery day of the row.
-- drop_id: Drop that holds it.
-- line: Line in that drop's file.
with results as (
    select
        r.*,
        case
            when r.vendor_school_id is null or m.school_id is not null then b.reject_reason
            else coalesce(m.decision, 'school_not_matched')
        end as reject_reason,
        case
            when r.vendor_school_id = ''
                then 'The file names no school in this row: fill it in at the vendor.'
            when m.decision = 'no_matching_school'
                then 'A person said that the roster has no such school. If it has, match it by'
            when m.decided_at is not null
                then 'The school it was matched with has left the roster. Match it anew by'
            else 'Nobody has said yet which school of the roster this is. Do so by'
        end as of_school
    from assessments.results r
    join marts.bridge_result_student b
        on b.district_id = r.district_id and b.match_field = r.match_field
        and b.match_value = coalesce(r.match_value, '')
    left join marts.rpt_school_match m
        on m.district_id = r.district_id and m.source = r.source_system
        and m.vendor_school_id = r.vendor_school_id
    where r.objective_code = 'overall'
)
select
    r.district_id,
    r.source_system,
    r.source_record_id,
    r.assessment_code,
    r.assessment_name,
    r.subject,
    r.course,
    r.school_year,
    r.term,
    r.test_date,
    r.tested_school_name,
    r.vendor_school_id,
    r.match_field,
    r.match_value,
    r.reject_reason,
    case
        when r.reject_reason in ('school_not_matched', 'no_matching_school')
            then r.of_school || case
                when r.vendor_school_id = '' then ''
                else ' `edpipeline match-schools --district ' || r.district_id || ' --source '
                    || r.source_system || '`.'
            end
        when r.reject_reason = 'missing_user_id'
            then 'The file has no id in this row: fill it in the source system.'
        when r.reject_reason = 'bad_user_id'
            then 'The id was damaged, mostly by a spreadsheet: export again, do not save it there.'
        when r.reject_reason = 'ambiguous_user'
            then 'More than one student has this id: correct the roster.'
        else 'No student of the roster has this id: is it the right field, the roster complete?'
    end as remedy,
    r.scale_score,
    r.is_deleted,
    r.delivered_on,
    r.drop_id,
    r.line
from results r
where r.reject_reason is not null
