import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from edpipeline.sandbox.population import Population
from edpipeline.sandbox.roster import SMALL
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers
from edpipeline.sandbox.vendors.powerpath import READ, WRITE

WORLD = VendorWorld(size=SMALL)
CLIENT = (WORLD.powerpath_client_id, WORLD.powerpath_client_secret)
GRANT = {"grant_type": "client_credentials"}
STUDENT, LESSON = "S101", "CR-TEST"
PAIR = {"student": STUDENT, "lesson": LESSON}
IMPORT = "/powerpath/importExternalTestAssignmentResults"
PROGRESS = "/powerpath/getAssessmentProgress"
ATTEMPTS = "/powerpath/getAttempts"
MAKE = "/powerpath/makeExternalTestAssignment"
ADMIN = "/powerpath/test-assignments/admin"
LESSONS = "/ims/oneroster/rostering/v1p2/courses/component-resources"
RESOURCES = "/ims/oneroster/resources/v1p2/resources/"
LINE_ITEMS = "/ims/oneroster/gradebook/v1p2/assessmentLineItems/"
RESULTS = "/ims/oneroster/gradebook/v1p2/assessmentResults/"
RIGHT, HALF, WRONG, OPEN = {"score": 1}, {"score": 0.5}, {"score": 0}, {"answered": False}
UNGRADED = {"answered": True}


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with vendor_servers(WORLD) as vendors:
        yield vendors


@pytest.fixture
def vendors(running: Vendors) -> Vendors:
    running.reset()
    return running


class Client:
    """Someone PowerPath lets in."""

    def __init__(self, vendors: Vendors, http: requests.Session) -> None:
        self.vendors, self.http = vendors, http
        self.sign_in()

    def sign_in(self, **form: str) -> None:
        answer = self.http.post(
            self.vendors.powerpath_token_url, data=GRANT | form, auth=CLIENT
        ).json()
        self.http.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def get(self, path: str, **query: object) -> requests.Response:
        return self.http.get(self.vendors.powerpath_url + path, params=query, timeout=5)

    def post(self, path: str, body: object) -> requests.Response:
        return self.http.post(self.vendors.powerpath_url + path, json=body)

    def told(self, path: str, **query: object) -> Any:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def imported(self, **query: object) -> Any:
        return self.told(IMPORT, **PAIR | query)

    def progress(self, **query: object) -> Any:
        return self.told(PROGRESS, **PAIR | query)

    def every(self, path: str, name: str, limit: int = 1000) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            answer = self.told(path, limit=limit, offset=len(rows))
            rows += answer[name]
            if len(rows) >= answer["totalCount"]:
                return rows


@pytest.fixture
def client(vendors: Vendors) -> Iterator[Client]:
    with requests.Session() as http:
        yield Client(vendors, http)


def lesson(vendors: Vendors, provider: str = "edulastic", **changes: Any) -> None:
    vendors.lesson(LESSON, **{"lesson_type": "test-out", "provider": provider} | changes)


def counters(vendors: Vendors) -> dict[str, Any]:
    told: dict[str, Any] = vendors.state()["powerpath"]
    return told


# Edulastic


@pytest.mark.parametrize(
    ("grade", "questions", "writes", "final"),
    [
        pytest.param("START", [], 0, False, id="E3"),
        pytest.param("GRADED", [], 0, False, id="E3-graded"),
        pytest.param("START", [RIGHT, OPEN], 1, False, id="E4"),
        pytest.param("SUBMITTED", [RIGHT, OPEN], 1, False, id="E4-submitted"),
        pytest.param("START", [RIGHT, UNGRADED], 1, False, id="E5"),
        pytest.param("SUBMITTED", [RIGHT, UNGRADED], 1, False, id="E5-submitted"),
        pytest.param("GRADED", [RIGHT, OPEN], 1, False, id="E6"),
        pytest.param("GRADED", [RIGHT, HALF], 1, True, id="E7"),
    ],
)
def test_edulastic_is_final_once_every_question_is_answered_and_graded(
    vendors: Vendors,
    client: Client,
    grade: str,
    questions: list[dict[str, Any]],
    writes: int,
    final: bool,
) -> None:
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": grade, "questions": questions})
    assert client.progress()["totalQuestions"] == 0
    assert client.imported()["finalized"] is final
    progress = client.progress()
    assert progress["finalized"] is final
    assert progress["totalQuestions"] == len(questions) * writes
    state = counters(vendors)
    assert (state["vendor_reads"], state["writes"]) == ({"edulastic": 1}, writes)
    assert len(state["enrollments"]) == final


@pytest.mark.parametrize("mode", ["down", "timeout", "bad_json"])
@pytest.mark.parametrize("provider", ["edulastic", "mastery-track"])
@pytest.mark.parametrize("status", [500, 422])
def test_a_provider_that_fails_makes_the_import_fail_and_nothing_is_written(
    vendors: Vendors, client: Client, provider: str, mode: str, status: int
) -> None:
    """E2 and F5."""
    lesson(vendors, provider)
    vendors.seed(world={"powerpath_vendor_error": status})
    vendors.vendor(STUDENT, LESSON, **{provider.replace("-", "_"): {"mode": mode}})
    answer = client.get(IMPORT, **PAIR)
    assert answer.status_code == status
    assert minor(answer) == {500: "internal_server_error", 422: "invaliddata"}[status]
    state = counters(vendors)
    assert (state["vendor_reads"], state["writes"]) == ({provider: 1}, 0)
    assert client.progress()["finalized"] is False
    vendors.vendor(STUDENT, LESSON, **{provider.replace("-", "_"): {"mode": "ok"}})
    assert client.get(IMPORT, **PAIR).status_code == 200


