-- Every pair of student and lesson that is not final, or whose import may have enrolled the student
-- or failed to, is in marts.rpt_external_test_open; no other is; each says what a person can do.
select
    coalesce(a.district_id, t.district_id) as district_id, a.lesson_id, a.state,
    t.lesson_id as listed_lesson_id, t.what_to_do
from external_tests.current_assignments a
full join marts.rpt_external_test_open t
    on t.district_id = a.district_id and t.vendor_student_id = a.student_id
    and t.lesson_id = a.lesson_id
where a.lesson_id is null
    or (t.lesson_id is null)
        <> (a.state = 'final' and coalesce(a.enrollment, 'none') not in ('possible', 'failed'))
    or t.state <> a.state
    or (t.lesson_id is not null and coalesce(t.what_to_do, '') = '')
