"""ACT Aspire: results of the summative and interim tests in English, mathematics, reading, science
and writing, from the publisher's Student Performance File.

The product is retired (last tests in 2022-23), so what comes is history: pick the edition by the
school year of the test. From 2019-20 on a row is a student and a subject (`act_aspire`); before,
the subjects stand side by side in one row per student (`act_aspire_wide`). The layout of the
interim file is assumed: the publisher has shown none.

Known trouble: names of tests are misspelled (`Mathemtics`); the composite, ELA and STEM scores are
repeated on every row of a student's battery; writing has no scale score but a code that says
whether the essay could be scored; a row may say that it must not be reported and still bear
scores; files delivered while testing goes on are preliminary, and the newest one counts. The wide
files write days as mmddyyyy, whose leading zero a spreadsheet takes away.
"""

from edpipeline.sources.results import ResultTable, read_source

SOURCE = read_source(
    name="act_aspire",
    title="ACT Aspire",
    docs="https://www.discoveractaspire.org",
    tables={
        "act_aspire": ResultTable(
            file="Student Performance File",
            grain="one row per student and subject",
            keys=(
                ("test_uuid",),
                ("state_student_id", "test_name", "test_admin_date"),
                ("local_id", "match_value", "test_name", "test_admin_date"),
            ),
        ),
        "act_aspire_wide": ResultTable(
            file="Student Performance File, subjects side by side",
            grain="one row per student and battery of tests",
            keys=(
                (
                    *("state_student_id", "local_id", "match_value", "english_test_admin_date"),
                    *("math_test_admin_date", "reading_test_admin_date"),
                    *("science_test_admin_date", "writing_test_admin_date"),
                ),
            ),
        ),
    },
)
