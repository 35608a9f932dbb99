"""Let's Go Learn ADAM K-7: an adaptive diagnostic of mathematics from kindergarten to grade 7.

No layout is public, so the edition is assumed: one row per student and test, with grade levels
(0.x is kindergarten) and raw scores for the whole test and its five strands, and at will the grade
levels of up to 44 sub-tests under headers such as `Measurement: Money Grade Level`.

Known trouble: the test is taken in several sittings, so results without a total are normal;
practice raises scores between tests, so `Last Score Improvement` is not the day of the test; a
Pre/Post Gain Report has two tests in a row and does not fit: export one row per test. There is no
percentile, and other tests of the vendor (DORA, DOMA) have other columns.
"""

from edpipeline.sources.results import ResultTable, read_source

SOURCE = read_source(
    name="adam",
    title="Let's Go Learn ADAM",
    docs="https://www.letsgolearn.com",
    tables={
        "adam": ResultTable(
            file="ADAM results",
            grain="one row per student and test",
            keys=(
                ("student_id", "assessment", "date_completed"),
                (
                    *("username", "alternate_id", "email", "match_value", "first_name"),
                    *("last_name", "assessment", "date_completed"),
                ),
            ),
        ),
    },
)