def test_what_is_final_is_not_read_again_and_a_redirect_changes_nothing(
    vendors: Vendors, client: Client
) -> None:
    """E1."""
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT]})
    assert client.imported()["finalized"] is True
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "START", "questions": [OPEN]})
    assert client.imported()["finalized"] is True
    assert client.progress()["score"] == 100
    state = counters(vendors)
    assert (state["vendor_reads"], state["writes"], state["imports"]) == ({"edulastic": 1}, 1, 2)
    assert state["imported"] == {f"{STUDENT} {LESSON}": 2}
    assert len(state["enrollments"]) == 1


def test_edulastic_gives_partial_credit_and_calls_it_correct(
    vendors: Vendors, client: Client
) -> None:
    lesson(vendors)
    questions = [RIGHT, HALF, WRONG, {"score": 3, "maxScore": 4}]
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": questions})
    client.imported()
    progress = client.progress()
    assert (progress["score"], progress["accuracy"]) == (56.25, 56.25)
    assert (progress["correctQuestions"], progress["totalQuestions"]) == (3, 4)
    assert [it["correct"] for it in progress["questions"]] == [True, True, False, True]


# MasteryTrack


@pytest.mark.parametrize(
    ("write_back", "writes", "final"),
    [
        pytest.param({}, 0, False, id="M2"),
        pytest.param({"questions": [RIGHT]}, 0, False, id="M2-questions"),
        pytest.param({"score": 50}, 1, False, id="M3-not-submitted"),
        pytest.param({"scoreStatus": "submitted"}, 1, False, id="M3-submitted"),
        pytest.param({"scoreStatus": "partially graded", "score": 50}, 1, False, id="M3-partially"),
        pytest.param({"scoreStatus": "fully graded", "score": 90}, 1, False, id="M4-absent"),
        pytest.param(
            {"scoreStatus": "fully graded", "masteryTrackProcessed": False}, 1, False, id="M4-false"
        ),
        pytest.param({"masteryTrackProcessed": True}, 1, False, id="M5"),
        pytest.param(
            {"scoreStatus": "submitted", "masteryTrackProcessed": True}, 1, False, id="M5-submitted"
        ),
        pytest.param(
            {"scoreStatus": "fully graded", "masteryTrackProcessed": True}, 1, True, id="M6"
        ),
        pytest.param(
            {"scoreStatus": "fully graded", "masteryTrackProcessed": "true"}, 1, True, id="M6-text"
        ),
        pytest.param({"scoreStatus": "exempt", "masteryTrackProcessed": True}, 1, False, id="M7"),
    ],
)
def test_mastery_track_is_final_once_it_is_graded_and_processed(
    vendors: Vendors, client: Client, write_back: dict[str, Any], writes: int, final: bool
) -> None:
    lesson(vendors, "mastery-track")
    vendors.vendor(STUDENT, LESSON, mastery_track={"questions": [RIGHT, WRONG]} | write_back)
    assert client.imported()["finalized"] is final
    assert client.progress()["finalized"] is final
    state = counters(vendors)
    assert state["writes"] == writes
    assert len(state["enrollments"]) == final
    assert client.imported()["finalized"] is final
    assert counters(vendors)["writes"] == (1 if final else 2 * writes)


def test_a_write_back_shows_before_any_import(vendors: Vendors, client: Client) -> None:
    """M1 too: what is final is not processed again."""
    lesson(vendors, "mastery-track")
    done = {"scoreStatus": "fully graded", "masteryTrackProcessed": True, "score": 92.5}
    vendors.vendor(STUDENT, LESSON, mastery_track=done | {"questions": [RIGHT, HALF]})
    before = client.progress()
    assert (before["score"], before["finalized"], before["questions"]) == (92.5, False, [])
    (attempt,) = client.told(ATTEMPTS, **PAIR)["attempts"]
    assert (attempt["scoreStatus"], attempt["completedAt"]) == ("fully graded", None)
    client.imported()
    vendors.vendor(STUDENT, LESSON, mastery_track={"questions": [RIGHT] * 5})
    assert client.imported()["finalized"] is True
    progress = client.progress()
    assert (progress["totalQuestions"], progress["correctQuestions"]) == (2, 1)
    assert counters(vendors)["vendor_reads"] == {"mastery-track": 1}


# Enrollment


@pytest.mark.parametrize(
    ("lesson_type", "track", "skip", "enrolled", "failed"),
    [
        ("placement", "valid", False, True, False),
        ("test-out", "valid", False, True, False),
        ("placement", "valid", True, False, False),
        ("test-out", "valid", True, False, False),
        ("placement", "missing", False, False, True),
        ("test-out", "error", False, False, True),
        ("placement", "missing", True, False, False),
        ("unit-test", "valid", False, False, False),
        ("unit-test", "missing", False, False, False),
    ],
)
def test_an_import_that_makes_a_test_final_may_enroll(
    vendors: Vendors,
    client: Client,
    lesson_type: str,
    track: str,
    skip: bool,
    enrolled: bool,
    failed: bool,
) -> None:
    """The failed ones are F10."""
    lesson(vendors, lesson_type=lesson_type, track=track, subject="Science", grade="8")
    vendors.assign(STUDENT, LESSON, skip=skip)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT]})
    assert "enrollmentFailed" not in client.progress()
    assert client.imported()["finalized"] is True
    course = {"student": STUDENT, "course": "COURSE-Science-8", "lesson": LESSON}
    state = counters(vendors)
    assert state["enrollments"] == ([course] if enrolled else [])
    assert client.progress().get("enrollmentFailed", False) is failed
    assert state["enrollments_failed"] == failed
    client.imported()
    assert counters(vendors)["enrollments"] == state["enrollments"]


