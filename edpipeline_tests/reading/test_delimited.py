"""Reading cannot be fooled: nothing is lost, padded, shifted or glued without being told.

Many of these files are read wrongly, without an error, by common readers.
"""

import csv
import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edpipeline.reading import delimited
from edpipeline.reading.dialect import PIECE, Dialect, Unreadable, read_dialect, read_header

ENDS = pytest.mark.parametrize("end", ["\r", "\n", "\r\n"], ids=["CR", "LF", "CRLF"])
FEW = settings(
    max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Cells = list[str | None]


@dataclass
class Read:
    """A file as the reader gives it, by line number."""

    dialect: Dialect
    names: tuple[str, ...]
    rows: dict[int, Cells]
    bad: dict[int, str]
    blank: set[int]


def read(
    path: Path, content: bytes, encodings: tuple[str, ...] = (), piece_size: int = PIECE
) -> Read:
    """The way of every file: looked at as a whole, then piece by piece."""
    path.write_bytes(content)
    dialect = read_dialect(path, path.name, encodings)
    header = read_header(path, path.name, dialect)
    found = Read(dialect, header.names, {}, {}, set())
    line = 2
    for piece in delimited.pieces(path, dialect, header.offset, piece_size):
        assert piece.first_line == line, "pieces follow one another"
        lines = piece.lines
        numbers = pl.int_range(line, line + lines.len(), dtype=pl.UInt32, eager=True)
        line += lines.len()
        blank = lines.is_null() | (lines == "")
        found.blank |= set(numbers.filter(blank))
        frame, bad = delimited.split(
            piece,
            lines.filter(~blank),
            numbers.filter(~blank),
            len(header.names),
            dialect,
            not blank.any(),
        )
        found.rows |= {row[0]: list(row[1:]) for row in frame.iter_rows()}
        found.bad |= dict(bad.select("line", "code").iter_rows())
    assert line - 2 == dialect.rows, "the lines counted beforehand are the lines read"
    return found


def text(end: str, *lines: str, final: bool = True) -> bytes:
    return (end.join(lines) + (end if final else "")).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.csv"


# Line ends.


@ENDS
@pytest.mark.parametrize("final", [True, False], ids=["ended", "unended"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_every_kind_of_line_end_gives_the_same_rows(path, end, final, mark):
    content = mark + text(end, "id,name,note", "S1,Zoë,a", "S2,,b", final=final)
    found = read(path, content)
    assert found.names == ("id", "name", "note")
    assert found.rows == {2: ["S1", "Zoë", "a"], 3: ["S2", None, "b"]}
    assert not found.bad
    assert (found.dialect.line_end, found.dialect.ends_with_line_end) == (end, final)
    assert found.dialect.has_bom == bool(mark)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"id,name\r\nS1,a\nS2,b\n", "1 x CR LF, 2 x LF"),
        (b"id,name\rS1,a\nS2,b\r", "2 x CR, 1 x LF"),
        (b"id,name\r\nS1,a\rS2,b\r\n", "2 x CR LF, 1 x CR"),
        (b"id,name\r\nS1,a\rS2,b\n", "1 x CR LF, 1 x CR, 1 x LF"),
        (b'id,name\r\nS1,"a\nb"\r\n', "2 x CR LF, 1 x LF"),
    ],
)
def test_mixed_line_ends_are_refused_with_their_counts(path, content, told):
    with pytest.raises(Unreadable, match=told) as caught:
        read(path, content)
    assert caught.value.code == "mixed_line_ends"


