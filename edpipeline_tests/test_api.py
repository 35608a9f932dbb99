"""The declaration of an API: what the file may say, and what may be laid over it."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edpipeline.api import ApiSpec, places, read_api
from edpipeline.errors import BadConfiguration
from edpipeline.filling import filled_body, filled_parameters, filled_path

SOURCES = Path(__file__).parents[1] / "edpipeline" / "sources"
FILE = """
title: Vendor
auth:
  style: login_session
  path: /v1/session
  body: {user: "{username}"}
  says: {401: wrong password, 423: locked}
listings:
  results:
    path: /v1/{site}/results
    parameters: {since: "{since}", grade: "07", both: "{a}-{b}"}
    records: results
    fields: [id, score]
    paging: {style: page}
  files:
    path: /v1/files
    records: ""
    fields: layout
    paging: {style: offset}
calls:
  ping: {path: /v1/ping}
"""
LAYOUTS = {"files": {"ScaledScore": "ScaledScore"}}


def spec(overrides: Mapping[str, Any] | None = None) -> ApiSpec:
    return read_api(FILE, Path("vendor/api.yaml"), overrides, LAYOUTS)


def test_a_file_says_what_differs_and_the_rest_has_defaults() -> None:
    read = spec()
    results, files = read.listings["results"], read.listings["files"]
    assert (read.title, read.base_url, read.http.tries) == ("Vendor", "", 5)
    assert (results.name, results.fields) == ("results", {"id": "id", "score": "score"})
    assert results.parameters["grade"] == "07"
    assert (results.paging.page_parameter, results.paging.count_field) == ("page", "pageCount")
    assert (files.paging.size_parameter, files.paging.total_field) == ("limit", "totalCount")
    assert files.fields == LAYOUTS["files"]
    assert read.calls["ping"].name == "ping"
    assert read.auth.says == {401: "wrong password", 423: "locked"}


@pytest.mark.parametrize(
    ("style", "token_field", "header", "prefix", "needs"),
    [
        ("login_session", "token", "Authorization", "Bearer ", {"username"}),
        (
            "oauth2_client_credentials",
            "access_token",
            "Authorization",
            "Bearer ",
            {"client_id", "client_secret", "username"},
        ),
        ("basic_then_raw_jwt", "token", "Authorization", "", {"username", "password"}),
        ("api_key_then_jwt", "jwt", "X-Auth-Token", "Bearer ", {"api_key", "username"}),
    ],
)
def test_a_style_of_signing_in_brings_its_own_defaults(
    style: str, token_field: str, header: str, prefix: str, needs: set[str]
) -> None:
    auth = spec({"auth": {"style": style}}).auth
    assert (auth.token_field, auth.header, auth.prefix) == (token_field, header, prefix)
    assert auth.needs == needs


def test_anything_can_be_overridden_and_null_takes_it_away() -> None:
    read = spec(
        {
            "base_url": "https://api.vendor.example/star/",
            "auth": {"says": {423: "call us"}, "life_s": 60},
            "listings": {
                "results": {
                    "path": "/v2/results",
                    "parameters": {"grade": None},
                    "fields": {"mark": "score", "id": None},
                    "paging": {"style": "next", "size": 10},
                },
                "files": {"fields": {"Scaled": "ScaledScore"}},
            },
            "http": {"tries": "2"},
        }
    )
    results = read.listings["results"]
    assert read.base_url == "https://api.vendor.example/star"
    assert (read.auth.says, read.auth.life_s) == ({401: "wrong password", 423: "call us"}, 60)
    assert (results.path, results.fields) == ("/v2/results", {"score": "score", "mark": "score"})
    assert set(results.parameters) == {"since", "both"}
    assert (results.paging.style, results.paging.size, read.http.tries) == ("next", 10, 2)
    assert read.listings["files"].fields == {
        "ScaledScore": "ScaledScore",
        "Scaled": "ScaledScore",
    }


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"paths": {}}, "paths: unknown key"),
        ({"auth": {"password": "x"}}, "auth.password: unknown key"),
        ({"listings": {"result": {}}}, "listings.result: unknown; known are: results, files"),
        ({"calls": {"pong": {}}}, "calls.pong: unknown; known are: ping"),
        ({"listings": {"results": {"paging": {"stile": "next"}}}}, "paging.stile: unknown key"),
        ({"listings": {"results": {"paging": None}}}, "listings.results.paging: must be given"),
        ({"http": {"tries": 0}}, "http.tries: "),
        ({"base_url": "http://vendor.example"}, "write an https:// URL"),
        ({"base_url": "https://u:p@vendor.example"}, "no user, password"),
        ({"base_url": "https://vendor.example?key=1"}, "no user, password or parameters"),
        ({"base_url": "vendor.example"}, "base_url: write https://"),
        ({"base_url": "file:///etc/passwd"}, "base_url: write https://"),
    ],
)
def test_what_overrides_wrongly_is_named(overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        spec(overrides)
    assert str(caught.value).startswith("what overrides vendor/api.yaml: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        *("https://evil.example/x", "//evil.example/x", "v1/x", "", "/", "/a//b", "/a/../b"),
        *("/a/./b", "/a?b=c", "/a#b", "/a b", "/a\\b", "/%2e%2e/b", "/{Site}", "/@evil.example"),
    ],
)
def test_a_path_stays_below_the_base_url(path: str) -> None:
    with pytest.raises(BadConfiguration, match=r"listings\.results\.path"):
        spec({"listings": {"results": {"path": path}}})


def test_an_error_in_the_file_names_its_line() -> None:
    with pytest.raises(BadConfiguration, match=r"line 19: .*pagin: unknown key; did you mean"):
        read_api(FILE.replace("    fields: layout\n    paging", "    fields: layout\n    pagin"))


def test_a_layout_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(BadConfiguration, match=r"listings\.files\.fields: `layout` needs"):
        read_api(FILE)


def test_values_fill_braces_and_what_is_not_given_is_left_out() -> None:
    results = spec().listings["results"]
    values = {"site": "a/b c", "since": "", "a": "1", "b": "2&3"}
    assert places(results) == {"site", "since", "a", "b"}
    assert filled_path(results.path, values) == "/v1/a%2Fb%20c/results"
    assert filled_parameters(results.parameters, values) == {"grade": "07", "both": "1-2&3"}
    assert filled_body({"x": "{a}{b}", "y": "z"}, values) == {"x": "12&3", "y": "z"}


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_change_the_path_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(BadConfiguration, match=r"the value of \{site\} is empty or made of dots"):
        filled_path("/v1/{site}/results", {"site": value})
    assert filled_path("/v1/{site}x/results", {"site": value}).endswith("x/results")


def test_a_value_that_a_path_needs_must_be_given() -> None:
    with pytest.raises(BadConfiguration, match="no value is given for site"):
        filled_path("/v1/{site}", {})
    with pytest.raises(BadConfiguration, match="no value is given for a"):
        filled_body({"x": "{a}"}, {})


def test_the_api_of_star_is_read() -> None:
    path = SOURCES / "star" / "api.yaml"
    names = ("star", "star_standards", "star_skill_areas")
    layouts = {name: {"AssessmentID": "AssessmentID"} for name in names}
    star = read_api(path.read_text("utf-8"), path, layouts=layouts)
    assert star.auth.needs == {"client_id", "client_secret"}
    assert [star.listings[name].paging.style for name in names] == ["next"] * 3
    assert star.calls["authorization"].expects == {"authorized": "true"}


def test_the_api_of_scantron_lands_the_headers_of_its_layout() -> None:
    path = SOURCES / "scantron" / "api.yaml"
    results = read_api(path.read_text("utf-8"), path).listings["results"]
    layout = SOURCES / "scantron" / "layouts" / "scantron_api.csv"
    rows = list(csv.DictReader(layout.read_text("utf-8").splitlines()))
    units = results.children["units"]
    headers = {
        table: {row["header"] for row in rows if row["table"] == table}
        for table in ("scantron", "scantron_units")
    }
    assert set(results.fields.values()) == headers["scantron"]
    assert {*units.fields.values(), *units.carried.values()} == headers["scantron_units"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"path": None}, "give either path"),
        ({"url": "https://login.example/token"}, "give either path"),
        ({"path": None, "url": "http://login.example/token"}, "write an https:// URL"),
        ({"path": None, "url": "https://login.example/token?key=1"}, "alone"),
    ],
)
def test_tokens_are_had_at_one_place_alone(change: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(BadConfiguration, match=problem):
        spec({"auth": change})


def test_tokens_may_be_had_at_another_host() -> None:
    url = "https://login.example/oauth2/token"
    assert spec({"auth": {"path": None, "url": url}}).auth.url == url


def test_a_lookup_is_overridden_key_by_key_and_none_is_invented() -> None:
    text = FILE + "lookups:\n  one: {path: /v1/one, fields: {a: b, c: d}, writes: true}\n"
    one = read_api(text, Path("a.yaml"), {"lookups": {"one": {"fields": {"c": None}}}}, LAYOUTS)
    assert (one.lookups["one"].name, one.lookups["one"].writes) == ("one", True)
    assert one.lookups["one"].fields == {"a": "b"}
    with pytest.raises(BadConfiguration, match=r"lookups\.two: unknown; known are: one"):
        read_api(text, Path("a.yaml"), {"lookups": {"two": {"path": "/v1/two"}}}, LAYOUTS)
