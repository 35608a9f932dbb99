-- One row per district, student and lesson whose external test is not final, whatever the reason,
-- or whose import may have enrolled the student in a course or failed to: why, since when, when it
-- is asked about again, and what a person can do.
-- Key: district_id, vendor_student_id, lesson_id
-- Fresh: The latest poll.
-- Caveats: Tests that are final and enrolled nobody are not in it.
--
-- district_id: District that the row belongs to.
-- vendor_student_id: The student as PowerPath has it. [direct]
-- lesson_id: The lesson: sourcedId of the ComponentResource.
-- test_name: Name of the test.
-- tool_provider: System behind the test, as PowerPath has it.
-- lesson_type: Type of the lesson, as PowerPath has it.
-- origins: Where the pair was found: test_assignments, gradebook, watch_list.
-- assignment_status: Status of the test assignment, where it was found there.
-- state: open (asked about again), stale (given up for its age), refused (no external test),
--   quarantined (not understood), gone (no longer listed) or final (listed for its enrollment).
-- outcome: What the last poll came to, such as pending, not_assigned or vendor_error.
-- reason: Why the state is what it is.
-- attempt: Number of the current attempt.
-- score_status: What its score is, as in fct_external_test; null where there is no attempt yet.
-- enrollment: What is known of a course enrollment by an import: none, never, skipped, possible or
--   failed.
-- open_since: When the test was assigned, else when the pair was first seen, in UTC.
-- expires_at: When the assignment ends, in UTC.
-- changed_at: When a poll last brought something new, in UTC.
-- polled_at: When it was last asked about, in UTC.
-- polls: How often it was.
-- failures: Polls in a row that came to nothing usable.
-- next_poll_at: When it is asked about again, in UTC; null where it is not.
-- what_to_do: What a person can do.
with pairs as (
    select
        a.*, t.score_status, t.answered_questions, t.total_questions
    from external_tests.current_assignments a
    left join marts.fct_external_test t
        on t.district_id = a.district_id and t.vendor_student_id = a.student_id
        and t.lesson_id = a.lesson_id and t.is_current_attempt
    where a.state <> 'final' or a.enrollment in ('possible', 'failed')
)
select
    p.district_id,
    p.student_id as vendor_student_id,
    p.lesson_id,
    p.test_name,
    p.tool_provider,
    p.lesson_type,
    p.origins,
    p.assignment_status,
    p.state,
    p.outcome,
    p.reason,
    p.attempt,
    p.score_status,
    p.enrollment,
    coalesce(p.assigned_at, p.first_seen_at) as open_since,
    p.expires_at,
    p.changed_at,
    p.polled_at,
    p.polls,
    p.failures,
    p.next_poll_at,
    concat_ws(
        ' ',
        case
            when p.state = 'final' then null
            when p.state = 'refused'
                then 'No external test (test-out, placement, unit-test): nothing to do. Take it off'
                    || ' the watch list, where it stands there.'
            when p.state = 'gone'
                then 'No longer assigned, or the assignment failed, expired or was cancelled:'
                    || ' assign the test anew where it is still wanted.'
            when p.outcome = 'unknown_provider'
                then 'The system behind the test is not known, or not named: ask TimeBack to set'
                    || ' toolProvider of its resource. It is asked about again once a day.'
            when p.outcome = 'schema_drift'
                then 'PowerPath answered in a shape that is not known: the record is in'
                    || ' external_tests.quarantine; tell TimeBack, and whoever keeps edpipeline.'
            when p.outcome = 'not_found'
                then 'PowerPath has no such student or lesson: correct the watch list, or have the'
                    || ' student or lesson put right in TimeBack.'
            when p.state = 'stale' and p.score_status = 'exempt'
                then 'The student is exempt, so that it never becomes final: nothing to do.'
            when p.state = 'stale'
                then 'Given up for its age. Where the test is still to be taken or graded, assign'
                    || ' it anew.'
            when p.state = 'quarantined'
                then 'Not understood: see the reason, and external_tests.quarantine.'
            when p.outcome = 'not_assigned'
                then 'PowerPath refuses it, mostly because the test was never assigned to the'
                    || ' student in its tool: have it assigned there.'
            when p.outcome = 'vendor_error'
                then 'PowerPath or the tool behind it failed: nothing to do, it is asked about'
                    || ' again. Tell TimeBack if it goes on for a day.'
            when p.outcome in ('finalized_new', 'finalized_already')
                then 'It is final, but when it was taken, or an earlier attempt, could not be read:'
                    || ' nothing to do, it is asked about again.'
            when p.score_status = 'exempt'
                then 'The student is exempt, so that it never becomes final: nothing to do.'
            when p.total_questions > 0 and p.answered_questions >= p.total_questions
                then 'Every question is answered: it waits for the grade, or for an import, which'
                    || ' is made only where the district sets allow_side_effects.'
            else 'The student has not finished: nothing to do, it is asked about again.'
        end,
        case
            when p.enrollment = 'possible'
                then 'The import may have enrolled the student in a course: look at the courses of'
                    || ' the student in TimeBack.'
            when p.enrollment = 'failed'
                then 'Enrolling the student in a course failed: have subject and grade of the test'
                    || ' mapped to a course in TimeBack, or enroll the student by hand.'
        end
    ) as what_to_do
from pairs p
