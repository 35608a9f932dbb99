"""Results pulled from vendors' APIs, or fetched from where a vendor lays them: asked for, landed,
loaded. The command line and Dagster both call this.

A pull asks for what changed since the pull before it, and some days more, because vendors withdraw
scores and move benchmarks later; once a week for the whole school year. What is asked for again and
is known already makes no new version. What lands is one delivery; a pull that fails lands nothing.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from edpipeline import sources
from edpipeline.api import ApiSpec, declared_api, places
from edpipeline.districts import account_of, pull_use
from edpipeline.errors import AccountLocked, BadConfiguration, EdpipelineError
from edpipeline.fetching import fetch_new
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Arrived, Delivery
from edpipeline.landing.http import Client
from edpipeline.landing.pull import Pulled, pull
from edpipeline.landing.sftp import list_folder
from edpipeline.loading.load import Progress
from edpipeline.loading.report import LOADED, SyncReport
from edpipeline.model import ApiPull, Source
from edpipeline.pipeline import CheckResult, Pipeline, checked, silent
from edpipeline.scratch import scratch_folder
from edpipeline.settings import secret
from edpipeline.uploading import load
from edpipeline.uses import PullUse, SftpUse, StarUse

SCHOOL_YEAR_BEGINS = (7, 1)
ASKED_AT = "asked_at"
ASKED_FOR = "asked_for"
WHOLE = "the whole school year"
PULLED = "({0}.origin like 'pulled from %' or {0}.origin like 'sftp %') and {0}.replay_of is null"
"""Of a line of the history: it is of a pull, and not of a file that was handed over."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ask:
    """What a pull asks for."""

    at: datetime
    school_year: str
    """Such as 2026-2027."""
    since: datetime
    """Results changed before this are not asked for."""
    whole: bool
    year_before: str = ""
    """The school year before, where its end is not so long ago that nothing of it changes."""
    since_of_year_before: datetime | None = None

    @property
    def values(self) -> Mapping[str, str]:
        """What the listings of an API are told."""
        return {"school_year": self.school_year, "since": _instant(self.since)}

    @property
    def values_of_year_before(self) -> Mapping[str, str]:
        """The same for the school year before; empty where nothing of it is asked for."""
        since = self.since_of_year_before
        return {"school_year": self.year_before, "since": _instant(since)} if since else {}

    @property
    def choices(self) -> Mapping[str, str]:
        """What is written down with the delivery."""
        asked = WHOLE if self.whole else f"what changed since {self.since:%Y-%m-%d %H:%M} UTC"
        return {ASKED_AT: _instant(self.at), ASKED_FOR: asked}


def pull_and_load(
    pipeline: Pipeline,
    district_id: str,
    source: Source,
    at: datetime,
    progress: Progress = silent,
) -> list[SyncReport]:
    """Ask for what is new, land it, load it: the reports of what was loaded.

    What fails is told in the history before it is raised.
    """
    landed = pull_and_land(pipeline, district_id, source, at, progress)
    progress("loading what was pulled")
    by_day = {delivery.day: delivery for delivery in landed}
    return [report for day in sorted(by_day) for report in load(pipeline, by_day[day])]


def pull_and_land(
    pipeline: Pipeline,
    district_id: str,
    source: Source,
    at: datetime,
    progress: Progress = silent,
) -> list[Delivery]:
    """Ask for what is new and land it as deliveries of the day; what fails is told in the history.

    Raises BadConfiguration and BadCredentials where a person has to act, AccountLocked where
    trying again would make it worse, Transient where it may pass.
    """
    use = pull_use(pipeline.district(district_id), source.name)
    day = pipeline.delivery_day(district_id, at, source.name)
    with told(pipeline, district_id, source, day):
        require_ready(district_id, source, use)
        if isinstance(use, StarUse) and use.transport == "sftp":
            choices = {ASKED_AT: _instant(at), ASKED_FOR: "new files"}
            account = account_of(_sftp_of(use))
            return fetch_new(pipeline, district_id, source, account, day, at, choices, progress)
        return [_pulled(pipeline, district_id, source, use, day, at, progress)]


def _sftp_of(use: StarUse) -> SftpUse:
    assert use.sftp is not None  # the districts file is refused without it
    return use.sftp


@contextmanager
def told(pipeline: Pipeline, district_id: str, source: Source, day: date) -> Iterator[None]:
    """Tells what fails within the block in the history, before it is raised."""
    try:
        yield
    except EdpipelineError as error:
        status = "locked" if isinstance(error, AccountLocked) else "failed"
        try:
            pipeline.record_failure(district_id, source.name, day, status, str(error))
        except EdpipelineError as unrecorded:
            # What went wrong first decides whether it is tried again.
            _log.warning("the history could not be written: %s", unrecorded)
        raise


