"""What a run came to, in numbers."""

from dataclasses import dataclass

from edpipeline.loading.report import SyncReport


@dataclass(frozen=True)
class Survey:
    """What a run came to. Counts are of students and of the run, but where it is said."""

    reports: tuple[SyncReport, ...] = ()
    """One for each delivery that was loaded; none where nothing was due."""
    students: int = 0
    """Current ones of the roster, in all."""
    due: int = 0
    asked: int = 0
    """Of whom an outcome was written down."""
    ok: int = 0
    empty: int = 0
    forbidden: int = 0
    not_found: int = 0
    bad_request: int = 0
    server_error: int = 0
    rate_limited: int = 0
    schema_drift: int = 0
    skipped_no_ssid: int = 0
    """All such students of the roster; as are the two below."""
    skipped_bad_ssid: int = 0
    skipped_no_configuration: int = 0
    listed: int = 0
    """Reports in the answers."""
    new: int = 0
    """Reports that were never listed before."""
    no_longer_listed: int = 0
    """Reports that were listed until then."""
    new_codes: int = 0
    """Types and languages of reports that are not documented."""
    problems: tuple[str, ...] = ()
    """What people should know, in words."""
