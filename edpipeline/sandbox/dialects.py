"""What a roster delivery looks like: files, columns, line ends, quotes. Data, and nothing else.

Columns follow 1EdTech's OneRoster CSV binding, 1.1 and 1.2 (users as corrected in 1.2.1), and, for
the three-file exchange, the export templates of ClassTag's PowerSchool plugin.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Dialect:
    """What a delivery looks like: which files, which columns, which bytes between them."""

    version: Literal["1.1", "1.2"]
    line_end: str
    quote: Literal["never", "necessary"]
    columns: dict[str, tuple[str, ...]] = field(repr=False, hash=False)
    """Every file sent, with its columns in order; `status` and `dateLastModified` stay blank."""
    manifest_of: tuple[str, ...] = field(default=(), repr=False)
    """The version's data files, for manifest.csv; empty where no manifest is sent."""

    @property
    def lists(self) -> bool:
        """Whether a field may hold two items: without quotes the comma would end the field."""
        return self.quote == "necessary"


def _columns(**files: str) -> dict[str, tuple[str, ...]]:
    return {
        file: ("sourcedId", "status", "dateLastModified", *text.split())
        for file, text in files.items()
    }


_COLUMNS_1_1 = _columns(
    orgs="name type identifier parentSourcedId",
    academicSessions="title type startDate endDate parentSourcedId schoolYear",
    courses="schoolYearSourcedId title courseCode grades orgSourcedId subjects subjectCodes",
    classes="""title grades courseSourcedId classCode classType location schoolSourcedId
        termSourcedIds subjects subjectCodes periods""",
    users="""enabledUser orgSourcedIds role username userIds givenName familyName middleName
        identifier email sms phone agentSourcedIds grades password""",
    enrollments="classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate",
    demographics="""birthDate sex americanIndianOrAlaskaNative asian blackOrAfricanAmerican
        nativeHawaiianOrOtherPacificIslander white demographicRaceTwoOrMoreRaces
        hispanicOrLatinoEthnicity countryOfBirthCode stateOfBirthAbbreviation cityOfBirth
        publicSchoolResidenceStatus""",
)
# The corrected layout of users, 1.2.1: resourceSourcedIds is gone.
_COLUMNS_1_2 = _COLUMNS_1_1 | _columns(
    users="""enabledUser username userIds givenName familyName middleName identifier email sms
        phone agentSourcedIds grades password userMasterIdentifier preferredGivenName
        preferredMiddleName preferredFamilyName primaryOrgSourcedId pronouns""",
    roles="userSourcedId roleType role beginDate endDate orgSourcedId userProfileSourcedId",
)
_FILES_1_1 = """academicSessions categories classes classResources courses courseResources
    demographics enrollments lineItems orgs resources results users"""
_FILES_1_2 = """lineItemLearningObjectiveIds lineItemScoreScales resultLearningObjectiveIds
    resultScoreScales roles scoreScales userProfiles userResources"""

POWERSCHOOL = Dialect(
    version="1.1",
    line_end="\r",
    quote="never",
    columns={
        "users": (*_COLUMNS_1_1["users"], "language", "dcid"),
        "classes": _COLUMNS_1_1["classes"],
        "enrollments": _COLUMNS_1_1["enrollments"],
    },
)
"""The three-file exchange as PowerSchool's export templates make it: CR, no quotes, no manifest."""
ONEROSTER_1_1 = Dialect(
    version="1.1",
    line_end="\r\n",
    quote="necessary",
    columns=_COLUMNS_1_1,
    manifest_of=tuple(_FILES_1_1.split()),
)
"""A conformant bulk package of OneRoster 1.1."""
ONEROSTER_1_2 = Dialect(
    version="1.2",
    line_end="\r\n",
    quote="necessary",
    columns=_COLUMNS_1_2,
    manifest_of=tuple(sorted(f"{_FILES_1_1} {_FILES_1_2}".split())),
)
"""A conformant bulk package of OneRoster 1.2, with roles and without the optional userProfiles."""
