-- One row per district and result whose student was not found in the roster. It goes by itself
-- when a later roster brings the student.
-- Key: district_id, source_system, source_record_id, subject, course
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
-- match_field: Field of the roster that was compared.
-- match_value: The id in the file. [direct]
-- reject_reason: missing_user_id, bad_user_id, ambiguous_user or user_not_found.
-- remedy: What a person can do about it.
-- scale_score: Scale score of the vendor. [indirect]
-- is_deleted: True where a newer full export of the same term no longer has the result.
-- delivered_on: Delivery day of the row.
-- drop_id: Drop that holds it.
-- line: Line in that drop's file.
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
    r.match_field,
    r.match_value,
    b.reject_reason,
    case b.reject_reason
        when 'missing_user_id' then 'The file has no id in this row: fill it in the source system.'
        when 'bad_user_id'
            then 'The id was damaged, mostly by a spreadsheet: export again and do not save it there.'
        when 'ambiguous_user' then 'More than one student has this id: correct the roster.'
        else 'No student of the roster has this id: is it the right field, and is the roster complete?'
    end as remedy,
    r.scale_score,
    r.is_deleted,
    r.delivered_on,
    r.drop_id,
    r.line
from assessments.results r
join marts.bridge_result_student b
    on b.district_id = r.district_id and b.match_field = r.match_field
    and b.match_value = coalesce(r.match_value, '')
where b.student_id is null and r.objective_code = 'overall'