@pytest.mark.parametrize(("score", "courses"), [(1, ["own"]), (0.5, ["own", "COURSE-LOW"])])
def test_a_placement_below_90_enrolls_by_the_older_rule_too(
    vendors: Vendors, client: Client, score: float, courses: list[str]
) -> None:
    lesson(vendors, lesson_type="placement", course_on_fail="COURSE-LOW")
    questions = [{"score": score}]
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": questions})
    client.imported()
    told = [it["course"] for it in counters(vendors)["enrollments"]]
    assert told == [{"own": "COURSE-Math-5"}.get(it, it) for it in courses]


# What is refused


def minor(answer: requests.Response) -> str:
    """The minor code of an error body, whose shape is checked."""
    body = answer.json()
    assert (body["imsx_codeMajor"], body["imsx_severity"]) == ("failure", "error")
    assert isinstance(body["imsx_description"], str)
    assert all(isinstance(value, str) for it in body["imsx_error_details"] for value in it.values())
    (field,) = body["imsx_CodeMinor"]["imsx_codeMinorField"]
    assert field["imsx_codeMinorFieldName"] == "TargetEndSystem"
    return str(field["imsx_codeMinorFieldValue"])


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        pytest.param({"student": "S0", "lesson": "CR-0001"}, 404, "unknownobject", id="F1"),
        pytest.param({"student": STUDENT, "lesson": "CR-0"}, 404, "unknownobject", id="F2"),
        pytest.param({"lesson": "CR-QUIZ"}, 422, "invaliddata", id="F3-quiz"),
        pytest.param({"lesson": "CR-POWERPATH-100"}, 422, "invaliddata", id="F3-100"),
        pytest.param({"lesson": "CR-ALPHATEST"}, 422, "invaliddata", id="F3-provider"),
        pytest.param({"lesson": "CR-NO-PROVIDER"}, 422, "invaliddata", id="F3-none"),
        pytest.param({"lesson": "CR-0007"}, 422, "invaliddata", id="F4"),
        pytest.param({"student": " "}, 422, "invaliddata", id="F6-blank"),
        pytest.param({"lesson": None}, 422, "invaliddata", id="F6-missing"),
        pytest.param({"attempt": "1"}, 400, "invaliddata", id="unknown-parameter"),
    ],
)
def test_an_import_is_refused_with_an_ims_body(
    vendors: Vendors, client: Client, query: dict[str, Any], status: int, code: str
) -> None:
    answer = client.get(IMPORT, **{"student": STUDENT, "lesson": "CR-0001"} | query)
    assert (answer.status_code, minor(answer)) == (status, code)
    state = counters(vendors)
    assert (state["writes"], state["vendor_reads"]) == (0, {})


def test_what_was_listed_but_never_assigned_can_be_assigned_later(
    vendors: Vendors, client: Client
) -> None:
    """F4, and how it ends."""
    lesson(vendors)
    vendors.assign(STUDENT, LESSON, made=False)
    assert client.get(IMPORT, **PAIR).status_code == 422
    assert (client.progress()["attempt"], client.progress()["toolProvider"]) == (0, "edulastic")
    assert client.told(ATTEMPTS, **PAIR) == {"attempts": []}
    assert client.post(MAKE, PAIR).json()["attempt"] == 1
    assert client.imported()["attempt"] == 1


def test_a_token_without_the_scope_reads_and_does_not_write(
    vendors: Vendors, client: Client
) -> None:
    """F8."""
    lesson(vendors)
    vendors.assign(STUDENT, LESSON)
    client.sign_in(scope=READ)
    for answer in (client.get(IMPORT, **PAIR), client.post(MAKE, PAIR)):
        assert (answer.status_code, minor(answer)) == (403, "forbidden")
    assert client.progress()["attempt"] == 1
    client.sign_in(scope=f"{READ} {WRITE}")
    assert client.imported()["attempt"] == 1
    vendors.seed(world={"powerpath_may_write": False})
    assert client.get(IMPORT, **PAIR).status_code == 403
    assert counters(vendors)["imports"] == 1
    form = GRANT | {"scope": WRITE}
    refused = requests.post(vendors.powerpath_token_url, data=form, auth=CLIENT)
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_scope"})


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/powerpath/nothing", {}, 404),
        ("/powerpath/placement/S101/more", {}, 404),
        ("/powerpath/placement/S0", {}, 404),
        ("/ims/oneroster/gradebook/v1p2/results", {}, 404),
        (MAKE, {}, 405),
        (PROGRESS, {**PAIR, "attempt": "9"}, 404),
        (PROGRESS, {**PAIR, "attempt": "0"}, 422),
        (PROGRESS, {**PAIR, "attempt": "last"}, 422),
        (PROGRESS, {**PAIR, "page": "1"}, 400),
        (PROGRESS, {"student": STUDENT}, 422),
        (ATTEMPTS, {**PAIR, "attempt": "1"}, 400),
        (ATTEMPTS, {"lesson": LESSON}, 422),
        ("/powerpath/testOut", {"student": STUDENT}, 422),
        ("/powerpath/testOut", {"student": "S0", "course": "x"}, 404),
        ("/powerpath/test-assignments", {}, 422),
        (ADMIN, {"status": "open"}, 422),
        (ADMIN, {"limit": "3001"}, 400),
        (ADMIN, {"limit": "0"}, 400),
        (ADMIN, {"offset": "-1"}, 400),
        (ADMIN, {"pageSize": "9"}, 400),
        (RESULTS, {"student": STUDENT}, 400),
        (RESULTS, {"filter": "student.sourcedId='S101'"}, 400),
        (RESULTS, {"sort": "student"}, 400),
        (RESULTS, {"sort": "sourcedId", "orderBy": "up"}, 400),
    ],
)
def test_powerpath_refuses_what_it_does_not_know(
    vendors: Vendors, client: Client, path: str, query: dict[str, str], status: int
) -> None:
    lesson(vendors)
    answer = client.get(path, **query)
    assert answer.status_code == status
    assert minor(answer)
    assert answer.headers["x-request-id"]


