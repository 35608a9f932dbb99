"""Whether the account of a district works; nothing over there is changed to find out."""

from edpipeline import sources
from edpipeline.districts import poll_use
from edpipeline.loading.load import Progress
from edpipeline.model import Source
from edpipeline.pipeline import CheckResult, Pipeline, checked, silent
from edpipeline.polling.vendor import api_of, client_of
from edpipeline.uses_of_polls import PowerPathUse

SIDE_EFFECTS = "results are imported, which may enroll students in courses (allow_side_effects)"
SKIPPED_ONLY = (
    "results are imported where nobody is enrolled by it (allow_side_effects,"
    " require_skip_enrollment)"
)
PURE_READS = (
    "nothing is imported, so results that PowerPath has not stored yet are not seen"
    " (allow_side_effects is not set)"
)


def account_works(pipeline: Pipeline, district_id: str, source: Source) -> str:
    """Sign in, and ask for one record of a listing, which shows what the account may read.

    Raises what `Client.sign_in` and `Client.get` raise.
    """
    use = poll_use(pipeline.district(district_id), source.name)
    spec = api_of(source, use)
    # The gradebook has rights of its own.
    listed = "test_assignments" if use.pairs_from != ("gradebook",) else "results"
    listing = spec.listings[listed]
    with client_of(spec, use) as client:
        client.sign_in()
        one = {listing.paging.size_parameter: "1", listing.paging.offset_parameter: "0"}
        client.get(listing.path, {}, one, listing.says)
    return f"Account is working; {side_effects(use)}"


def side_effects(use: PowerPathUse) -> str:
    """What polls of the district change over there, in words."""
    if not use.allow_side_effects:
        return PURE_READS
    return SKIPPED_ONLY if use.require_skip_enrollment else SIDE_EFFECTS


def check_accounts(
    pipeline: Pipeline, district_id: str, progress: Progress = silent
) -> list[CheckResult]:
    """Whether every account that the district polls with works, and what to do where not."""
    found = []
    for source in sources.ALL:
        use = getattr(pipeline.district(district_id), source.name, None)
        if source.is_polled and isinstance(use, PowerPathUse) and use.enabled:
            progress(f"signing in at {source.title}")
            found.append(
                checked(
                    f"{source.name} account",
                    lambda source=source: account_works(pipeline, district_id, source),  # type: ignore[misc]
                )
            )
    return found
