"""What the synthetic district calls its people, schools and courses.

Only data belongs here; `roster.py` combines it. The lists are ordinary names put together at random
and places that do not exist, so no row describes a real person or a real district. They keep what
breaks careless programs: accents, apostrophes, hyphens, blanks inside a name. No value may hold a
comma or a double quote, because the PowerSchool exchange sends values unquoted.
"""

import unicodedata
from typing import NamedTuple


def _words(text: str) -> tuple[str, ...]:
    """The words of the text; an underscore stands for a blank inside a name."""
    return tuple(word.replace("_", " ") for word in text.split())


GIVEN_NAMES = _words(
    """
    Aaliyah Aarav Abigail Adaeze Aiden Aiko Alejandro Amara Amélie Anaïs Andre Ángel Anh
    Anna-Lise Antonio Aria Asher Ava Beatriz Benjamin Björn Brianna Caleb Camila Carlos Chloë
    Claire Connor D'Andre Daniela David Diego Dmitri Elena Eli Elijah Emma Esmé Ethan Eun-ji
    Ezra Fatima Felix Fiona Gabriel Genesis Grace Hana Hannah Hassan Héctor Henry Hugo Ibrahim
    Imani Inés Isaac Isabel Isaiah Ivy Jada Jalen James Jasmine Jean-Luc Jin José Joshua Juan
    Kai Katherine Keiko Khadija Kwame Layla Leilani Leo Liam Linh Logan Lucía Luka Luna Maëlle
    Malik María Mateo Maya Mei Mia Micah Miguel Mila Minh Mohammed Nadia Naomi Nia Nikolai Noah
    Noé Nora Nuria Oluwaseun Olivia Omar Owen Paige Penélope Priya Quinn Ravi Renée Rosa Ruth
    Ryan Sakura Samir Samuel Sara Seán Sebastián Sienna Siobhán Sofía Stella Tariq Thảo Theo
    Tiana T'Keyah Tomás Uma Valentina Victor Wei William Ximena Yara Yusuf Zainab Zara Zoë Zuri
    """
)

FAMILY_NAMES = _words(
    """
    Abara Abbott Acosta Adeyemi Aguilar Ahmed Åkesson Alvarez Anderson Baker Banerjee Barnes
    Beaulieu Begay Bell Bennett Bjørnstad Brooks Brown Bùi Calderón Campbell Carter Castillo
    Chavez Chen Cheng Clark Coleman Cook Cooper Cruz D'Amico D'Souza Davis Delacroix Díaz Dubois
    Edwards Eriksen Escobar Espinoza Evans Farah Fernández Fischer Fitzgerald Flores Foster
    Fraser Fuentes García Gómez González Grant Gray Greene Gutiérrez Hall Hansen Harris Hassan
    Hernández Hill Hoang Howard Huang Hughes Ibáñez Ito Jackson Jensen Jiménez Johnson Jones
    Kaur Kelly Khan Kim King Kowalski Kumar Le Lee Lewis Lin Long López Mahelona Martin Martínez
    McBride McKenna Mendoza Miller Mitchell Moore Morales Moreau Moreno Muñoz Murphy Myers
    Nakamura Nguyễn Núñez O'Brien O'Connor O'Neil Okafor Ortega Ortiz Osei Park Patel Peña Pérez
    Peterson Phạm Phillips Powell Quintero Ramírez Reed Reyes Rivera Roberts Rodríguez Ross Ruiz
    Salazar Sánchez Santos Schäfer Shah Silva Singh Smith Soto Stewart Sullivan Suzuki Tanaka
    Taylor Thomas Thompson Torres Trần Turner Urbina Vang Vargas Vázquez Walker Wang Ward
    Washington Watson White Williams Wilson Wong Wright Xiong Yamamoto Yang Yazzie Young Zapata
    Zhang Zieliński García-López Nguyễn-Reed Okafor-Bell Smith-O'Connor
    de_la_Cruz Dela_Peña St._James van_der_Berg
    """
)

MIDDLE_NAMES = _words(
    """
    Alma Anne Blake Cruz Dale Eve Fay Gray Jade James Jo José Jude Kim Lane Lee Luz María Mae
    Noor Paz Ray Reese Rhys Rose Sage Sky Tate Vale Wren
    """
)

DISTRICT_NAME = "Quillmere Unified School District"

_PLACE_BEGINNINGS = _words(
    """
    Quill Bracken Larken Tessa Ondra Merri Fennel Wether Sorrel Yarrow Cinder Hollis Juni
    Kestrel Lumen Marrow Nettle Ostler Pember Rook Saffron Thistle Umber Vesper
    """
)
_PLACE_ENDINGS = _words(
    """
    mere fold by line wick stow ridge ford holm den croft vale moor gate haven marsh reach brook
    stead well combe thorpe garth leigh
    """
)

