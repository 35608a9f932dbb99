"""Which student a result belongs to, why it has none, and how that heals by itself."""

from edpipeline_tests.results.uploads import sample

HEADER = (
    "Student ID,Username,Alternate ID,Email,Assessment,Date Completed,Total Grade Level,"
    "Numbers and Operations Grade Level,Measurement Grade Level,Data Analysis Grade Level,"
    "Geometry Grade Level,Algebraic Thinking Grade Level,Grade,School,First Name,Last Name"
)


def adam(*ids: tuple[str, str, str, str]) -> bytes:
    """Results of ADAM for (student id, username, alternate id, e-mail)."""
    lines = [
        ",".join(
            [*each, "ADAM K-7", f"09/{10 + n:02}/2022", "3.5", *["3.5"] * 5, "4", "Q", "A", "B"]
        )
        for n, each in enumerate(ids)
    ]
    return ("\n".join([HEADER, *lines]) + "\n").encode()


def matched(district):
    """Student by line, of what is matched; reason by line, of what is not."""
    district.refill("fct_assessment_result", "rpt_unmatched_result")
    there = district.query(
        "select line, student_id, match_method from marts.fct_assessment_result"
        " where district_id = $district and objective_code = 'overall'"
    )
    not_there = district.query(
        "select line, reject_reason from marts.rpt_unmatched_result where district_id = $district"
    )
    return (
        {row["line"]: (row["student_id"], row["match_method"]) for row in there},
        {row["line"]: row["reject_reason"] for row in not_there},
    )


FIELDS = {
    "district_user_id": ("000101", "", "", ""),
    "username": ("", "Given.S002", "", ""),
    "state_user_id": ("", "", "9000000103", ""),
    "email": ("", "", "", "GIVEN.s004@quillmere.example"),
}


def test_results_are_matched_on_the_field_that_was_chosen(uploads):
    """Each field for an upload of another student, who could be found by no other field."""
    district = uploads("adam")
    district.roster()
    for day, (field, ids) in enumerate(FIELDS.items(), start=1):
        report = district.upload(adam(ids), day=day, match_on=field)
        assert report.files[0].accepted == 1, report.message
    district.refill("fct_assessment_result")
    found = district.query(
        "select student_id, match_field, match_method from marts.fct_assessment_result"
        " where district_id = $district and objective_code = 'overall' order by student_id"
    )
    assert [tuple(row.values()) for row in found] == [
        (f"S{number:03}", field, "exact") for number, field in enumerate(FIELDS, start=1)
    ]


def test_every_reason_is_told_and_ids_are_never_made_numbers(uploads):
    district = uploads("adam")
    district.roster()
    ids = ["000101", "102", "0000103", "103", "999999", "", "1.2E+09", "#N/A", "000", "S001"]
    content = adam(*((each, "", "", "") for each in ids))
    report = district.upload(content, day=1)
    assert report.files[0].accepted == len(ids), report.message
    there, not_there = matched(district)
    assert there == {2: ("S001", "exact"), 3: ("S002", "zero_insensitive")}
    assert not_there == {
        4: "ambiguous_user",
        5: "ambiguous_user",
        6: "user_not_found",
        7: "missing_user_id",
        8: "bad_user_id",
        9: "bad_user_id",
        10: "bad_user_id",
        11: "user_not_found",
    }


def test_a_later_roster_heals_what_was_not_matched(uploads):
    district = uploads("adam")
    district.roster(0, students=1)
    district.upload(adam(("000101", "", "", ""), ("000102", "", "", "")), day=1)
    assert matched(district)[1] == {3: "user_not_found"}
    district.roster(2, students=2)
    assert matched(district) == ({2: ("S001", "exact"), 3: ("S002", "exact")}, {})


def test_results_of_students_who_left_stay(uploads):
    district = uploads("adam")
    district.roster(0, students=3)
    district.upload(adam(("000103", "", "", "")), day=1)
    district.roster(2, students=2)
    assert matched(district) == ({2: ("S003", "exact")}, {})


def test_a_field_that_matches_few_is_told_with_the_better_one_and_not_switched(uploads):
    district = uploads("nwea_map")
    district.roster()
    district.refill("dim_student_identifier")
    report = district.upload(sample("nwea_map", "nwea_cdf_2020.csv"), day=1, match_on="email")
    assert "By district_user_id" in report.message
    assert {rate.field for rate in report.match_rates if rate.is_chosen} == {"email"}
    district.refill("rpt_upload_quality")
    quality = district.query("select * from marts.rpt_upload_quality where district_id = $district")
    assert quality[0]["is_poorly_matched"]
    assert quality[0]["best_match_field"] == "district_user_id"
    assert quality[0]["matched_count"] == 0


def test_another_choice_for_the_same_file_takes_its_place(uploads):
    district = uploads("nwea_map")
    district.roster()
    content = sample("nwea_map", "nwea_cdf_2020.csv")
    district.upload(content, day=1, match_on="email")
    (file,) = district.upload(content, day=1, match_on="district_user_id").files
    there, not_there = matched(district)
    assert there.keys() | not_there.keys() == set(range(2, 2 + file.accepted))
    assert there
