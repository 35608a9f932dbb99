-- Scores and accuracies in marts.fct_external_test are 0 to 100, counts are not below 0; what is
-- scored is final and has a score, what is partial has one and is not final.
select district_id, lesson_id, attempt, score_status, score, accuracy
from marts.fct_external_test t
where score not between 0 and 100
    or accuracy not between 0 and 100
    or least(correct_questions, total_questions, answered_questions, question_count) < 0
    or score_status is null
    or (score_status in ('scored', 'partial') and score is null)
    or (score_status = 'scored' and not finalized)
    or (score_status in ('partial', 'not_attempted') and finalized)
