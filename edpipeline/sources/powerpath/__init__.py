"""TimeBack PowerPath: external tests that students take in Edulastic or MasteryTrack.

A test is a lesson (OneRoster ComponentResource) of type test-out, placement or unit-test. PowerPath
is asked about one pair of student and lesson at a time, again and again, until the attempt is
final; nothing lists what is new. What it answers is redacted by the allow-list of `api.yaml` before
it lands: accounts of students, links into tests and tokens never do.

Tables and keys, all of schema `external_tests`:

- `assignments`: one row per student and lesson, with what the poller knows of the pair: whether it
  is open, what the last poll came to, when the next one is.
- `results`: one row per student, lesson and attempt. A new attempt is a new row.
- `question_results`: one row per attempt and question.
- `import_calls`: one row per call that had PowerPath store results, the only one that writes.
- `quarantine`: records of a kind that we do not know, as they came, redacted.

Known trouble:

- `finalized` is about the current attempt: with a new attempt it may become false again.
- Edulastic calls a question correct that has partial credit, so correct_questions may say more than
  the score. Neither is mended.
- Scores are 0 to 100 as far as is public; a batch in which none is above 1 is warned of.
- The attempts of a lesson that draws from a bank of tests are different tests.

`decisions.py` says what an answer means and when a pair is asked about again; `fields.csv` declares
every column, `layouts` the files of a poll.
"""

from edpipeline.model import ApiPoll
from edpipeline.sources.polls import planner
from edpipeline.sources.results import ResultTable, read_source

SOURCE = read_source(
    name="powerpath",
    title="TimeBack PowerPath",
    docs="https://docs.timeback.com",
    schema="external_tests",
    arrives=ApiPoll(),
    plan=planner,
    tables={
        "assignments": ResultTable(
            file="assignments.jsonl",
            grain="one row per student and lesson",
            keys=(("student_id", "lesson_id"),),
        ),
        "results": ResultTable(
            file="results.jsonl",
            grain="one row per student, lesson and attempt",
            keys=(("student_id", "lesson_id", "attempt"),),
        ),
        "question_results": ResultTable(
            file="question_results.jsonl",
            grain="one row per student, lesson, attempt and question",
            keys=(("student_id", "lesson_id", "attempt", "question_id"),),
        ),
        "import_calls": ResultTable(
            file="import_calls.jsonl",
            grain="one row per call that had results stored",
            keys=(("call_id",),),
        ),
        "quarantine": ResultTable(
            file="quarantine.jsonl",
            grain="one row per student, lesson, attempt and reason",
            keys=(("student_id", "lesson_id", "attempt", "reason"),),
        ),
    },
)