LANGUAGES = ("en",) * 30 + ("es",) * 6 + ("vi", "zh", "ar", "fr")
"""ISO 639-1 codes, each as often as it should be drawn."""

GRADES = ("KG", *(f"{grade:02d}" for grade in range(1, 13)))
"""CEDS grade levels, lowest first."""


class Level(NamedTuple):
    """A kind of school: its lowest grade's place in `GRADES`, and how many grades it teaches."""

    name: str
    lowest: int
    grades: int


ELEMENTARY = Level("Elementary School", lowest=0, grades=6)
MIDDLE = Level("Middle School", lowest=6, grades=3)
HIGH = Level("High School", lowest=9, grades=4)
LEVELS = (ELEMENTARY, MIDDLE, HIGH, ELEMENTARY)
"""The levels of a district's schools, in turn: each grade gets about as many students."""


class Subject(NamedTuple):
    """What is taught in one period: its name, a course prefix, and the SCED subject area."""

    title: str
    prefix: str
    area: str
    area_code: str


_LANGUAGE_ARTS = "English Language and Literature"
_SCIENCE = "Life and Physical Sciences"
_SOCIAL = "Social Sciences and History"
_ARTS = "Visual and Performing Arts"
_HEALTH = "Physical Health and Safety Education"

SUBJECTS = {
    ELEMENTARY.name: (
        Subject("Homeroom", "HR", "Miscellaneous", "22"),
        Subject("Reading & Writing", "ELA", _LANGUAGE_ARTS, "01"),
        Subject("Mathematics", "MAT", "Mathematics", "02"),
        Subject("Science", "SCI", _SCIENCE, "03"),
        Subject("Social Studies", "SOC", _SOCIAL, "04"),
        Subject("Art", "ART", _ARTS, "05"),
        Subject("Music", "MUS", _ARTS, "05"),
    ),
    MIDDLE.name: (
        Subject("English Language Arts", "ELA", _LANGUAGE_ARTS, "01"),
        Subject("Mathematics", "MAT", "Mathematics", "02"),
        Subject("Science", "SCI", _SCIENCE, "03"),
        Subject("Social Studies", "SOC", _SOCIAL, "04"),
        Subject("Español / Spanish", "SPA", "World Languages", "24"),
        Subject("Physical Education", "PHE", _HEALTH, "08"),
        Subject("Band", "MUS", _ARTS, "05"),
    ),
    HIGH.name: (
        Subject("Literature & Composition", "ELA", _LANGUAGE_ARTS, "01"),
        Subject("Integrated Mathematics (H)", "MAT", "Mathematics", "02"),
        Subject("Laboratory Science", "SCI", _SCIENCE, "03"),
        Subject("History", "SOC", _SOCIAL, "04"),
        Subject("Español / Spanish", "SPA", "World Languages", "24"),
        Subject("Physical Education", "PHE", _HEALTH, "08"),
        Subject("Driver's Education", "DRV", "Miscellaneous", "22"),
    ),
}
"""Seven subjects a level, one for each period of the day."""


class Course(NamedTuple):
    """A subject in one grade."""

    subject: Subject
    grade: str

    @property
    def code(self) -> str:
        """Unique in the district: `MAT07`."""
        return f"{self.subject.prefix}{self.grade}"

    @property
    def title(self) -> str:
        """`Mathematics 07`."""
        return f"{self.subject.title} {self.grade}"

    @property
    def class_type(self) -> str:
        """OneRoster's classType."""
        return "homeroom" if self.subject.prefix == "HR" else "scheduled"


def courses() -> list[Course]:
    """Every course, by grade, then by period: course `7 * grade + period` is at that place."""
    return [
        Course(subject, grade)
        for level in dict.fromkeys(LEVELS)
        for grade in GRADES[level.lowest : level.lowest + level.grades]
        for subject in SUBJECTS[level.name]
    ]


def plain(name: str) -> str:
    """The name in lower-case ASCII letters alone, as usernames and e-mail addresses want it."""
    folded = unicodedata.normalize("NFKD", name.lower().replace("ø", "o"))
    return "".join(letter for letter in folded if "a" <= letter <= "z")


def school_name(number: int) -> str:
    """A name for the school of that number (from 0), different from every other number's."""
    beginnings, endings = len(_PLACE_BEGINNINGS), len(_PLACE_ENDINGS)
    # The two lists are walked together, the second one step further after each turn of the first,
    # so that neighbouring schools share neither half of their names.
    turn, beginning = divmod(number, beginnings)
    round_, shift = divmod(turn, endings)
    place = _PLACE_BEGINNINGS[beginning] + _PLACE_ENDINGS[(beginning + shift) % endings]
    suffix = f" No. {round_ + 1}" if round_ else ""
    return f"{place} {LEVELS[number % len(LEVELS)].name}{suffix}"
