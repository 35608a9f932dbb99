"""PowerPath's own client (timeback-powerpath) against the sandbox: it speaks the real wire format.

The client validates every answer against its models. It needs Python 3.12; without it these tests
are skipped, and `test_powerpath.py` beside them says the same of the sandbox with plain HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from edpipeline.sandbox.roster import SMALL
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers

sdk = pytest.importorskip(
    "timeback_powerpath", reason="PowerPath's own client is not here: it needs Python 3.12"
)
errors = pytest.importorskip("timeback_common")

WORLD = VendorWorld(size=SMALL, powerpath_pairs=120)
STUDENT, LESSON = "S101", "CR-0001"
PAIR = {"student": STUDENT, "lesson": LESSON}

Act = Callable[[Any], Awaitable[Any]]


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with vendor_servers(WORLD) as vendors:
        yield vendors


@pytest.fixture
def vendors(running: Vendors) -> Vendors:
    running.reset()
    return running


def driven(vendors: Vendors, act: Act, secret: str = WORLD.powerpath_client_secret) -> Any:
    """What the act came to with a client of its own."""

    async def acted() -> Any:
        client = sdk.PowerPathClient(
            base_url=vendors.powerpath_url,
            auth_url=vendors.powerpath_token_url,
            client_id=WORLD.powerpath_client_id,
            client_secret=secret,
        )
        async with client:
            return await act(client)

    return asyncio.run(acted())


def graded(vendors: Vendors, *scores: float) -> None:
    vendors.lesson(LESSON, lesson_type="placement", provider="edulastic", track="valid")
    questions = [{"score": it} for it in scores]
    vendors.assign(STUDENT, LESSON)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": questions})


def test_an_assigned_test_is_imported_and_read(vendors: Vendors) -> None:
    graded(vendors, 1, 0.5, 0)

    async def taken(client: Any) -> Any:
        before = await client.assessments.get_assessment_progress(PAIR)
        imported = await client.assessments.import_external_test_assignment_results(PAIR)
        after = await client.assessments.get_assessment_progress(PAIR)
        attempts = await client.assessments.get_attempts(PAIR)
        return before, imported, after, attempts

    before, imported, after, attempts = driven(vendors, taken)
    current = imported.attempt
    assert (before.finalized, before.total_questions) == (False, 0)
    assert (imported.finalized, imported.lesson_type) == (True, "placement")
    assert imported.credentials.password.startswith("CANARY-")
    assert (after.finalized, after.score, after.correct_questions) == (True, 50, 2)
    assert [it.result.score for it in after.questions] == [1, 0.5, 0]
    assert attempts.attempts[-1].attempt == current
    assert attempts.attempts[-1].score_status == "fully graded"
    assert [it["student"] for it in vendors.state()["powerpath"]["enrollments"]] == [STUDENT]
    assert vendors.calls()[0]["auth"] == "Basic"


def test_a_test_is_assigned_without_enrollment(vendors: Vendors) -> None:
    vendors.lesson("CR-0005", lesson_type="placement", provider="mastery-track")
    pair = {"student": STUDENT, "lesson": "CR-0005"}

    async def assigned(client: Any) -> Any:
        return await client.assessments.make_external_test_assignment(
            {**pair, "skipCourseEnrollment": True, "testId": "1234"}
        )

    made = driven(vendors, assigned)
    assert (made.tool_provider, made.attempt) == ("mastery-track", 1)
    told = [it for it in vendors.pairs() if (it["student"], it["lesson"]) == (STUDENT, "CR-0005")]
    assert told[0]["skip"] is True


@pytest.mark.parametrize("edition", ["2025-06", "2025-12", "2026-07"])
def test_every_pair_of_every_edition_is_understood(vendors: Vendors, edition: str) -> None:
    vendors.seed(world={"powerpath_edition": edition})
    pairs = vendors.pairs()

    async def read(client: Any) -> None:
        for it in pairs:
            pair = {"student": it["student"], "lesson": it["lesson"]}
            progress = await client.assessments.get_assessment_progress(pair)
            assert progress.attempt == it["attempt"]
            attempts = await client.assessments.get_attempts(pair)
            assert len(attempts.attempts) == it["attempt"]

    driven(vendors, read)
    assert vendors.state()["powerpath"]["imports"] == 0


def test_test_assignments_are_listed_to_the_last_page(vendors: Vendors) -> None:
    async def listed(client: Any) -> Any:
        every = await client.test_assignments.admin_list_all({"limit": 7})
        page = await client.test_assignments.admin({"limit": 7, "offset": 7})
        mine = await client.test_assignments.list_all({"student": every[0].student_sourced_id})
        return every, page, mine

    every, page, mine = driven(vendors, listed)
    assert len(every) == page.total_count > 70
    assert len({it.sourced_id for it in every}) == len(every)
    assert [it.sourced_id for it in page.test_assignments] == [it.sourced_id for it in every[7:14]]
    assert {it.student_sourced_id for it in mine} == {every[0].student_sourced_id}


def test_test_outs_and_placements_are_read(vendors: Vendors) -> None:
    graded(vendors, 1)

    async def read(client: Any) -> Any:
        course = {"student": STUDENT, "course": "COURSE-Reading-3"}
        none = {"student": STUDENT, "course": "COURSE-None"}
        return (
            await client.assessments.test_out(course),
            await client.assessments.test_out(none),
            await client.placement.get_placement(STUDENT),
        )

    found, missing, placement = driven(vendors, read)
    assert (found.lesson_type, missing.lesson_id) == ("test-out", None)
    assert found.lesson_id
    assert placement["Math"]["results"][0]["source"] == "EDULASTIC"


@pytest.mark.parametrize(
    ("pair", "error", "status"),
    [
        ({**PAIR, "student": "S0"}, "NotFoundError", 404),
        ({**PAIR, "lesson": "CR-0"}, "NotFoundError", 404),
        ({**PAIR, "lesson": "CR-QUIZ"}, "ValidationError", 422),
    ],
)
def test_refusals_are_errors_of_the_client(
    vendors: Vendors, pair: dict[str, str], error: str, status: int
) -> None:
    with pytest.raises(getattr(errors, error)) as caught:
        driven(vendors, lambda it: it.assessments.import_external_test_assignment_results(pair))
    assert caught.value.status_code == status
    assert (
        caught.value.minor_codes[0]["value"] == {404: "unknownobject", 422: "invaliddata"}[status]
    )


def test_a_wrong_secret_and_a_missing_scope_are_told(vendors: Vendors) -> None:
    async def read(client: Any) -> Any:
        return await client.assessments.get_assessment_progress(PAIR)

    async def written(client: Any) -> Any:
        return await client.assessments.import_external_test_assignment_results(PAIR)

    with pytest.raises(Exception, match="invalid_client"):
        driven(vendors, read, secret="CANARY-wrong")
    vendors.seed(world={"powerpath_may_write": False})
    assert driven(vendors, read)
    with pytest.raises(errors.ForbiddenError):
        driven(vendors, written)
    assert vendors.state()["powerpath"]["imports"] == 0


def test_the_client_waits_as_long_as_it_is_told(vendors: Vendors) -> None:
    vendors.inject(match={"path": "Progress"}, status=429, headers={"Retry-After": "0"}, times=2)

    async def read(client: Any) -> Any:
        return await client.assessments.get_assessment_progress(PAIR)

    assert driven(vendors, read).lesson_type
    assert vendors.counts("powerpath")["GET /powerpath/getAssessmentProgress"] == 3
