"""How big a synthetic district is."""

from dataclasses import dataclass

from edpipeline.sandbox import names


@dataclass(frozen=True)
class Size:
    """How big a district is. It has about 6.5 enrollments a student and one teacher for 15."""

    students: int
    schools: int
    guardians: float = 0.0
    """Guardians a student, on average; from 0 to 4/3, because no student has more than two."""

    def __post_init__(self) -> None:
        if not 1 <= self.schools <= min(self.students, 9_800):
            raise ValueError("a size needs 1 to 9,800 schools and at least one student for each")
        if not 0 <= self.guardians <= 4 / 3:
            raise ValueError("a size takes from 0 to 4/3 guardians a student")


DEMO = Size(students=2_000, schools=4, guardians=1.2)
SMALL = Size(students=230, schools=3, guardians=1.2)
"""About 1,500 enrollments."""
DISTRICT = Size(students=23_000, schools=46)
"""About 150 thousand enrollments."""
LARGE = Size(students=614_000, schools=900)
"""About 4 million enrollments."""
STATE = Size(students=6_140_000, schools=9_000)
"""About 40 million enrollments."""


def schools(size: Size) -> dict[str, str]:
    """The district's schools, id to name, in order of id. Ids have four digits: `0101`."""
    return {f"{101 + number:04d}": names.school_name(number) for number in range(size.schools)}