def require_ready(district_id: str, source: Source, use: PullUse) -> None:
    """Raises BadConfiguration where a district may not pull yet."""
    if isinstance(use, StarUse) and not use.data_sharing_confirmed:
        raise BadConfiguration(
            f"{district_id}: data sharing with Renaissance is not confirmed. An administrator"
            " allows it in Renaissance first; then set `data_sharing_confirmed: true` under"
            f" `{source.name}:` in the districts file"
        )


def account_works(pipeline: Pipeline, district_id: str, source: Source) -> str:
    """Sign in, and ask for the authorisation where there is one; what was found, in words.

    Raises what `Client.sign_in` and `Client.call` raise.
    """
    use = pull_use(pipeline.district(district_id), source.name)
    require_ready(district_id, source, use)
    if isinstance(use, StarUse) and use.transport == "sftp":
        account = account_of(_sftp_of(use))
        return f"Account is working ({account.describe()}): {len(list_folder(account))} files"
    with client_of(source, use) as client:
        _enter(client)
    return "Account is working"


def _enter(client: Client) -> None:
    """Sign in, and make the calls that a vendor wants before it lists anything."""
    client.sign_in()
    for name in client.spec.calls:
        client.call(name)


def check_accounts(
    pipeline: Pipeline, district_id: str, progress: Progress = silent
) -> list[CheckResult]:
    """Whether every account that the district pulls with works, and what to do where not.

    Sources that are switched off are left alone. A sign-in that is refused is not repeated.
    """
    found = []
    for source in sources.ALL:
        use = pipeline.district(district_id).daily_use(source.name)
        if isinstance(use, PullUse) and use.enabled:
            progress(f"signing in at {source.title}")
            found.append(
                checked(
                    f"{source.name} account",
                    lambda source=source: account_works(pipeline, district_id, source),  # type: ignore[misc]
                )
            )
    return found


def schools_that_wait(pipeline: Pipeline, district_id: str, source: Source) -> int:
    """How many of the vendor's schools nobody has matched yet."""
    with pipeline.warehouse.transaction() as session:
        return int(
            session.value(
                "select count(*) from ops.vendor_schools v where v.district_id = $district"
                " and v.source = $source and not exists (select 1 from ops.school_matches m"
                " where m.district_id = v.district_id and m.source = v.source"
                " and m.vendor_school_id = v.vendor_school_id)",
                district=district_id,
                source=source.name,
            )
        )


def locked_accounts(pipeline: Pipeline, source: Source) -> frozenset[str]:
    """Districts whose account was locked when it was last used. A pull that came to an end since
    then unlocks it here too; files that were handed over do not."""
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(
            "select distinct h.district_id from ops.sync_history h where h.source = $source"
            " and h.status = 'locked' and not exists (select 1 from ops.sync_history later"
            " where later.district_id = h.district_id and later.source = h.source"
            f" and later.sync_id > h.sync_id and {PULLED.format('later')}"
            " and later.delivery_day >= h.delivery_day)",
            source=source.name,
        )
    return frozenset(row[0] for row in rows)


def why_missed(pipeline: Pipeline, district_id: str, source: Source, day: date) -> str:
    """Why nothing was asked for in the window of a day, and what to do."""
    is_locked = district_id in locked_accounts(pipeline, source)
    with pipeline.warehouse.transaction() as session:
        found = session.rows(
            "select status, message from ops.sync_history where district_id = $district"
            " and source = $source and ((status = 'failed' and delivery_day = $day)"
            " or (status = 'locked' and $is_locked)) order by sync_id desc limit 1",
            district=district_id,
            source=source.name,
            day=day,
            is_locked=is_locked,
        )
    why = f"The last try failed: {found[0][1]}." if found else "Nothing was tried."
    if found and found[0][0] == "locked":
        why = f"The account is locked, and was not tried again: {found[0][1]}."
    again = f"run `edpipeline sync --district {district_id} --source {source.name}`"
    return f"{why} To ask now, {again}."


def client_of(source: Source, use: PullUse) -> Client:
    """A client of the vendor's API for a district, with its secrets as the environment has them.

    Raises BadConfiguration where one is not set, or the API is not described rightly.
    """
    secrets = {name: secret(variable) for name, variable in use.secret_names.items()}
    return Client(api_of(source, use), secrets, use.values)


def api_of(source: Source, use: PullUse) -> ApiSpec:
    """The vendor's API as the source declares it and the district overrides it."""
    given = {"base_url": use.base_url} if use.base_url else {}
    edition = source.editions[0]
    layouts = {
        table: {field.header: field.header for field in fields if field.column}
        for table, fields in edition.headers.items()
    }
    spec = declared_api(source.name, {**given, **use.api}, layouts)
    if not spec.base_url:
        raise BadConfiguration(
            f"`{source.name}:` in the districts file needs `base_url:`, the address of the API that"
            f" {source.title} has given the district"
        )
    return spec