# Signing in


@pytest.mark.parametrize(
    ("auth", "form", "error"),
    [
        (CLIENT, GRANT, None),
        (None, {**GRANT, "client_id": CLIENT[0], "client_secret": CLIENT[1]}, None),
        (CLIENT, {**GRANT, "scope": f"{READ} {WRITE}"}, None),
        (CLIENT, {**GRANT, "client_secret": CLIENT[1]}, "invalid_request"),
        (CLIENT, {**GRANT, "resource": "x"}, "invalid_request"),
        (CLIENT, {}, "invalid_request"),
        (CLIENT, {"grant_type": "password"}, "unsupported_grant_type"),
        (CLIENT, {**GRANT, "scope": "everything"}, "invalid_scope"),
        ((CLIENT[0], "wrong"), GRANT, "invalid_client"),
        (("other", CLIENT[1]), GRANT, "invalid_client"),
        (None, GRANT, "invalid_client"),
    ],
)
def test_tokens_are_for_the_client_alone(
    vendors: Vendors, auth: tuple[str, str] | None, form: dict[str, str], error: str | None
) -> None:
    answer = requests.post(vendors.powerpath_token_url, data=form, auth=auth)
    if error:
        assert (answer.status_code, answer.json()) == (400, {"error": error})
        return
    told = answer.json()
    assert told.keys() == {"access_token", "expires_in", "token_type"}
    assert (told["expires_in"], told["token_type"]) == (3600, "Bearer")


@pytest.mark.parametrize(
    "header", [None, "CANARY-x", "Bearer CANARY-x", "bearer {}", "Basic {}", "Bearer  {}"]
)
def test_the_authorization_header_is_checked_exactly(
    vendors: Vendors, client: Client, header: str | None
) -> None:
    token = str(client.http.headers["Authorization"]).removeprefix("Bearer ")
    client.http.headers["Authorization"] = header.format(token) if header else None  # type: ignore[assignment]
    for path in (IMPORT, PROGRESS, ADMIN, LESSONS):
        answer = client.get(path)
        assert (answer.status_code, minor(answer)) == (401, "unauthorisedrequest")
    assert counters(vendors)["imports"] == 0


def test_tokens_differ_and_end_by_the_clock_or_when_they_are_revoked(
    vendors: Vendors, client: Client
) -> None:
    """F7."""
    first = client.http.headers["Authorization"]
    vendors.advance(3599)
    assert client.get(ADMIN).status_code == 200
    vendors.advance(1)
    assert client.get(ADMIN).status_code == 401
    client.sign_in()
    assert client.http.headers["Authorization"] != first
    vendors.inject(match={"path": "admin"}, token_revoked=True)
    assert [client.get(ADMIN).status_code for _ in range(2)] == [401, 401]
    client.sign_in()
    assert client.get(ADMIN).status_code == 200
    assert counters(vendors)["tokens_made"] == 3


# Shapes


def kinds(answer: dict[str, Any]) -> dict[str, str]:
    return {name: type(value).__name__ for name, value in answer.items()}


TOOL = {"credentials": "dict", "testUrl": "str", "assignmentId": "str", "testId": "str"}


@pytest.mark.parametrize(
    ("world", "more", "less"),
    [
        ({"powerpath_extras": False}, {}, ()),
        ({}, {"proctor": "dict"}, ()),
        ({"powerpath_edition": "2025-06"}, {"courseIdOnFail": "NoneType"}, ()),
        ({"powerpath_minimal": True}, {}, (*TOOL, "classId")),
    ],
)
def test_an_import_has_the_published_fields(
    vendors: Vendors, client: Client, world: dict[str, Any], more: dict[str, str], less: Any
) -> None:
    vendors.seed(world=world)
    lesson(vendors)
    vendors.assign(STUDENT, LESSON)
    required = {
        "lessonType": "str",
        "lessonId": "str",
        "toolProvider": "str",
        "finalized": "bool",
        "attempt": "int",
    }
    known = required | TOOL | {"classId": "str"}
    seen = kinds(client.imported(applicationName="test"))
    assert seen.items() >= {it: kind for it, kind in known.items() if it not in less}.items()
    assert seen.items() >= more.items()
    assert not seen.keys() & set(less)
    extra = seen.keys() - known.keys()
    assert extra <= {"proctor", "courseIdOnFail", "hasFallbackCourse"}
    if not world.get("powerpath_extras", True):
        assert extra == set()


