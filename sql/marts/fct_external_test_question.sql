-- One row per district, student, lesson, attempt and question: what became of a question of an
-- external test. Feedback on answers may be a teacher's words on a student: it is left out, and is
-- in external_tests.question_results where the district keeps it.
-- Key: district_id, vendor_student_id, lesson_id, attempt, question_id
-- Fresh: The latest poll, as marts.fct_external_test.
-- Caveats: A question with partial credit is correct to the vendor. Questions of attempts that are
--   not final may still change.
--
-- district_id: District that the row belongs to.
-- vendor_student_id: The student as PowerPath has it. [direct]
-- lesson_id: The lesson: sourcedId of the ComponentResource.
-- attempt: Number of the attempt, from 1; 0 before the first.
-- question_id: The vendor's id of the question.
-- student_id: The student in the roster (sourcedId); null where none was found. [direct]
-- is_current_attempt: True for the latest attempt of the student at the lesson.
-- finalized: True where the attempt is final.
-- lesson_type: test-out, placement or unit-test.
-- tool_provider: System behind the test: edulastic or mastery-track.
-- subject: Subject of the test in our vocabulary; null where it is not known there.
-- school_year: The year in which the school year of the attempt ends.
-- question_index: Place of the question in the test, as the vendor counts.
-- title: Title of the question.
-- difficulty: easy, medium or hard, or one that is new.
-- learning_objectives: Ids of learning objectives, as a JSON list.
-- answered: True where there is an answer, a result or a verdict. [indirect]
-- correct: True where the vendor calls it correct, which it does with partial credit too; null
--   where it says nothing. [indirect]
-- score: Score of the question as the vendor has it; null where there is none yet. [indirect]
-- delivered_on: Delivery day of the row.
-- drop_id: Drop that holds it.
-- line: Line in that drop's file.
select
    q.district_id,
    q.student_id as vendor_student_id,
    q.lesson_id,
    q.attempt,
    q.question_id,
    t.student_id,
    coalesce(t.is_current_attempt, false) as is_current_attempt,
    coalesce(t.finalized, false) as finalized,
    t.lesson_type,
    t.tool_provider,
    t.subject,
    t.school_year,
    q.question_index,
    q.title,
    q.difficulty,
    q.learning_objectives,
    q.answered,
    q.correct,
    q.score,
    q.valid_from as delivered_on,
    q.drop_id,
    q.line
from external_tests.current_question_results q
left join marts.fct_external_test t
    on t.district_id = q.district_id and t.vendor_student_id = q.student_id
    and t.lesson_id = q.lesson_id and t.attempt = q.attempt
