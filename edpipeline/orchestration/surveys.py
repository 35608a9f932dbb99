"""What a person should look at of a survey's day: credentials, students, answers.

Counts and names of configurations alone: who it is stands in the tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

from edpipeline.model import Source
from edpipeline.orchestration.checks import (
    ALLOWED,
    CREDENTIALS,
    HAVE_SSID,
    UNDERSTOOD,
    Told,
    landing_check,
    numbers,
)
from edpipeline.orchestration.standing import SurveyDay
from edpipeline.surveying.account import are_usual
from edpipeline.surveying.accounts import LAST_DAYS, WARN_DAYS, days_left, expiry
from edpipeline.uses_of_polls import RefusalLimit, ReportConfiguration


def credentials_valid(
    source: Source, key: str, configurations: Sequence[ReportConfiguration], day: date
) -> dg.AssetCheckEvaluation:
    """Whether credentials end soon, or have ended."""
    left = {each.name: days_left(each, day) for each in configurations}
    told = [
        f"{each.name}: {expiry(each, day)[1]}"
        for each in configurations
        if left[each.name] <= WARN_DAYS
    ]
    is_error = min(left.values(), default=WARN_DAYS) <= LAST_DAYS
    return landing_check(
        source,
        key,
        CREDENTIALS,
        not told,
        "\n".join(told) or f"none end within {WARN_DAYS} days",
        dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        numbers({f"days left of {name}": days for name, days in left.items()}),
    )


def of_survey(
    source: Source, key: str, told: SurveyDay, limit: RefusalLimit
) -> Iterator[dg.AssetCheckEvaluation]:
    """What became of the students; counts alone. Refusals within the limit are usual."""
    table = f"`{source.schema}.current_requests`"
    skipped = {
        "without an SSID": told.no_ssid,
        "with one that is not of 10 digits": told.bad_ssid,
        "of a school without a configuration": told.no_configuration,
    }
    yield _students(source, key, HAVE_SSID, skipped, f"not asked about; {table} has them")
    refused = {"forbidden": told.forbidden, "not found": told.not_found}
    total = sum(refused.values())
    share = total / told.asked if told.asked else 0.0
    share_told = {"share": dg.MetadataValue.float(share)}
    of_asked = f"{share:.1%} of those asked about"
    usual = are_usual(total, told.asked, limit)
    yield _students(source, key, ALLOWED, refused, of_asked, share_told, usual)
    unclear = {"not understood": told.not_understood, "refused as wrong": told.bad_request}
    yield _students(source, key, UNDERSTOOD, unclear, f"{table} says what came")


def _students(
    source: Source,
    key: str,
    check: str,
    counts: Mapping[str, int],
    more: str,
    metadata: Told | None = None,
    is_usual: bool = False,
) -> dg.AssetCheckEvaluation:
    found = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    words = f"students {found}: {more}" if found else "none"
    shown = {**numbers(counts), **(metadata or {})}
    return landing_check(source, key, check, is_usual or not found, words, metadata=shown)