def test_progress_has_the_published_fields(vendors: Vendors, client: Client) -> None:
    vendors.seed(world={"powerpath_extras": False})
    lesson(vendors)
    questions = [RIGHT, UNGRADED, OPEN]
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "SUBMITTED", "questions": questions})
    client.imported()
    progress = client.progress()
    assert kinds(progress) == {
        "lessonType": "str",
        "finalized": "bool",
        "questions": "list",
        "toolProvider": "str",
        "attempt": "int",
        "xp": "NoneType",
        "multiplier": "NoneType",
        "accuracy": "float",
        "correctQuestions": "int",
        "totalQuestions": "int",
        "score": "float",
    }
    always = {"id", "index", "title", "url", "difficulty"}
    always |= {"humanApproved", "content", "learningObjectives"}
    graded, ungraded, unanswered = progress["questions"]
    assert graded.keys() == always | {"response", "correct", "result"}
    assert graded["result"] == {"score": 1, "feedback": "Say how you got there."}
    assert ungraded.keys() == always | {"response"}
    assert unanswered.keys() == always
    (attempt,) = client.told(ATTEMPTS, **PAIR)["attempts"]
    assert kinds(attempt) == {
        "attempt": "int",
        "score": "float",
        "scoreStatus": "str",
        "xp": "NoneType",
        "startedAt": "str",
        "completedAt": "NoneType",
    }
    assert attempt["scoreStatus"] == "submitted"


def test_answers_can_leave_out_what_is_optional(vendors: Vendors, client: Client) -> None:
    vendors.seed(world={"powerpath_minimal": True, "powerpath_extras": False})
    lesson(vendors)
    questions = [RIGHT, UNGRADED, OPEN]
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "SUBMITTED", "questions": questions})
    client.imported()
    progress = client.progress()
    assert "score" not in progress
    required = {"id", "index", "title", "url", "difficulty"}
    told = [it.keys() - required for it in progress["questions"]]
    assert told == [{"correct", "result"}, {"response"}, set()]


def test_the_newest_edition_names_results_and_gives_feedback_as_an_object(
    vendors: Vendors, client: Client
) -> None:
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT, RIGHT]})
    client.imported()
    assert "testResultId" not in client.progress()
    vendors.seed(world={"powerpath_edition": "2026-07"})
    progress = client.progress()
    ids = {it["sourcedId"] for it in client.every(RESULTS, "assessmentResults")}
    assert progress["testResultId"] in ids
    feedback = [type(it["result"]["feedback"]) for it in progress["questions"]]
    assert feedback == [str, dict]
    assert all(it["resultId"] for it in progress["questions"])


@pytest.mark.parametrize("attempt", [0, None])
def test_a_pair_can_say_something_else(
    vendors: Vendors, client: Client, attempt: int | None
) -> None:
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, says={"attempt": attempt, "toolProvider": "AlphaTest"})
    for answer in (client.imported(), client.progress()):
        assert (answer["attempt"], answer["toolProvider"]) == (attempt, "AlphaTest")
    vendors.vendor(STUDENT, LESSON, says={})
    assert client.progress()["attempt"] == 1


def test_odd_lessons_answer_in_their_own_shapes(vendors: Vendors, client: Client) -> None:
    def told(lesson: str) -> Any:
        return client.told(PROGRESS, student=STUDENT, lesson=lesson)

    hundred = told("CR-POWERPATH-100")
    assert hundred["lessonType"] == "powerpath-100"
    assert not hundred.keys() & {"finalized", "questions", "toolProvider"}
    assert hundred["seenQuestions"] == []
    assert told("CR-QUIZ")["lessonType"] == "quiz"
    assert told("CR-ALPHATEST")["toolProvider"] == "AlphaTest"
    assert told("CR-NO-PROVIDER")["toolProvider"] is None
    vendors.seed(world={"powerpath_odd_lessons": False})
    assert client.get(PROGRESS, student=STUDENT, lesson="CR-QUIZ").status_code == 404


# Assigning


def test_a_new_attempt_after_a_final_one_is_not_final(vendors: Vendors, client: Client) -> None:
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT]})
    client.imported()
    made = client.post(MAKE, {**PAIR, "skipCourseEnrollment": True}).json()
    assert made["attempt"] == 2
    assert client.imported()["finalized"] is False
    assert (client.progress()["attempt"], client.progress()["finalized"]) == (2, False)
    assert client.progress(attempt=1)["finalized"] is True
    attempts = client.told(ATTEMPTS, **PAIR)["attempts"]
    assert [it["attempt"] for it in attempts] == [1, 2]
    assert [bool(it["completedAt"]) for it in attempts] == [True, False]
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [HALF]})
    assert client.imported()["finalized"] is True
    assert [it["score"] for it in client.told(ATTEMPTS, **PAIR)["attempts"]] == [100, 50]
    # The second attempt is flagged, the first one was not.
    assert len(counters(vendors)["enrollments"]) == 1
    assert client.post(MAKE, PAIR).json()["attempt"] == 3
    assert client.post(MAKE, PAIR).json()["attempt"] == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ([], 422),
        ({**PAIR, "student": ""}, 422),
        ({**PAIR, "attempt": 2}, 422),
        ({**PAIR, "skipCourseEnrollment": "yes"}, 422),
        ({**PAIR, "student": "S0"}, 404),
        ({**PAIR, "lesson": "CR-0"}, 404),
        ({**PAIR, "lesson": "CR-QUIZ"}, 422),
        ({**PAIR, "lesson": "CR-ALPHATEST"}, 422),
    ],
)
def test_an_assignment_is_refused(
    vendors: Vendors, client: Client, body: object, status: int
) -> None:
    lesson(vendors)
    answer = client.post(MAKE, body)
    assert answer.status_code == status
    assert minor(answer)
    assert counters(vendors)["made"] == 0