def ask_for(pipeline: Pipeline, district_id: str, source: Source, at: datetime) -> Ask:
    """What a pull at an instant has to ask for, by what was loaded in the days before."""
    district = pipeline.district(district_id)
    use = pull_use(district, source.name)
    today = at.astimezone(ZoneInfo(district.time_zone)).date()
    begins = today.year - (today.timetuple()[1:3] < SCHOOL_YEAR_BEGINS)
    year_began = datetime(begins, *SCHOOL_YEAR_BEGINS, tzinfo=UTC)
    first = today - timedelta(days=use.whole_every_days)
    known = landing.deliveries(pipeline.store, district_id, source.name, first)
    loaded = _loaded_whole(pipeline, district_id, source, first)
    # What landed and could not be used was not had: it is asked for again.
    asked = [
        each.choices for each in known if ASKED_AT in each.choices and each.drop.drop_id in loaded
    ]
    before = [datetime.fromisoformat(each[ASKED_AT]) for each in asked]
    weeks = timedelta(days=use.whole_every_days) - timedelta(hours=12)
    recently = any(
        when > at - weeks and each[ASKED_FOR] == WHOLE
        for when, each in zip(before, asked, strict=True)
    )
    trailing = max(before, default=at) - timedelta(days=use.trailing_days)
    whole = not recently or trailing <= year_began
    since = min(trailing, year_began) if whole else trailing
    asked_for = Ask(at, f"{begins}-{begins + 1}", since, whole)
    if trailing >= year_began:
        return asked_for
    before_that = f"{begins - 1}-{begins}"
    return replace(asked_for, year_before=before_that, since_of_year_before=trailing)


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _loaded_whole(pipeline: Pipeline, district_id: str, source: Source, first: date) -> set[str]:
    """The drops since a day of which every file was loaded."""
    statuses = ", ".join(f"'{status}'" for status in LOADED)
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(
            "select drop_id from ops.sync_history where district_id = $district"
            f" and source = $source and delivery_day >= $first and status in ({statuses})"
            " and sync_id not in (select sync_id from ops.sync_files where status = 'kept')",
            district=district_id,
            source=source.name,
            first=first,
        )
    return {drop_id for (drop_id,) in rows}


def _pulled(
    pipeline: Pipeline,
    district_id: str,
    source: Source,
    use: PullUse,
    day: date,
    at: datetime,
    progress: Progress,
) -> Delivery:
    asked, arrives = ask_for(pipeline, district_id, source, at), source.arrives
    assert isinstance(arrives, ApiPull)
    with (
        scratch_folder(pipeline.settings.scratch) as folder,
        client_of(source, use) as client,
    ):
        progress(f"signing in at {client.spec.title}")
        _enter(client)
        done = [
            _part(client, listing, part, {**asked.values, **values}, folder, progress)
            for listing, part, values in _parts(client.spec, asked)
        ]
        arrived = [
            Arrived(path.name, path, at)
            for each in done
            for name, path in each.files.items()
            if each.records[name]
        ]
        told = _written(folder / arrives.told, asked, done)
        arrived.append(Arrived(told.name, told, at))
        progress("writing down what arrived")
        origin = f"pulled from {client.spec.title}, {asked.choices[ASKED_FOR]}"
        return landing.land(
            pipeline.store, district_id, source.name, day, arrived, at, origin, asked.choices
        )


def _parts(spec: ApiSpec, asked: Ask) -> Iterator[tuple[str, str | None, Mapping[str, str]]]:
    """Listing, name of the landed file where it is not the listing's, and values of its part."""
    before = asked.values_of_year_before
    for name, listing in spec.listings.items():
        if not listing.parts:
            yield name, None, {}
        for part, values in listing.parts.items():
            yield name, part, values
            if before and "school_year" in places(listing):
                yield name, f"{part}_{asked.year_before}", {**values, **before}


def _part(
    client: Client,
    listing: str,
    name: str | None,
    values: Mapping[str, str],
    folder: Path,
    progress: Progress,
) -> Pulled:
    progress(f"pulling {name or listing}")
    taken = places(client.spec.listings[listing])
    return pull(client, listing, {k: v for k, v in values.items() if k in taken}, folder, name)


def _written(path: Path, asked: Ask, done: list[Pulled]) -> Path:
    """How the pull went: what was asked for, what came; names and counts only."""
    by_name = {next(iter(each.files)): each for each in done}
    told = {
        "asked": dict(asked.values),
        "records": {name: count for each in done for name, count in each.records.items()},
        "pages": sum(each.pages for each in done),
        "bytes": sum(each.bytes for each in done),
        "unknown": {name: dict(each.unknown) for name, each in by_name.items() if each.unknown},
        "missing": {name: list(each.missing) for name, each in by_name.items() if each.missing},
    }
    path.write_text(json.dumps(told, indent=1, sort_keys=True), "utf-8")
    return path
