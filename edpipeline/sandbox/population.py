"""A synthetic district: who is there on a given night, and in which classes.

`Population` is a pure function of (size, seed, night, change): no files, no dialects; those are
`roster.py` and `dialects.py`.

How nights work. Every student's seat, staff post, section and enrollment ages: each night about
`change` of them take one step. Most steps edit the row (a phone number, a room, a date). One step
in eight empties a student's seat, and the next puts another student there under a new id; posts and
sections are renewed under a new id without a gap; half of an enrollment's steps move the student
to another section. So rows are added, changed and removed every night, in unequal numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from edpipeline.sandbox import names
from edpipeline.sandbox.draws import Numbers, draw, identity, pick
from edpipeline.sandbox.sizes import Size, schools

Values = dict[str, pl.Series]

DISTRICT_ID = "0100"
BATCH = 1 << 16
"""Seats, posts or sections made at a time: up to 360 thousand enrollments, some 100 MB."""
STAGES = 8
"""Steps until a seat, post or section is renewed under a new id."""
PERIODS = 7
_MILLION = 1_000_000
_LOWEST_NUMBER = 101
"""Where the numbers of every kind begin: PowerSchool's number spaces overlap, so do ours."""


def _frame(values: Values, **constants: str) -> pl.DataFrame:
    return pl.DataFrame(values).with_columns(
        **{name: pl.lit(value) for name, value in constants.items()}
    )


def _batches(total: int) -> Iterator[Numbers]:
    for first in range(0, total, BATCH):
        yield np.arange(first, min(first + BATCH, total))


class _Seated(NamedTuple):
    """The students present, one element each: where they sit, and who sits there."""

    seat: Numbers
    step: Numbers
    number: Numbers
    school: Numbers
    grade: Numbers


class _Taught(NamedTuple):
    """The sections taught, one element each; `which` counts a course's sections in one school."""

    section: Numbers
    step: Numbers
    number: Numbers
    school: Numbers
    course: Numbers
    which: Numbers