def test_test_assignments_tell_how_far_they_are(vendors: Vendors, client: Client) -> None:
    lesson(vendors, subject="Science", grade="8")

    def mine(**query: object) -> list[tuple[str, str]]:
        rows = client.told(ADMIN, subject="Science", grade="8", **query)["testAssignments"]
        return [(it["sourcedId"], it["assignmentStatus"]) for it in rows]

    vendors.assign(STUDENT, LESSON)
    ((first, status),) = mine()
    assert status == "assigned"
    vendors.vendor(STUDENT, LESSON, edulastic={"questions": [RIGHT, OPEN]})
    client.imported()
    assert mine(student=STUDENT) == [(first, "in_progress")]
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT]})
    client.imported()
    assert mine(status="completed") == [(first, "completed")]
    vendors.assign(STUDENT, LESSON)
    statuses = dict(mine())
    assert (len(statuses), statuses[first]) == (2, "completed")
    assert set(statuses.values()) == {"completed", "assigned"}
    vendors.assign("S102", LESSON, status="expired")
    assert [it for _, it in mine(student="S102")] == ["expired"]
    (row,) = client.told("/powerpath/test-assignments", student="S102", status="expired")[
        "testAssignments"
    ]
    assert row["componentResourceSourcedId"] == LESSON
    assert row.keys() >= {"studentEmail", "assignedByUserSourcedId", "expiresAt", "testName"}


def test_a_test_out_is_found_by_its_course(vendors: Vendors, client: Client) -> None:
    lesson(vendors, subject="Science", grade="8")
    vendors.assign(STUDENT, LESSON)
    found = client.told("/powerpath/testOut", student=STUDENT, course="COURSE-Science-8")
    assert (found["lessonId"], found["lessonType"], found["attempt"]) == (LESSON, "test-out", 1)
    assert found["credentials"].keys() == {"email", "password"}
    none = client.told("/powerpath/testOut", student=STUDENT, course="COURSE-X")
    assert (none["lessonId"], none["toolProvider"], none["finalized"]) == (None, None, False)
    assert counters(vendors)["imports"] == 0


def test_placements_are_told_by_subject(vendors: Vendors, client: Client) -> None:
    lesson(vendors, "mastery-track", lesson_type="placement", subject="Science")
    done = {"scoreStatus": "fully graded", "masteryTrackProcessed": True, "score": 95}
    vendors.vendor(STUDENT, LESSON, mastery_track=done)
    client.imported()
    (result,) = client.told(f"/powerpath/placement/{STUDENT}")["Science"]["results"]
    assert (result["status"], result["source"]) == ("PASSED", "PLACEMENT")
    assert result["masteryTrackProcessed"] is True


