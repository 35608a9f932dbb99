"""Scantron Performance Series: results of the vendor's API, and the export of its admin site.

The vendor has published neither paths nor records of its API, so that edition is assumed. The
product is old: where its service is gone, exports are what is left. Either way in comes to the
same results.

Tables and keys:

- `scantron`: one row per test, from the API, or from a CSV of the same columns. Its key is
  testSessionId; where a record lacks it, the student, subject and time of completion.
- `scantron_units`: one row per test and unit of its subject, with the range around the score.
- `scantron_export`: StudentResultsExport_Extended.csv, one row per student with the latest test of
  each subject in a range of dates, side by side. Its key is the student and the days of the tests,
  so that an export made again changes its rows instead of adding to them.

One result, however often it comes (`sql/results/scantron.sql`):

- The same test stands in many exports. Student, subject and day make one result; the latest
  delivery counts.
- A test that the API has brought as well is counted once, and as the API has it: the Student_ID of
  the export is its studentId or its districtStudentId, subject and day are the same. A test that
  ended before 10:00 UTC is taken for one of the day before as well, since exports have the local
  day.

Known trouble:

- The API's times are in UTC and no time zone is known, so the day of a test is that of UTC: an
  evening's test has the next day. School year (from 1 July) and term are told from it.
- Scaled scores are 1300 to 3700, of high-school algebra and geometry 5000 to 6000. Beyond both ends
  a row is rejected; in between the score is on neither scale, and kept in other_scores alone.
- A spoiled test does not count, whatever scores it has. Reading rate `NM` is not measured.
- Subjects may be others than the four that are known; they are kept, without a subject of ours.
- There is no level: the bands of percentiles that schools use are their own.
- A unit that a later pull leaves out stays: records of units say nothing of those that are gone.
- Of the export's predictions the score, its error and the short name are kept; the columns of their
  validity and of the students' programs are read past.
- Alabama's summative test of 2018-19, built on this one, is another product with other columns.
"""

from datetime import time

from edpipeline.model import ApiPull, Window
from edpipeline.sources.results import ResultTable, read_source

SOURCE = read_source(
    name="scantron",
    title="Scantron Performance Series",
    docs="https://www.scantron.com",
    arrives=ApiPull(
        patterns=("*.csv", "*.tsv", "*.txt", "*.zip", "*.jsonl"),
        window=Window(time(18), time(23), "America/Los_Angeles"),
        match_on="district_user_id",
    ),
    tables={
        "scantron": ResultTable(
            file="results.jsonl",
            grain="one row per test",
            keys=(
                ("test_session_id",),
                ("student_id", "subject", "completed_at"),
                (
                    *("district_student_id", "state_student_id", "alternate_student_id"),
                    *("student_user_name", "email", "match_value", "subject", "completed_at"),
                ),
            ),
        ),
        "scantron_units": ResultTable(
            file="units.jsonl",
            grain="one row per test and unit",
            keys=(("test_session_id", "name"),),
        ),
        "scantron_export": ResultTable(
            file="StudentResultsExport_Extended.csv",
            grain="one row per student and days of the latest tests",
            keys=(
                (
                    *("student_id", "first_name", "last_name", "reading_test_date"),
                    *("math_test_date", "science_test_date", "language_arts_test_date"),
                ),
            ),
        ),
    },
)
