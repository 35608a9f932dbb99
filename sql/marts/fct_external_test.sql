-- One row per district, student, lesson and attempt: an attempt at an external test, final or not,
-- also of students whom the roster does not have. A new attempt is a new row. Those of students of
-- the roster are in fct_assessment_result too, scored where they are final, else partial or without
-- a score.
-- Key: district_id, vendor_student_id, lesson_id, attempt
-- Fresh: The latest poll: every few minutes while tests are open.
-- Caveats: Only tests that are assigned, graded or on the watch list are known. A score counts
--   where finalized is true.
--
-- district_id: District that the row belongs to.
-- vendor_student_id: The student as PowerPath has it. [direct]
-- lesson_id: The lesson: sourcedId of the ComponentResource.
-- attempt: Number of the attempt, from 1; 0 before the first.
-- student_id: The student in the roster (sourcedId); null where none was found. [direct]
-- match_reason: Why there is none: missing_user_id, bad_user_id, ambiguous_user or user_not_found;
--   null where there is one.
-- school_id: School the student belongs to now, or belonged to last.
-- is_current_attempt: True for the latest attempt of the student at the lesson.
-- test_name: Name of the test.
-- tool_provider: System behind the test: edulastic or mastery-track.
-- lesson_type: test-out, placement or unit-test.
-- subject: Subject in our vocabulary; null where it is not known there.
-- test_grade: Grade of the test: PK, KG, 01 to 12; the student's own is in dim_student.
-- school_year: The year in which the school year of the attempt ends.
-- term: fall, winter, spring or summer, told from the day.
-- finalized: True where the attempt is final.
-- score_status: scored (final), partial (not final yet), exempt, not_attempted or no_information.
-- vendor_score_status: The status as PowerPath has it.
-- score: Score as PowerPath has it, 0 to 100, whether it counts or not. [indirect]
-- accuracy: Accuracy as PowerPath has it, 0 to 100. [indirect]
-- correct_questions: Questions that count as correct; those with partial credit do. [indirect]
-- total_questions: Questions of the test.
-- answered_questions: Questions with an answer, a result or a verdict. [indirect]
-- question_count: Questions of the attempt in fct_external_test_question.
-- xp: Experience points. [indirect]
-- multiplier: Multiplier of the experience points.
-- is_scale_doubtful: True where no score of the poll that brought it is above 1 and some are above
--   0, so that they may be shares and not of 100. Nothing is changed.
-- enrollment: What is known of a course enrollment by an import of this student and lesson, on the
--   row of the latest attempt: none, never, skipped, possible or failed.
-- enrollment_failed: True where PowerPath says that enrolling the student in a course failed.
-- assigned_at: When the test was assigned, in UTC; on the row of the latest attempt.
-- started_at: When the attempt was begun, in UTC.
-- completed_at: When the attempt was completed, in UTC.
-- test_result_id: The vendor's id of the result, where it has one.
-- delivered_on: Delivery day of the row.
-- drop_id: Drop that holds it.
-- line: Line in that drop's file.

-- Not from assessments.results, which plans the SELECTs of every source.
with attempts as (
    select
        t.*,
        t.attempt = max(t.attempt) over (
            partition by t.district_id, t.student_id, t.lesson_id
        ) as is_current_attempt,
        max(t.score) over (partition by t.district_id, t.drop_id) as greatest_of_drop
    from external_tests.current_results t
),
questions as (
    select
        q.district_id, q.student_id, q.lesson_id, q.attempt, count(*) as question_count
    from external_tests.current_question_results q
    group by q.district_id, q.student_id, q.lesson_id, q.attempt
)
select
    t.district_id,
    t.student_id as vendor_student_id,
    t.lesson_id,
    t.attempt,
    b.student_id,
    b.reject_reason as match_reason,
    s.school_id,
    t.is_current_attempt,
    t.test_name,
    t.tool_provider,
    t.lesson_type,
    r.subject,
    r.grade_tested as test_grade,
    r.school_year,
    r.term,
    coalesce(t.finalized, false) as finalized,
    r.score_status,
    t.score_status as vendor_score_status,
    t.score,
    t.accuracy,
    t.correct_questions,
    t.total_questions,
    t.answered_questions,
    coalesce(q.question_count, 0) as question_count,
    t.xp,
    t.multiplier,
    coalesce(t.greatest_of_drop > 0 and t.greatest_of_drop <= 1, false) as is_scale_doubtful,
    case when t.is_current_attempt then a.enrollment end as enrollment,
    coalesce(t.enrollment_failed, false) as enrollment_failed,
    case when t.is_current_attempt then a.assigned_at end as assigned_at,
    t.started_at,
    t.completed_at,
    t.test_result_id,
    t.valid_from as delivered_on,
    t.drop_id,
    t.line
from attempts t
join assessments.powerpath_results r
    on r.district_id = t.district_id and r.source_record_id = t.result_id
join marts.bridge_result_student b
    on b.district_id = r.district_id and b.match_field = r.match_field
    and b.match_value = coalesce(r.match_value, '')
left join marts.dim_student s on s.district_id = b.district_id and s.student_id = b.student_id
left join external_tests.current_assignments a
    on a.district_id = t.district_id and a.student_id = t.student_id and a.lesson_id = t.lesson_id
left join questions q
    on q.district_id = t.district_id and q.student_id = t.student_id
    and q.lesson_id = t.lesson_id and q.attempt = t.attempt