@dataclass(frozen=True)
class Population:
    """One district on one night.

    Frames come in batches, in a stable order, one row a person, section or enrollment. Columns are
    named as in the OneRoster files; a few more hold what a dialect puts elsewhere.
    """

    size: Size
    seed: int = 1
    night: int = 0
    change: float = 0.01
    school_year: int = 2027
    """The year in which the school year ends."""

    def __post_init__(self) -> None:
        if self.night < 0 or not 0 <= self.change <= 1:
            raise ValueError("a night is 0 or later, and change is a share from 0 to 1")

    @property
    def first_day(self) -> date:
        """The first day of school."""
        return date(self.school_year - 1, 8, 17)

    @property
    def day_after(self) -> date:
        """The day after the last day of school: OneRoster's end dates are exclusive."""
        return date(self.school_year, 5, 29)

    @property
    def second_half(self) -> date:
        """The first day of the second semester."""
        return date(self.school_year, 1, 4)

    @property
    def year_id(self) -> str:
        """PowerSchool's number of the school year: 36 for 2026-2027."""
        return str(self.school_year - 1991)

    @property
    def term(self) -> int:
        """PowerSchool's number of the full-year term: 3600 in 2026-2027; 3601, 3602 are halves."""
        return (self.school_year - 1991) * 100

    @cached_property
    def school_ids(self) -> tuple[str, ...]:
        """School ids in order."""
        return tuple(schools(self.size))

    # How the district is laid out: each school has the same number of seats, posts and section
    # numbers, so that any row's place follows from its number by arithmetic alone.

    @cached_property
    def _seats(self) -> int:
        """Seats a school; one stage in eight is an empty one."""
        return -(-self.size.students * STAGES // ((STAGES - 1) * self.size.schools))

    @cached_property
    def _teachers(self) -> int:
        """Teachers a school."""
        return max(1, round(self.size.students / self.size.schools / 15))

    @cached_property
    def _levels(self) -> Numbers:
        """A row a level: its lowest grade, its grades, its sections of each grade and period."""
        students = self.size.students / self.size.schools
        return np.array(
            [
                (it.lowest, it.grades, max(1, round(students / it.grades / 25)))
                for it in names.LEVELS
            ]
        )

    @cached_property
    def _sections(self) -> int:
        """Section numbers a school: what the level with most needs; others leave some unused."""
        return int((self._levels[:, 1] * self._levels[:, 2]).max()) * PERIODS

    def _level(self, school: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        lowest, grades, sections = self._levels[school % len(self._levels)].T
        return lowest, grades, sections

    def _steps(self, what: str, index: Numbers, share: float = 1.0) -> tuple[Numbers, Numbers]:
        """The stage at night 0 (0 to 7), and the steps taken since.

        Each thing has its own phase, so every night `change * share` of them step, and each of
        them steps once in `1 / (change * share)` nights.
        """
        drawn = draw(self.seed, f"{what} phase", index)
        pace = round(self.change * share * _MILLION)
        return (drawn >> 40) % STAGES, (self.night * pace + drawn % _MILLION) // _MILLION

    def _renewed(self, what: str, index: Numbers, total: int) -> tuple[Numbers, Numbers]:
        """The current number of what holds each place, and its steps since it came."""
        start, taken = self._steps(what, index)
        generation, step = np.divmod(start + taken, STAGES)
        return _LOWEST_NUMBER + index + generation * total, step

    def users(self) -> Iterator[pl.DataFrame]:
        """Staff, students, first guardians, second ones. `dcid` is the number in the sourcedId."""
        for post in _batches(self.size.schools * (1 + self._teachers)):
            yield self._staff(post)
        yield from self.students()
        for which in (0, 1) if self.size.guardians else ():
            for seat in _batches(self.size.schools * self._seats):
                seated = self._seated(seat)
                yield self._guardians(seated, self._guardian_numbers(seated)[which])

    def students(self) -> Iterator[pl.DataFrame]:
        """The students alone; they also have `birthDate` and `sex`."""
        for seat in _batches(self.size.schools * self._seats):
            yield self._students(self._seated(seat))

    def _seated(self, seat: Numbers) -> _Seated:
        number, step = self._renewed("seat", seat, self.size.schools * self._seats)
        present = step < STAGES - 1
        seat, number, step = seat[present], number[present], step[present]
        school, place = np.divmod(seat, self._seats)
        lowest, grades, _ = self._level(school)
        return _Seated(seat, step, number, school, lowest + place * grades // self._seats)

    def _person(self, who: str, number: Numbers, step: Numbers, school: Numbers) -> Values:
        """What every user has; `who` is S, T or G, the first letter of the sourcedId.

        A step shows as another phone number, and from the fourth on as a middle name.
        """
        given = draw(self.seed, f"{who} given name", number) % len(names.GIVEN_NAMES)
        family = draw(self.seed, f"{who} family name", number) % len(names.FAMILY_NAMES)
        middle = draw(self.seed, f"{who} middle name", number) % len(names.MIDDLE_NAMES)
        language = draw(self.seed, f"{who} language", number) % len(names.LANGUAGES)
        phone = draw(self.seed, f"{who} phone", number)
        # 555-0100 to 555-0199 belong to nobody: they are kept for fiction.
        phone = (200 + phone % 790) * 10_000_000 + 5_550_100 + (phone // 790 + step) % 100
        return {
            "sourcedId": identity(who, number),
            "dcid": pl.Series(number),
            "primaryOrgSourcedId": pick(self.school_ids, school),
            "givenName": pick(names.GIVEN_NAMES, given),
            "familyName": pick(names.FAMILY_NAMES, family),
            "middleName": pick((None, *names.MIDDLE_NAMES), np.where(step < 4, 0, 1 + middle)),
            "username": pick([names.plain(name) for name in names.GIVEN_NAMES], given)
            + "."
            + pick([names.plain(name) for name in names.FAMILY_NAMES], family)
            + identity(f".{who.lower()}", number),
            "phone": identity("+1", phone),
            "language": pick(names.LANGUAGES, language),
        }

    def _staff(self, post: Numbers) -> pl.DataFrame:
        """An administrator and the teachers of each school; one teacher in 40 serves two."""
        number, step = self._renewed("post", post, self.size.schools * (1 + self._teachers))
        school, place = np.divmod(post, 1 + self._teachers)
        values = self._person("T", number, step, school)
        serves_two = (place > 0) & (draw(self.seed, "second school", number) % 40 == 0)
        next_school = (school + 1) % self.size.schools
        second = np.where(serves_two & (next_school != school), 1 + next_school, 0)
        values |= {
            "role": pick(("administrator", "teacher"), np.minimum(place, 1)),
            "secondOrgSourcedId": pick((None, *self.school_ids), second),
            "identifier": identity("E", number),
            "email": values["username"] + "@staff.quillmere.example",
        }
        return _frame(values, enabledUser="true")

    def _students(self, seated: _Seated) -> pl.DataFrame:
        number = seated.number
        values = self._person("S", number, seated.step, seated.school)
        # The factor shares no divisor with the modulus, so state ids are unique.
        state_id = number * 7_368_787 % 10_000_000_000
        # Five years old on the first of September of the year in kindergarten.
        oldest = [f"{self.school_year - 7 - grade}-09-02" for grade in range(len(names.GRADES))]
        born = np.array(oldest, dtype="datetime64[D]")[seated.grade]
        born += draw(self.seed, "birthday", number) % 365
        first, second = self._guardian_numbers(seated)
        values |= {
            "userIds": "{SSID:" + pl.Series(state_id).cast(pl.String).str.zfill(10) + "}",
            "identifier": pl.Series(number).cast(pl.String).str.zfill(7),
            "email": values["username"] + "@students.quillmere.example",
            "agentSourcedId": identity("G", first).set(pl.Series(first < 0), None),
            "secondAgentSourcedId": identity("G", second).set(pl.Series(second < 0), None),
            "grades": pick(names.GRADES, seated.grade),
            "birthDate": pl.Series(born).cast(pl.String),
            "sex": pick(("female", "male"), draw(self.seed, "sex", number) % 2),
        }
        return _frame(values, role="student", enabledUser="true")

    def _guardian_numbers(self, seated: _Seated) -> tuple[Numbers, Numbers]:
        """The numbers of each student's first and second guardian; -1 where there is none.

        Three quarters of the number wished for are first guardians, one quarter second ones.
        """
        share = draw(self.seed, "guardians", seated.number) % _MILLION
        wished = round(self.size.guardians * _MILLION)
        first = np.where(4 * share < 3 * wished, 2 * seated.number, -1)
        second = np.where(4 * share < wished, 2 * seated.number + 1, -1)
        return first, second

    def _guardians(self, seated: _Seated, number: Numbers) -> pl.DataFrame:
        """Each one's agentSourcedId is the student."""
        seated = _Seated(*(it[number >= 0] for it in seated))
        number = number[number >= 0]
        values = self._person("G", number, seated.step, seated.school)
        role = draw(self.seed, "guardian role", number) % 10
        values |= {
            "role": pick(("parent",) * 8 + ("guardian", "relative"), role),
            "email": values["username"] + "@mail.example",
            "sms": values["phone"],
            "agentSourcedId": identity("S", seated.number),
        }
        return _frame(values, enabledUser="true")

    def classes(self) -> Iterator[pl.DataFrame]:
        """Sections. A step shows as another room, the eighth as another id."""
        for section in _batches(self.size.schools * self._sections):
            yield self._classes(self._taught(section))

    def enrollments(self) -> Iterator[pl.DataFrame]:
        """The students' enrollments, six or seven each, then every section's teacher."""
        for seat in _batches(self.size.schools * self._seats):
            yield self._student_enrollments(self._seated(seat))
        for section in _batches(self.size.schools * self._sections):
            yield self._teacher_enrollments(self._taught(section))

    def _taught(self, section: Numbers) -> _Taught:
        number, step = self._renewed("section", section, self.size.schools * self._sections)
        school, place = np.divmod(section, self._sections)
        lowest, grades, parallel = self._level(school)
        course, which = np.divmod(place, parallel)
        used = course < grades * PERIODS
        course += lowest * PERIODS
        return _Taught(*(it[used] for it in (section, step, number, school, course, which)))

    def _classes(self, taught: _Taught) -> pl.DataFrame:
        courses = names.courses()
        codes = pick([course.code for course in courses], taught.course)
        section = pl.Series(taught.which + 1).cast(pl.String)
        school = pick(self.school_ids, taught.school)
        room = draw(self.seed, "room", taught.number) % 60 + taught.step
        values = {
            "sourcedId": pl.Series(taught.number),
            "title": pick([it.title for it in courses], taught.course) + " - Section " + section,
            "grades": pick([it.grade for it in courses], taught.course),
            "courseSourcedId": codes,
            "classCode": codes + "-" + section,
            "classType": pick([it.class_type for it in courses], taught.course),
            "location": identity("Room ", 100 + room),
            "schoolSourcedId": school,
            "termSourcedId": school + f"-{self.term}",
            "firstHalfSourcedId": school + f"-{self.term + 1}",
            "secondHalfSourcedId": school + f"-{self.term + 2}",
            "subjects": pick([it.subject.area for it in courses], taught.course),
            "subjectCodes": pick([it.subject.area_code for it in courses], taught.course),
            "periods": identity("", taught.course % PERIODS + 1) + "(A)",
        }
        return _frame(values)

    def _student_enrollments(self, seated: _Seated) -> pl.DataFrame:
        """One in four students has a seventh period."""
        periods = np.tile(np.arange(PERIODS), len(seated.seat))
        late = np.repeat(draw(self.seed, "seventh period", seated.number) % 4 == 0, PERIODS)
        taken = (periods < PERIODS - 1) | late
        period = periods[taken]
        seat, _, student, school, grade = (np.repeat(it, PERIODS)[taken] for it in seated)
        place = seat * PERIODS + period
        # A student who leaves and a section that is renewed change enrollments too, each an
        # eighth of the steps; the rest are the enrollments' own.
        start, steps = self._steps("enrollment", place, share=3 / 4)
        moves = (start + steps) // 2 - start // 2
        weeks = np.minimum(steps - moves, 30)
        lowest, _, parallel = self._level(school)
        which = (draw(self.seed, "which section", place) + moves) % parallel
        section = ((grade - lowest) * PERIODS + period) * parallel + which
        section += school * self._sections
        total = self.size.schools * self._seats
        generation = (student - _LOWEST_NUMBER - seat) // total
        number = _LOWEST_NUMBER + place + (generation + moves) * total * PERIODS
        classes, _ = self._renewed("section", section, self.size.schools * self._sections)
        first_days = [str(self.first_day + timedelta(weeks=week)) for week in range(31)]
        values = {
            "sourcedId": identity("S", number),
            "classSourcedId": pl.Series(classes),
            "schoolSourcedId": pick(self.school_ids, school),
            "userSourcedId": identity("S", student),
            "beginDate": pick(first_days, weeks),
        }
        return _frame(values, role="student", primary="false", endDate=str(self.day_after))

    def _teacher_enrollments(self, taught: _Taught) -> pl.DataFrame:
        """A renewed section goes to the next teacher of the school."""
        posts = 1 + self._teachers
        turn = taught.number // (self.size.schools * self._sections)
        post = taught.school * posts + 1 + (taught.section + turn) % self._teachers
        teacher, _ = self._renewed("post", post, self.size.schools * posts)
        values = {
            "sourcedId": identity("T", taught.number),
            "classSourcedId": pl.Series(taught.number),
            "schoolSourcedId": pick(self.school_ids, taught.school),
            "userSourcedId": identity("T", teacher),
        }
        return _frame(
            values,
            role="teacher",
            primary="true",
            beginDate=str(self.first_day),
            endDate=str(self.day_after),
        )