def test_a_cut_between_cr_and_lf_is_a_cut_and_not_a_mixture(path):
    with pytest.raises(Unreadable, match="cut off") as caught:
        read(path, b"id,name\r\nS1,a\r\nS2,b\r")
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("inside", ["\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
@ENDS
def test_characters_that_python_takes_for_line_ends_stay_inside_values(path, inside, end):
    found = read(path, text(end, "id,name", f"S1,a{inside}b", "S2,c"))
    assert found.rows == {2: ["S1", f"a{inside}b"], 3: ["S2", "c"]}


# Encodings.


def test_windows_1252_is_refused_with_the_line_unless_the_district_allows_it(path):
    content = "id,name\rS1,Ann\rS2,Zoë\r".encode("cp1252")
    with pytest.raises(Unreadable, match=r"not UTF-8: line 3 ") as caught:
        read(path, content)
    assert (caught.value.code, caught.value.line) == ("bad_encoding", 3)
    assert "Zo" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "codec", "allowed", "told"),
    [
        ("Zoë", "cp1252", ("windows-1252",), "windows-1252"),
        ("O\u2019Hara", "cp1252", ("windows-1252", "iso-8859-1"), "windows-1252"),
        ("Zoë", "latin-1", ("iso-8859-1",), "iso-8859-1"),
        ("Zoë\x81", "latin-1", ("windows-1252", "iso-8859-1"), "iso-8859-1"),
        ("Zoë", "utf-8", ("windows-1252", "iso-8859-1"), "utf-8"),
        ("Ann", "ascii", ("windows-1252",), "utf-8"),
    ],
)
@ENDS
def test_an_allowed_encoding_is_used_only_where_utf_8_fails(path, end, value, codec, allowed, told):
    found = read(path, f"id,name{end}S1,{value}{end}".encode(codec), allowed)
    assert found.rows == {2: ["S1", value]}
    assert found.dialect.encoding == told
    assert told.upper() in found.dialect.describe()


def test_bytes_that_no_allowed_encoding_knows_are_refused(path):
    with pytest.raises(Unreadable, match="nor windows-1252"):
        read(path, b"id,name\rS1,a\x81\r", ("windows-1252",))


@pytest.mark.parametrize("size", range(2, 9))
def test_a_character_across_two_blocks_is_no_encoding_error(path, size, monkeypatch):
    monkeypatch.setattr(delimited, "PIECE", size)
    found = read(path, "id,näme\nS1,ü漢😀é\nS2,é\n".encode())
    assert found.rows == {2: ["S1", "ü漢😀é"], 3: ["S2", "é"]}


@pytest.mark.parametrize("size", [2, 3, 7])
@ENDS
def test_line_ends_across_two_blocks_are_counted_once(path, size, end, monkeypatch):
    monkeypatch.setattr(delimited, "PIECE", size)
    found = read(path, text(end, "id,n", "S1,a", "S2,b", "S3,c"))
    assert found.dialect.rows == 3
    assert list(found.rows) == [2, 3, 4]


def test_a_character_cut_in_half_at_the_end_is_no_utf_8(path):
    with pytest.raises(Unreadable) as caught:
        read(path, "id,name\nS1,Zoë".encode()[:-1])
    assert caught.value.code == "bad_encoding"


def test_a_first_line_without_end_is_refused_in_words(path):
    """One line of JSON, say: over a mebibyte long, and cut there inside a character."""
    for shift in range(2):
        content = ("x" * shift + "é" * (1 << 20)).encode()
        with pytest.raises(Unreadable) as caught:
            read(path, content)
        assert caught.value.code == "no_header"


# Widths.


@ENDS
def test_a_file_cut_at_60_percent_loses_its_last_row_and_no_other(path, end):
    lines = [f"S{n:03},Ann,Lee,0101,student" for n in range(180)]
    content = text(end, "id,given,family,school,role", *lines)
    cut = content[: content.index(b"S108") + 12]
    found = read(path, cut)
    assert found.rows == {n + 2: line.split(",") for n, line in enumerate(lines[:108])}
    assert found.bad == {110: "row_too_short"}
    assert not found.dialect.ends_with_line_end


