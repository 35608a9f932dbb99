"""NWEA MAP Growth: the files a district exports from the vendor's site and uploads.

Which edition to pick: the one that was in force on the day the file was downloaded, not the day
of the test. An old term downloaded today comes in today's layout.

- Comprehensive Data File: a zip. Of its files AssessmentResults.csv has the results and
  StudentsBySchool.csv the students' grades; upload the zip whole, or there is no grade. Its other
  files (classes, programs, accommodations) are not read.
- Combined Data File: one CSV with names and grade in the rows of the results.
- Combined Data File with teachers: the same, separated by commas or tabs, one row per result and
  teacher. The two columns of the teacher are read past, so that the rows of one result are alike
  and all but one are counted as duplicates.

Tables and keys:

- `nwea_map`: one row per test event. Its key is StudentID and TestID; where the file has no TestID
  (combined files, screeners) student, term, test, start and RIT score. The score belongs to it:
  two sittings of a test may state the same day and time.
- `nwea_map_students`: one row per term, school and student.

Every export is a snapshot of the schools and terms that it holds. Only valid tests are exported:
one that the vendor invalidated later is just missing from the next export, and is marked as gone.
Two schools of one name are told apart by their state ids, where the files have them.

Known trouble:

- The subject Language Arts holds reading and language usage; the course tells them apart.
- Percentile, quintile and growth depend on norms, which change (2015, 2020, 2025) while the
  columns stay; `norms_reference_data` says which, and USER stands for the district's own.
- Growth columns are filled for the pairs of terms that end in the exported term, Typical columns
  for those that begin there.
- Excel drops leading zeros of ids, turns long ones into 1.2E+09, dates into M/D/YYYY, times into
  9:00:00 AM and ranges of goals into dates. Upload the file as it was downloaded.
- The last line of an export may lack its last fields.

`fields.csv` declares every column, `editions.csv` the editions, `layouts` the files of each.
Layouts are those of files and import definitions seen in public; `nwea_combined_2015` is one
district's file without the columns that the district had added.
"""

from edpipeline.sources.results import ResultTable, read_source

SOURCE = read_source(
    name="nwea_map",
    title="NWEA MAP Growth",
    docs="https://connection.nwea.org",
    tables={
        "nwea_map": ResultTable(
            file="AssessmentResults.csv or ComboStudentAssessment.csv",
            grain="one row per test event",
            keys=(
                ("student_id", "test_id"),
                (
                    *("student_id", "student_state_id", "term_name", "course"),
                    *("measurement_scale", "test_name", "test_start_date", "test_start_time"),
                    "test_rit_score",
                ),
            ),
            school="school_name",
            snapshot_of=("term_name", "school_name"),
            snapshot_apart="school_state_id",
        ),
        "nwea_map_students": ResultTable(
            file="StudentsBySchool.csv",
            grain="one row per term, school and student",
            keys=(("term_name", "school_name", "student_id", "student_state_id"),),
        ),
    },
)
