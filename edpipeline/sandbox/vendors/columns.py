"""The columns of STAR's files, in order. Source: headers of the vendor's nightly extract.

Only names belong here.
"""


def _group(prefix: str, members: str) -> tuple[str, ...]:
    return tuple(prefix + member for member in members.split())


_PERSON = "RenaissanceID SourcedID Identifier UserID StateID Email FirstName MiddleName LastName"
_PLACE = "RenaissanceID SourcedID Identifier StateID Name"
_OWN_BENCHMARK = (
    "CategoryName Proficient CategoryLevel NumberOfCategoryLevels MinPercentileRank"
    " MaxPercentileRank"
)
_GROWTH = "FallFall FallSpring FallWinter SpringFall SpringSpring WinterSpring"

_BEFORE_SCORES = (
    *("RenaissanceClientID", "SchoolYear", "SchoolYearStartDate", "SchoolYearEndDate"),
    *_group("Student", _PERSON),
    *("Gender", "BirthDate", "MultiRace", "HispanicOrLatino", "AmericanIndianOrAlaskaNative"),
    *("Asian", "BlackOrAfricanAmerican", "NativeHawaiianOrOtherPacificIslander", "White"),
    *("CurrentGrade", "EnrollmentStatus"),
    *_group("District", _PLACE),
    *_group("School", _PLACE),
    *_group("Course", "RenaissanceID SourcedID Code Name"),
    *_group("Class", "RenaissanceID SourcedID Code"),
    *("GroupID", "GroupOrClassName"),
    *_group("Teacher", _PERSON),
    *("AssessmentID", "LaunchDate", "CompletedDate", "CompletedDateLocal", "AssessmentNumber"),
    *("AssessmentType", "AssessmentStatus", "DeactivationReason", "GradePlacement", "Grade"),
    "ExtraTime",
)
_SCORES = (
    *("ScaledScore", "StandardErrorOfMeasurement", "RaschScore", "UnifiedScore"),
    "PartnershipForAssessmentOfReadinessForCollegeAndCareers",
    *("SmarterBalancedAssessmentConsortium", "OpenGrowthScore", "GradeEquivalent"),
    *("PercentileRank", "NormalCurveEquivalent"),
)
_COUNTS = ("TotalTimeInSeconds", "TotalCorrect", "TotalPossible")
_BENCHMARKS = (
    *_group("StudentGrowthPercentile", _GROWTH),
    *("ScreeningPeriodWindowName", "ScreeningWindowStartDate", "ScreeningWindowEndDate"),
    *_group(
        "RenaissanceBenchmarkCategory",
        "Name Level NumberOfLevels MinPercentileRank MaxPercentileRank",
    ),
    *_group(
        "StateBenchmark",
        "AssessmentName CategoryName Proficient CategoryLevel NumberOfCategoryLevels"
        " MinScaledScore MaxScaledScore",
    ),
    *_group("DistrictBenchmark", _OWN_BENCHMARK),
    *_group("SchoolBenchmark", _OWN_BENCHMARK),
    "CurrentSGP",
)
_TAKEN = ("TakenAt", "TakenAtByIPAddress", "StudentDisplayID", "TeacherDisplayID")
_COLLEGE = ("SATBenchmarkCategory", "ACTBenchmarkCategory")
_LEXILE_ZONE = ("LowerLexileZoneOfProximalDevelopment", "UpperLexileZoneOfProximalDevelopment")

OVERALL: dict[str, tuple[str, ...]] = {
    "SR": (
        *(*_BEFORE_SCORES, *_SCORES, "InstructionalReadingLevel", "EstimatedOralReadingFluency"),
        *("LowerZoneOfProximalDevelopment", "UpperZoneOfProximalDevelopment", "Lexile"),
        *(*_LEXILE_ZONE, *_COUNTS),
        *_group("Grade3_", "AssessmentAttempts PassingStatus PassingScore"),
        *(*_BENCHMARKS, *_TAKEN, *_COLLEGE),
    ),
    "SM": (
        *(*_BEFORE_SCORES, "Audio", *_SCORES, *_COUNTS),
        *(*_BENCHMARKS, "Quantile", *_TAKEN, *_COLLEGE),
    ),
    "SEL": (
        *(*_BEFORE_SCORES, *_SCORES, "EstimatedOralReadingFluency", "LiteracyClassification"),
        *(*_COUNTS, *_BENCHMARKS, *_TAKEN, "Lexile", "LexileRange"),
    ),
}
"""By product: Reading, Math, Early Literacy."""

_DETAIL = (
    *("RenaissanceClientID", "SchoolYear"),
    *_group("Student", "RenaissanceID SourcedID Identifier UserID StateID"),
    *("AssessmentID", "LaunchDate", "CompletedDate", "CompletedDateLocal"),
)
STANDARDS = (
    *_DETAIL,
    *_group("Domain", "Group Name PercentMastery ConfidenceLevel MasteryLevel"),
    *_group("Standard", "Name Description PercentMastery ConfidenceLevel MasteryLevel"),
)
SKILL_AREAS = (
    *_DETAIL,
    *("FamilyName", "DomainName", "DomainScore", "SkillAreaName", "SkillAreaMasteryScore"),
)