# Listings


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (ADMIN, "testAssignments"),
        (LESSONS, "componentResources"),
        (RESOURCES, "resources"),
        (LINE_ITEMS, "assessmentLineItems"),
        (RESULTS, "assessmentResults"),
    ],
)
def test_listings_come_in_pages(vendors: Vendors, client: Client, path: str, name: str) -> None:
    whole = client.get(path, limit=3000)
    rows = whole.json()[name]
    total = len(rows)
    assert total == whole.json()["totalCount"] == int(whole.headers["X-Total-Count"])
    assert "Link" not in whole.headers
    assert len({it["sourcedId"] for it in rows}) == total > 10
    seen: list[Any] = []
    url: str | None = f"{vendors.powerpath_url}{path}?limit=7"
    while url:
        answer = client.http.get(url)
        body = answer.json()
        place = (body["offset"], body["limit"], body["pageNumber"], body["pageCount"])
        assert place == (len(seen), 7, len(seen) // 7 + 1, -(-total // 7))
        seen += body[name]
        url = answer.links.get("next", {}).get("url")
    assert seen == rows
    assert client.told(path)["limit"] == 100
    assert "Link" not in client.get(path, limit=total).headers
    past = client.told(path, offset=total)
    assert (past[name], past["totalCount"]) == ([], total)


def test_oneroster_listings_filter_sort_and_choose_fields(vendors: Vendors, client: Client) -> None:
    everything = client.every(RESULTS, "assessmentResults")
    partial = client.told(RESULTS, filter="scoreStatus='partially graded'", fields="sourcedId")
    wanted = [it for it in everything if it["scoreStatus"] == "partially graded"]
    assert partial["assessmentResults"] == [{"sourcedId": it["sourcedId"]} for it in wanted]
    turned = client.told(LESSONS, sort="sourcedId", orderBy="desc")["componentResources"]
    ids = [it["sourcedId"] for it in turned]
    assert ids == sorted(ids, reverse=True)
    found = client.told(LESSONS, search="math 3 placement")["componentResources"]
    assert {it["title"] for it in found} == {"Math 3 placement"}


def test_the_gradebook_agrees_with_the_tests(vendors: Vendors, client: Client) -> None:
    lesson(vendors, "mastery-track", type_in="resource_metadata", bank=True)
    done = {"scoreStatus": "fully graded", "masteryTrackProcessed": True, "score": 75}
    vendors.vendor(STUDENT, LESSON, mastery_track=done | {"questions": [RIGHT, HALF, OPEN]})
    client.imported()
    items = client.every(LINE_ITEMS, "assessmentLineItems")
    mine = {it["sourcedId"]: it for it in items if it["componentResource"]["sourcedId"] == LESSON}
    (whole,) = [it for it in mine.values() if "parentAssessmentLineItem" not in it]
    parts = [it for it in mine.values() if it is not whole]
    assert {it["parentAssessmentLineItem"]["sourcedId"] for it in parts} == {whole["sourcedId"]}
    assert len(parts) == 3
    assert whole["metadata"] == {"isAssessmentBank": True}
    results = client.every(RESULTS, "assessmentResults")
    known = {it["sourcedId"] for it in items}
    assert {it["assessmentLineItem"]["sourcedId"] for it in results} <= known
    told = [it for it in results if it["assessmentLineItem"]["sourcedId"] in mine]
    assert [(it["score"], it["scoreStatus"]) for it in told] == [
        (75, "fully graded"),
        (1, "fully graded"),
        (0.5, "fully graded"),
    ]
    assert told[0]["metadata"]["masteryTrackProcessed"] is True
    assert {it["inProgress"] for it in told} == {"false"}
    assert {it["student"]["sourcedId"] for it in told} == {STUDENT}
    lessons = {it["sourcedId"]: it for it in client.every(LESSONS, "componentResources")}
    resources = {it["sourcedId"]: it for it in client.every(RESOURCES, "resources")}
    own = resources[lessons[LESSON]["resource"]["sourcedId"]]["metadata"]
    assert lessons[LESSON]["lessonType"] is None
    assert (own["lessonType"], own["toolProvider"]) == ("test-out", "mastery-track")


def test_the_type_of_a_lesson_stands_in_one_of_three_places(
    vendors: Vendors, client: Client
) -> None:
    resources = {it["sourcedId"]: it for it in client.every(RESOURCES, "resources")}
    places: Counter[str] = Counter()
    for row in client.every(LESSONS, "componentResources"):
        found = {
            "lesson": row["lessonType"],
            "metadata": (row["metadata"] or {}).get("lessonType"),
            "resource": resources[row["resource"]["sourcedId"]]["metadata"].get("lessonType"),
        }
        places.update(name for name, value in found.items() if value)
        assert sum(value is not None for value in found.values()) == 1
    assert places.keys() == {"lesson", "metadata", "resource"}


# Faults


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"drop_connection": True}, requests.ConnectionError),
        ({"hang_s": 0.1}, requests.ConnectionError),
        ({"status": 504}, None),
    ],
)
@pytest.mark.parametrize("acts_first", [True, False])
def test_an_answer_can_be_lost_before_or_after_the_write(
    vendors: Vendors,
    client: Client,
    fault: dict[str, Any],
    error: type[Exception] | None,
    acts_first: bool,
) -> None:
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT]})
    vendors.inject(match={"path": "import"}, acts_first=acts_first, **fault)
    if error:
        with pytest.raises(error):
            client.get(IMPORT, **PAIR)
    else:
        assert client.get(IMPORT, **PAIR).status_code == 504
    assert client.progress()["finalized"] is acts_first
    state = counters(vendors)
    assert (state["imports"], len(state["enrollments"])) == (acts_first, acts_first)
    assert client.imported()["finalized"] is True


@pytest.mark.parametrize(
    "after", ["2", "Wed, 01 Jan 2031 00:00:00 GMT"], ids=["seconds", "HTTP-date"]
)
def test_a_rate_limit_says_when_to_come_again(vendors: Vendors, client: Client, after: str) -> None:
    """F9."""
    vendors.inject(match={"path": "Progress"}, status=429, headers={"Retry-After": after})
    answer = client.get(PROGRESS, student=STUDENT, lesson="CR-0001")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, after)
    assert client.get(PROGRESS, student=STUDENT, lesson="CR-0001").status_code == 200


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"add_field": {"mood": "CANARY-mood"}}, {"mood": "CANARY-mood"}),
        ({"remove_field": ["attempt", "score"]}, {"attempt": ..., "score": ...}),
        ({"rename_field": {"finalized": "isFinal"}}, {"finalized": ..., "isFinal": True}),
        ({"retype_field": {"finalized": "string"}}, {"finalized": "true"}),
        ({"retype_field": {"questions": "null"}}, {"questions": None}),
    ],
)
def test_an_answer_breaks_its_schema(
    vendors: Vendors, client: Client, fault: dict[str, Any], expected: dict[str, Any]
) -> None:
    """F11."""
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT]})
    client.imported()
    vendors.inject(match={"path": "Progress"}, **fault)
    progress = client.progress()
    assert {name: progress.get(name, ...) for name in expected} == expected


def test_questions_break_their_schema(vendors: Vendors, client: Client) -> None:
    lesson(vendors)
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT, RIGHT]})
    client.imported()
    vendors.inject(match={"path": "Progress"}, of="questions", remove_field="id")
    progress = client.progress()
    assert [it.get("id") for it in progress["questions"]] == [None, None]
    assert progress["attempt"] == 1


def test_a_page_comes_again_or_lies_about_the_total(vendors: Vendors, client: Client) -> None:
    first = client.told(ADMIN, limit=10, offset=0)
    vendors.inject(match={"query": {"offset": "10"}}, repeat_page=True)
    again = client.told(ADMIN, limit=10, offset=10)
    assert again["testAssignments"] == first["testAssignments"]
    assert (again["pageNumber"], again["offset"]) == (2, 10)
    assert again["pageCount"] > 2
    vendors.inject(match={"path": "admin"}, lie_about_total=1)
    answer = client.get(ADMIN, limit=10, offset=0)
    assert (answer.json()["pageCount"], answer.json()["totalCount"]) == (1, 10)
    assert not answer.headers.keys() & {"link", "x-total-count"}


