"""Every code that a report can show, once: what it means and what to do about it.

Codes are stable: districts filter on them. A code is never given another meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["row", "file", "delivery"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Code:
    """One finding: `error` rejects what it is about (row, file or delivery), `warning` keeps it."""

    name: str
    level: Level
    severity: Severity
    meaning: str
    remedy: str


_ALL = (
    Code(
        "row_too_short",
        "row",
        "error",
        "The row has fewer fields than the header.",
        "Look for a missing comma, or for a value that was cut off.",
    ),
    Code(
        "row_too_long",
        "row",
        "error",
        "The row has more fields than the header.",
        "A value holds a comma: surround values with quotes in the export, or remove the comma.",
    ),
    Code(
        "bad_quoting",
        "row",
        "error",
        "Quotes in the row do not close or stand inside a value.",
        "Double every quote inside a quoted value; a value must not contain a line break.",
    ),
    Code(
        "control_character",
        "row",
        "error",
        "The row holds a NUL character.",
        "Remove it in the source system.",
    ),
    Code(
        "row_cut_off",
        "row",
        "error",
        "The last row lacks the line end that the file usually has; it may have been cut off.",
        "Send the file again, whole.",
    ),
    Code(
        "missing_value",
        "row",
        "error",
        "A value that every row must have is blank.",
        "Fill it in the source system.",
    ),
    Code(
        "bad_id",
        "row",
        "error",
        "An id is longer than 255 characters or has others than 0-9 A-Z a-z . - _ / @.",
        "Export the plain id; blanks and other signs are not allowed in OneRoster ids.",
    ),
    Code(
        "bad_list",
        "row",
        "error",
        "A list of ids has an empty item or an item that is no id.",
        "Separate the ids by single commas, the whole list in quotes.",
    ),
    Code(
        "bad_code",
        "row",
        "error",
        "The value is not one of those the column allows.",
        "Map it to one of the allowed values in the export.",
    ),
    Code(
        "bad_date",
        "row",
        "error",
        "The value is not a date of the form YYYY-MM-DD.",
        "Export dates as YYYY-MM-DD; spreadsheets turn them on saving.",
    ),
    Code(
        "bad_boolean",
        "row",
        "error",
        "The value is neither true nor false.",
        "Export true or false.",
    ),
    Code("bad_number", "row", "error", "The value is not a number.", "Export a plain number."),
    Code(
        "bad_year",
        "row",
        "error",
        "The value is not a year of four digits.",
        "Export the year in which the school year ends, such as 2027.",
    ),
    Code(
        "bad_timestamp",
        "row",
        "error",
        "The value is not an ISO 8601 date and time in UTC.",
        "Export it as 2026-09-01T18:25:43.511Z.",
    ),
    Code(
        "missing_in_delta",
        "row",
        "error",
        "A delta row must have status and dateLastModified.",
        "Fill both, or send the file as bulk.",
    ),
    Code(
        "duplicate_conflict",
        "row",
        "error",
        "Several rows have the same key and differ; none of them is used.",
        "Keep one of them in the source system.",
    ),
    Code(
        "reference_missing",
        "row",
        "error",
        "The row names a record that is not in the roster.",
        "Send the missing record, or take this row out.",
    ),
    Code(
        "reference_lost_zeros",
        "row",
        "error",
        "The row names a record that exists only with other leading zeros.",
        "Leading zeros were lost on the way: export ids as text and do not save with Excel.",
    ),
    Code(
        "duplicate_row",
        "row",
        "warning",
        "The same row is there more than once; one is used.",
        "Remove the copies from the export.",
    ),
    Code(
        "value_dropped",
        "row",
        "warning",
        "An optional value is not usable and was left out; the row is used.",
        "See the column's description for what is allowed.",
    ),
    Code(
        "code_case",
        "row",
        "warning",
        "The value is right but for upper and lower case.",
        "Write it exactly as the standard does.",
    ),
    Code(
        "blanks_removed",
        "row",
        "warning",
        "Blanks around the value were removed.",
        "Remove them in the source system.",
    ),
    Code(
        "status_inactive",
        "row",
        "warning",
        "status is inactive, read as tobedeleted.",
        "OneRoster 1.1 knows active and tobedeleted only.",
    ),
    Code(
        "year_range",
        "row",
        "warning",
        "A range of years was read as the year in which it ends.",
        "Export the end year only, such as 2027.",
    ),
    Code(
        "dates_reversed",
        "row",
        "warning",
        "The row ends before it begins.",
        "Correct one of the two dates.",
    ),
    Code(
        "list_not_equal",
        "row",
        "warning",
        "Two lists that belong together differ in length.",
        "Give subjects and subjectCodes in the same order and number.",
    ),
    Code(
        "reference_unknown",
        "row",
        "warning",
        "The row names a record that is not in the roster; the row is used as it is.",
        "Send the missing record, or clear the value.",
    ),
    Code(
        "stamped_in_bulk",
        "file",
        "warning",
        "status or dateLastModified is filled in a bulk file.",
        "Leave both blank in bulk files.",
    ),
    Code(
        "damaged_text",
        "row",
        "warning",
        "The text was damaged before it was sent (encoding).",
        "Export with character set UTF-8 all the way.",
    ),
    Code("empty_file", "file", "error", "The file has no bytes.", "Export it again."),
    Code(
        "no_rows",
        "file",
        "error",
        "The file has a header but no rows; yesterday's rows stay.",
        "In summer PowerSchool exports no enrollments: pause the sync or ignore this.",
    ),
    Code("not_text", "file", "error", "The file is not CSV.", "Export CSV."),
    Code(
        "bad_encoding",
        "file",
        "error",
        "The file is not in an encoding the district allows.",
        "Export with character set UTF-8.",
    ),
    Code(
        "mixed_line_ends",
        "file",
        "error",
        "The file mixes kinds of line ends.",
        "Export with one kind; values must not contain line breaks.",
    ),
    Code(
        "no_header",
        "file",
        "error",
        "The first line names no known column.",
        "Include the column headers in the export.",
    ),
    Code(
        "missing_columns",
        "file",
        "error",
        "Columns that must be there are not.",
        "Add them to the export.",
    ),
    Code(
        "repeated_columns",
        "file",
        "error",
        "Two headers name the same column.",
        "Remove one of them, or correct its label.",
    ),
    Code(
        "truncated",
        "file",
        "error",
        "The file ends in the middle of a row.",
        "It was cut off on the way: send it again.",
    ),
    Code(
        "no_usable_rows",
        "file",
        "error",
        "Every row of the file was rejected.",
        "See the rows' codes: a file like this is usually exported with the wrong settings.",
    ),
    Code(
        "missing_file",
        "file",
        "error",
        "The file did not come; yesterday's rows stay.",
        "Add it to the export.",
    ),
    Code(
        "extra_columns",
        "file",
        "warning",
        "Columns that are not known were kept out.",
        "Nothing, unless a column was misspelt.",
    ),
    Code(
        "renamed_columns",
        "file",
        "warning",
        "Headers were read under their standard names.",
        "Remove the prefixes in the export's labels.",
    ),
    Code(
        "optional_columns_missing",
        "file",
        "warning",
        "Optional columns are not in the file.",
        "Nothing, unless you want them.",
    ),
    Code(
        "fallback_encoding",
        "file",
        "warning",
        "The file is not UTF-8 and was read in an encoding that the district allows.",
        "Export with character set UTF-8.",
    ),
    Code(
        "no_final_line_end",
        "file",
        "warning",
        "The last row has no line end: the file may have been cut off.",
        "Compare the number of rows with the source system.",
    ),
    Code(
        "unchecked_reference",
        "file",
        "warning",
        "References were not checked: neither the file they point to nor a list is there.",
        "Send that file, or list the school ids in the districts file.",
    ),
    Code(
        "file_name_case",
        "file",
        "warning",
        "The file's name is written in another case.",
        "Write it exactly as the standard does.",
    ),
    Code(
        "ids_replaced",
        "file",
        "warning",
        "Hardly any id of yesterday is left: the ids may have been made anew.",
        "Check with the source system before approving the removals.",
    ),
    Code(
        "manifest_wrong",
        "delivery",
        "warning",
        "manifest.csv is not as the standard wants it; it was read as meant.",
        "Correct the property that is named.",
    ),
    Code(
        "unknown_file",
        "delivery",
        "warning",
        "A file is not part of OneRoster and was left.",
        "Nothing, unless it was misnamed.",
    ),
    Code(
        "not_oneroster",
        "delivery",
        "error",
        "None of the files is a OneRoster file.",
        "Send users.csv, classes.csv and enrollments.csv.",
    ),
    Code(
        "file_twice",
        "delivery",
        "error",
        "A file came more than once, and not the same.",
        "Send every file once: loose, or in one zip.",
    ),
    Code(
        "unsafe_archive",
        "delivery",
        "error",
        "The zip cannot be opened safely.",
        "Make a plain zip with the CSV files at its top.",
    ),
    Code(
        "unknown_version",
        "delivery",
        "error",
        "The manifest names a version we do not know.",
        "Send OneRoster 1.1 or 1.2.",
    ),
    Code(
        "first_delivery_unusable",
        "delivery",
        "error",
        "A first delivery needs all its core files in order.",
        "Correct the files that were refused and send the whole set again.",
    ),
)

CODES: Mapping[str, Code] = {code.name: code for code in _ALL}