@ENDS
def test_an_unquoted_comma_is_listed_and_shifts_nothing(path, end):
    content = text(
        end,
        "id,family,given,grades",
        "S1,Lee,Ann,05",
        "S2,FLORES, JR,DASEAN,05",
        "S3,Ode,Zoë,06",
        "S4,Neil,Bo",
        "S5,Ray,Di,07",
    )
    found = read(path, content)
    assert found.rows == {
        2: ["S1", "Lee", "Ann", "05"],
        4: ["S3", "Ode", "Zoë", "06"],
        6: ["S5", "Ray", "Di", "07"],
    }
    assert found.bad == {3: "row_too_long", 5: "row_too_short"}


def test_a_row_shifted_by_a_comma_is_told_although_its_last_field_is_blank(path):
    """The surplus field is blank: duckdb 2.0 takes such a row, shifted, without a word."""
    found = read(path, text("\n", "id,family,given,language", "S1,FLORES, JR,DASEAN,"))
    assert found.rows == {}
    assert found.bad == {2: "row_too_long"}


def test_a_long_row_cannot_make_up_for_a_short_one(path):
    found = read(path, text("\n", "a,b,c", "1,2", "1,2,3,4", "1,2,3"))
    assert found.rows == {4: ["1", "2", "3"]}
    assert found.bad == {2: "row_too_short", 3: "row_too_long"}


def test_a_row_with_a_trailing_comma_is_too_long(path):
    found = read(path, text("\r", "a,b", "1,2,", "3,4"))
    assert (found.rows, found.bad) == ({3: ["3", "4"]}, {2: "row_too_long"})


@ENDS
def test_blank_lines_are_no_rows_and_do_not_move_line_numbers(path, end):
    found = read(path, text(end, "a,b", "", "1,2", "", "", "3,4", "", ""))
    assert found.rows == {3: ["1", "2"], 6: ["3", "4"]}
    assert found.blank == {2, 4, 5, 7, 8}


def test_leading_zeros_and_things_that_look_like_numbers_stay_text(path):
    values = ["007", "01001", "1e5", "1.50", "NA", "null", "true", "2026-09-01", "-", "0x1F"]
    header = ",".join(f"c{n}" for n in range(len(values)))
    found = read(path, text("\r", header, ",".join(values)))
    assert found.rows == {2: values}


# Quotes.


@ENDS
def test_quoted_values_keep_commas_quotes_and_blanks(path, end):
    content = text(
        end,
        '"id","name","list"',
        '"S1","Lee, Ann","09,10,11"',
        'S2,"say ""hi""",',
        '"S3","",""""',
        '"","",""',
    )
    found = read(path, content)
    assert found.names == ("id", "name", "list")
    assert found.rows == {
        2: ["S1", "Lee, Ann", "09,10,11"],
        3: ["S2", 'say "hi"', None],
        4: ["S3", None, '"'],
        5: [None, None, None],
    }
    assert not found.bad


@pytest.mark.parametrize(
    "name", ['Robert "Bob" Lee', '"', "6' 2\"", '5"', 'a"b"', '"Bob" Lee', 'Bo "B"']
)
@ENDS
def test_stray_quotes_in_an_unquoted_file_are_plain_characters(path, end, name):
    found = read(path, text(end, "id,name,grade", f"S1,x {name} y,05", "S2,Bo,06"))
    assert not found.dialect.quoted
    assert found.rows == {2: ["S1", f"x {name} y", "05"], 3: ["S2", "Bo", "06"]}


@pytest.mark.parametrize(
    "line",
    ['S2,"open,05', 'S2,Robert "Bob" Lee,05', 'S2,"a"b,05', 'S2,"a" ,05', 'S2, "a",05', 'S2,",05'],
)
def test_bad_quotes_in_a_quoted_file_cost_their_row_and_no_other(path, line):
    found = read(path, text("\n", "id,name,grade", 'S1,"Lee, Ann",05', line, 'S3,"x",06'))
    assert found.rows == {2: ["S1", "Lee, Ann", "05"], 4: ["S3", "x", "06"]}
    assert found.bad == {3: "bad_quoting"}