# The world


def test_the_students_are_those_of_the_roster_but_for_a_few(vendors: Vendors) -> None:
    vendors.seed(world={"powerpath_pairs": 230})
    roster = {it for frame in Population(SMALL).students() for it in frame["sourcedId"].to_list()}
    students = {it["student"] for it in vendors.pairs()}
    assert len(students) > 200
    assert {it[0] for it in students - roster} == {"Z"}
    assert 1 <= len(students - roster) <= 10


def test_the_first_pairs_stand_at_every_stage(vendors: Vendors, client: Client) -> None:
    vendors.seed(world={"powerpath_pairs": 200})
    pairs = vendors.pairs()
    assert {it["attempt"] for it in pairs} == {0, 1, 2}
    assert {it["finalized"] for it in pairs} == {True, False}
    assert {it["skip"] for it in pairs} == {None, True, False}
    seen: Counter[tuple[int, bool | None]] = Counter()
    for it in pairs:
        answer = client.get(IMPORT, student=it["student"], lesson=it["lesson"])
        seen[answer.status_code, answer.json().get("finalized")] += 1
        assert not (it["finalized"] and answer.json()["finalized"] is False)
    assert seen.keys() == {(200, True), (200, False), (422, None)}
    vendors.seed(world={"powerpath_stage": "graded", "powerpath_odd_lessons": False})
    for it in vendors.pairs()[:20]:
        query = {"student": it["student"], "lesson": it["lesson"]}
        assert client.told(IMPORT, **query)["finalized"] is True


def test_the_same_seed_gives_the_same_pairs_and_another_gives_others(vendors: Vendors) -> None:
    def told(seed: int) -> list[dict[str, Any]]:
        vendors.reset()
        vendors.seed(world={"seed": seed})
        return vendors.pairs()

    first = told(1)
    assert first == told(1)
    assert first != told(2)


def test_ten_thousand_pairs_are_made_and_listed_at_once(vendors: Vendors, client: Client) -> None:
    began = time.monotonic()
    vendors.seed(world={"powerpath_pairs": 10_000})
    pairs = vendors.pairs()
    assert len({(it["student"], it["lesson"]) for it in pairs}) == 10_004
    assert len(client.every(ADMIN, "testAssignments", 3000)) > 6_000
    assert len(client.every(RESULTS, "assessmentResults", 3000)) > 10_000
    assert time.monotonic() - began < 10
    last = pairs[9_999]
    assert client.told(PROGRESS, student=last["student"], lesson=last["lesson"])


def test_all_can_be_set_up_over_http(vendors: Vendors, client: Client) -> None:
    def act(name: str, **body: object) -> int:
        return requests.post(f"{vendors.control_url}/{name}", json=body).status_code

    assert act("lesson", lesson=LESSON, lesson_type="unit-test", provider="mastery-track") == 200
    assert act("assign", **PAIR, skip=True) == 200
    done = {"scoreStatus": "fully graded", "masteryTrackProcessed": True}
    assert act("vendor", **PAIR, mastery_track=done) == 200
    assert client.imported()["finalized"] is True
    pairs = requests.get(f"{vendors.control_url}/pairs").json()["pairs"]
    assert {"finalized": True, "skip": True, **PAIR}.items() <= pairs[-1].items()
    state = requests.get(f"{vendors.control_url}/state").json()["powerpath"]
    assert (state["imports"], state["enrollments"]) == (1, [])
    for name, body in (
        ("lesson", {"lesson": LESSON, "lesson_type": "exam"}),
        ("lesson", {"lesson": LESSON, "mood": "x"}),
        ("assign", {**PAIR, "student": "S0"}),
        ("assign", {**PAIR, "status": "open"}),
        ("vendor", {**PAIR, "edulastic": {}}),
        ("vendor", {**PAIR, "attempt": 9}),
        ("vendor", {**PAIR, "mastery_track": {"grade": "DONE"}}),
        ("vendor", {**PAIR, "mastery_track": {"mood": 1}}),
        ("vendor", {**PAIR, "mastery_track": {"questions": [{"mood": 1}]}}),
        ("seed", {"world": {"powerpath_stage": "lost"}}),
    ):
        assert act(name, **body) == 400


def test_secrets_are_canaries_and_the_log_of_calls_holds_none_and_no_student(
    vendors: Vendors, client: Client
) -> None:
    lesson(vendors)
    questions = [RIGHT, RIGHT, RIGHT]
    vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": questions})
    imported, progress = client.imported(), client.progress()
    question = progress["questions"][2]
    secret = [
        client.http.headers["Authorization"],
        *imported["credentials"].values(),
        imported["testUrl"],
        imported["proctor"]["session"],
        question["url"],
        question["content"]["rawXml"],
        question["answerKey"],
        *question["responses"].values(),
        progress["questions"][0]["response"],
        *progress["questions"][1]["response"],
        client.every(ADMIN, "testAssignments")[0]["studentEmail"],
        client.get(f"/powerpath/placement/{STUDENT}").headers["Set-Cookie"],
    ]
    assert [it for it in secret if "CANARY-" not in it] == []
    assert re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", imported["credentials"]["email"])
    log = json.dumps([vendors.calls(), vendors.counts("powerpath")])
    assert "CANARY-" not in log
    assert STUDENT not in log
    assert "CANARY-" not in repr(vendors.world)
    assert {it["vendor"] for it in vendors.calls()} == {"powerpath"}
    assert vendors.counts("powerpath")["GET /powerpath/placement/***"] == 1
