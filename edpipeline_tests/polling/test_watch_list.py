"""The list that a district keeps: what counts, and how the rest is told."""

from pathlib import Path

import pytest

from edpipeline.errors import BadConfiguration
from edpipeline.polling.watch_list import MOST_PROBLEMS, WatchList, read_watch_list


def read(folder: Path, text: str) -> WatchList:
    path = folder / "watch.csv"
    path.write_bytes(text.encode())
    return read_watch_list(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("student_id,lesson_id\n01,CR\n", [("01", "CR", None)]),
        ("\ufeffLesson_ID,student_id\r\nCR, 01 \r\n\r\n", [("01", "CR", None)]),
        ("student_id,lesson_id,skip_enrollment\n1,C,YES\n2,C,\n3,C\n", None),
        ('student_id,lesson_id\n"a,b",CR\n', [("a,b", "CR", None)]),
        ("student_id,lesson_id\n", []),
    ],
)
def test_a_list_says_pairs(tmp_path: Path, text: str, rows: list[tuple[str, str, object]]) -> None:
    expected = [("1", "C", True), ("2", "C", None), ("3", "C", None)] if rows is None else rows
    found = read(tmp_path, text)
    assert (found.pairs.rows(), found.problems) == (expected, ())


@pytest.mark.parametrize(
    ("both", "skips"),
    [
        (("yes", "yes"), True),
        (("yes", "no"), False),
        (("no", "yes"), False),
        (("", "yes"), False),
        (("yes", ""), False),
    ],
)
def test_lines_that_contradict_each_other_are_not_taken_for_leave(
    tmp_path: Path, both: tuple[str, str], skips: bool
) -> None:
    lines = "".join(f"1,C,{said}\n" for said in both)
    found = read(tmp_path, f"student_id,lesson_id,skip_enrollment\n{lines}")
    assert found.pairs.rows() == [("1", "C", skips)]


def test_bad_lines_are_told_by_number_and_column_alone(tmp_path: Path) -> None:
    bad = ["CANARY,", f"{'CANARY' * 50},C", "CAN\tARY,C", "CANARY,C,CANARY"]
    found = read(tmp_path, "student_id,lesson_id\n" + "\n".join(bad) + "\n1,C\n")
    assert found.problems == (
        "watch list, line 2: lesson_id is blank",
        "watch list, line 3: student_id is no id",
        "watch list, line 4: student_id is no id",
        "watch list, line 5: has 3 cells, the header 2",
    )
    assert found.pairs.height == 1


def test_of_many_bad_lines_some_are_shown(tmp_path: Path) -> None:
    found = read(tmp_path, "student_id,lesson_id\n" + ",C\n" * (MOST_PROBLEMS + 5))
    assert len(found.problems) == MOST_PROBLEMS + 1
    assert found.problems[-1] == "watch list, and 5 lines more"


@pytest.mark.parametrize(
    "text",
    [
        *("", "student_id\n", "student_id,lesson_id,name\n", "student_id,lesson_id,lesson_id\n"),
        'student_id,lesson_id\n"CANARY,C\n',
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        read(tmp_path, text)
    assert "CANARY" not in str(caught.value)


def test_a_list_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="there is no file"):
        read_watch_list(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfiguration, match="must be CSV in UTF-8"):
        read_watch_list(tmp_path / "x.csv")