def test_a_line_break_inside_quotes_costs_its_row_and_no_other(path):
    found = read(
        path, text("\n", "id,name,grade", 'S1,"x",05', 'S2,"two', 'lines",06', 'S3,"y",07')
    )
    assert found.rows == {2: ["S1", "x", "05"], 5: ["S3", "y", "07"]}
    assert found.bad == {3: "bad_quoting", 4: "bad_quoting"}


def test_a_nul_costs_its_row_and_no_other(path):
    for quoted in ("a", '"a"'):
        found = read(path, text("\n", "id,name", f"S1,{quoted}", "S\x002,b", "S3,c"))
        assert found.rows == {2: ["S1", "a"], 4: ["S3", "c"]}
        assert found.bad == {3: "control_character"}


# Files that are no tables.


def _xlsx() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_xlsx(), "Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "old Excel workbook"),
        (b"%PDF-1.7 rest", "PDF"),
        (gzip.compress(b"id,name\nS1,a\n", mtime=0), "gzip"),
        ("id,name\nS1,a\n".encode("utf-16"), "UTF-16"),
        ("\ufeffid,name\nS1,a\n".encode("utf-16-be"), "UTF-16"),
        ("id,name\nS1,a\n".encode("utf-16-le"), "UTF-16"),
        ("id,name\nS1,a\n".encode("utf-16-be"), "UTF-16"),
        (b"<!DOCTYPE html><html>Please log in</html>", "web page"),
        (b"\xef\xbb\xbf \n <html><body>503</body></html>", "web page"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "web page"),
        (b"id,name\n" + bytes(64), "binary"),
    ],
)
def test_what_is_no_csv_is_named(path, content, told):
    with pytest.raises(Unreadable, match=told) as caught:
        read(path, content, ("windows-1252", "iso-8859-1"))
    assert caught.value.code == "not_text"
    assert "users.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\n", "no_header"),
        (b"\xef\xbb\xbf", "no_header"),
        (b"\r\n\r\n", "no_header"),
        (b"  \nS1,a\n", "no_header"),
    ],
)
def test_files_without_a_header_are_refused(path, content, code):
    with pytest.raises(Unreadable) as caught:
        read(path, content)
    assert caught.value.code == code


@ENDS
@pytest.mark.parametrize("final", [True, False])
def test_a_header_alone_is_read_as_no_rows(path, end, final):
    found = read(path, text(end, "id,name", final=final))
    assert (found.names, found.rows, found.dialect.rows) == (("id", "name"), {}, 0)


def test_header_names_lose_the_blanks_and_marks_around_them(path):
    found = read(path, text("\n", '\ufeffid, name ,"a, b",\u00a0grade\u00a0,"q""q"', "1,2,3,4,5"))
    assert found.names == ("id", "name", "a, b", "grade", 'q"q')


def test_duplicate_header_names_are_not_renamed(path):
    assert read(path, text("\n", "id,role,role", "1,a,b")).names == ("id", "role", "role")


# Properties.


def cells_of(line: str, quoted: bool) -> Cells | None:
    """What a line means, character by character; None where its quotes are wrong."""
    if not quoted:
        return [cell or None for cell in line.split(",")]
    cells: Cells = []
    at = 0
    while True:
        cell = ""
        if line[at : at + 1] == '"':
            at += 1
            while line[at : at + 1] != '"' or line[at + 1 : at + 2] == '"':
                if at >= len(line):
                    return None
                cell += line[at]
                at += 2 if line[at] == '"' else 1
            at += 1
        else:
            while at < len(line) and line[at] != ",":
                if line[at] == '"':
                    return None
                cell += line[at]
                at += 1
        cells.append(cell or None)
        if at == len(line):
            return cells
        if line[at] != ",":
            return None
        at += 1


def assert_as_meant(found: Read, lines: list[str]) -> None:
    """Every line is a row with the values it has, blank, or listed."""
    width = len(found.names)
    for number, line in enumerate(lines, start=2):
        cells = cells_of(line, found.dialect.quoted)
        if line == "":
            assert number in found.blank
        elif "\x00" not in line and cells is not None and len(cells) == width:
            assert found.rows[number] == cells, (number, line)
        else:
            assert number in found.bad, (number, line)
    assert len(found.rows) + len(found.bad) + len(found.blank) == len(lines)


CHARACTERS = st.sampled_from(list('ab0,,,"" ;\té漢\x01\x00\x1a\x85\u2028\ufeff#\\'))
CELL = st.one_of(
    st.sampled_from(["", "a", "007", '""', '"a,b"', '"a""b"', "é", " x "]),
    st.text(CHARACTERS, max_size=4),
)
LINES = st.lists(st.lists(CELL, min_size=1, max_size=4).map(",".join), max_size=8)


@given(
    lines=LINES,
    end=st.sampled_from(["\r", "\n", "\r\n"]),
    final=st.booleans(),
    piece_size=st.sampled_from([1, 2, 3, 5, 8, 13, 40, PIECE]),
)
@example(lines=["\ufeffa,b,c"], end="\n", final=True, piece_size=1)
@example(lines=["1,2,3", "\ufeff4,5,6"], end="\r", final=True, piece_size=6)
@example(lines=['"\ufeff",2,3'], end="\n", final=True, piece_size=PIECE)
@example(lines=["1,2,\ufeff"], end="\r\n", final=False, piece_size=PIECE)
@FEW
def test_any_lines_in_pieces_of_any_size_are_read_as_meant(tmp_path, lines, end, final, piece_size):
    content = ("x,y,z" + end + end.join(lines) + (end if final and lines else "")).encode()
    if lines and not final and lines[-1] == "":
        lines = lines[:-1]
    if b"\x00\x00" in content:
        return
    found = read(tmp_path / "any.csv", content, piece_size=piece_size)
    assert_as_meant(found, lines)


GOOD_LINES = ["S1,Lee,Ann,05", "S2,Ode,Zoë,06", "S3,,Bo,", "S4,Ray,漢,07"]
QUOTED_LINES = ['"S1","Lee, Jr","Ann"', '"S2","say ""hi""",Zoë', '"S3","","é"']


@pytest.mark.parametrize("lines", [GOOD_LINES, QUOTED_LINES], ids=["unquoted", "quoted"])
@ENDS
def test_a_file_cut_at_any_byte_gives_no_value_that_was_not_there(path, lines, end):
    header = ",".join("abcd"[: 4 if lines is GOOD_LINES else 3])
    content = text(end, header, *lines)
    whole = read(path, content)
    for cut in range(len(content)):
        try:
            found = read(path, content[:cut])
        except Unreadable:
            continue
        last = max([*found.rows, *found.bad, 1])
        for number, cells in found.rows.items():
            if number < last or found.dialect.ends_with_line_end:
                assert cells == whole.rows[number], cut
            else:
                # The last line may have been cut inside of its last field: the file tells.
                assert cells[:-1] == whole.rows[number][:-1], cut
                assert not found.dialect.ends_with_line_end
        assert set(found.bad) <= {last}, cut
        assert len(found.rows) + len(found.bad) == found.dialect.rows, cut


@pytest.mark.parametrize(
    "lines",
    [
        ['""",""","a,b"', "a"],
        ['"a,b"', '"a",""","""', '","'],
        ['"a"",""b"', '","'],
        ['"a","","c"', '",",",","c"', '"a""b","",""', '"x","y"'],
        ['"a","b","c"', '"a","b"', '"a",",","c,"'],
    ],
)
def test_rows_in_quotes_that_make_up_for_one_another_are_told_apart(tmp_path, lines):
    """Counting quotes and separators alone would take these for whole."""
    width = max(len(next(iter(csv.reader([line])))) for line in lines)
    header = ",".join(f'"h{n}"' for n in range(width))
    found = read(tmp_path / "quoted.csv", text("\n", header, *lines))
    for number, line in enumerate(lines, 2):
        cells = next(iter(csv.reader([line])))
        assert (number in found.rows) == (len(cells) == width), line
        if number in found.rows:
            assert found.rows[number] == [cell or None for cell in cells]
