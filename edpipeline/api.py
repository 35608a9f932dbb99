"""What a vendor's API looks like, as data: where it is, how it signs us in, what it lists.

An `api.yaml` beside a source says it; an installation or a district overrides any of it by a
mapping of the same shape. Nothing here connects to anything: `landing/http.py` asks and
`landing/pull.py` writes down.

    base_url, title        where the vendor is, and what people call it
    auth                   how a token is got and shown
    listings               what is pulled page by page, and which fields of it may land
    lookups                what is asked about one thing, and which fields of it may land
    calls                  single requests, such as an authorisation
    http                   time-outs, tries, limits

Texts in braces, `/v1/sites/{site_id}/results`, are filled in when a request is made. A value is
quoted, so that it never changes the path; a parameter whose value is not given is left out.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from edpipeline.errors import BadConfiguration
from edpipeline.filling import places_in
from edpipeline.lined_yaml import PLAIN_LOADER, parsed

STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
PATH = re.compile(r"(?:/(?:[A-Za-z0-9_.~-]|\{[a-z0-9_]+\})+)+/?")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LAYOUT = "layout"

AUTH_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "login_session": {"life_field": "expiresIn"},
    "oauth2_client_credentials": {"token_field": "access_token", "life_field": "expires_in"},
    "basic_then_raw_jwt": {"method": "GET", "prefix": ""},
    "api_key_then_jwt": {"token_field": "jwt", "header": "X-Auth-Token", "early_refresh_s": "600"},
}
PAGING_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "offset": {"size_parameter": "limit", "total_field": "totalCount"},
}


def _path(text: str) -> str:
    if not PATH.fullmatch(text) or any(step in (".", "..") for step in text.split("/")):
        raise ValueError(
            "write a path below the base URL, such as /v1/schools/{school_id}: no host, no"
            " parameters, no `..`"
        )
    return text


def _base_url(text: str) -> str:
    url = urlsplit(text)
    if not text:
        return text
    if url.username or url.password or url.query or url.fragment or not url.hostname:
        raise ValueError("write https://host/path alone: no user, password or parameters")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise ValueError("write an https:// URL; without encryption only this machine is asked")
    return text.rstrip("/")


def _fields(value: object) -> object:
    if isinstance(value, list | tuple):
        return {str(name): str(name) for name in value}
    return {LAYOUT: LAYOUT} if value == LAYOUT else value


ApiPath = Annotated[str, AfterValidator(_path)]
Fields = Annotated[Mapping[str, str], BeforeValidator(_fields)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Says = Mapping[int, str]
NAMED = ("listings", "lookups", "calls")


class Auth(BaseModel):
    """How a token is got, and how it is shown with every request.

    The secrets a style needs, by name: `client_id` and `client_secret` for
    oauth2_client_credentials, `username` and `password` for basic_then_raw_jwt, `api_key` for
    api_key_then_jwt; and whatever stands in braces in `body`.
    """

    model_config = STRICT

    style: Literal[
        "login_session", "oauth2_client_credentials", "basic_then_raw_jwt", "api_key_then_jwt"
    ]
    path: ApiPath | Literal[""] = ""
    url: BaseUrl = ""
    """Where tokens are had when it is not a path below the base URL; exactly one of the two."""
    method: Literal["GET", "POST"] = "POST"
    send: Literal["basic", "body"] = "basic"
    """Where oauth2_client_credentials puts the id and the secret."""
    scope: str = ""
    body: Mapping[str, str] = Field(default_factory=dict)
    """The fields of the request, sent as JSON."""
    key_header: str = "x-api-key"
    token_field: str = "token"
    life_field: str = ""
    """Field of the answer with the token's life in seconds; `life_s` where it is not there."""
    header: str = "Authorization"
    prefix: str = "Bearer "
    life_s: float = Field(default=3600, gt=0)
    early_refresh_s: float = Field(default=60, ge=0)
    says: Says = Field(default_factory=dict)
    """What a status of the sign-in means and what to do about it."""

    @model_validator(mode="before")
    @classmethod
    def _by_style(cls, data: Any) -> Any:
        return _with_defaults(data, AUTH_DEFAULTS)

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Auth":
        if bool(self.path) == bool(self.url):
            raise ValueError("give either path, below the base URL, or url, a whole one")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """The names of the values without which nobody can sign in."""
        by_style = {
            "oauth2_client_credentials": ("client_id", "client_secret"),
            "basic_then_raw_jwt": ("username", "password"),
            "api_key_then_jwt": ("api_key",),
        }
        return frozenset((*by_style.get(self.style, ()), *places_in(*self.body.values())))


class Paging(BaseModel):
    """How a listing is cut into pages. `*_parameter` is asked with, `*_field` is in the answer.

    page: pages are numbered, and the answer says how many there are. next: the answer names the
    page that follows, or null. offset: the answer says how many records there are in all.
    """

    model_config = STRICT

    style: Literal["page", "next", "offset"]
    size: int = Field(default=500, ge=1)
    size_parameter: str = "pageSize"
    page_parameter: str = "page"
    first_page: int = 1
    offset_parameter: str = "offset"
    page_field: str = "page"
    count_field: str = "pageCount"
    next_field: str = "nextPage"
    total_field: str = ""
    """Field with the number of records in all, where there is one."""
    most_pages: int = Field(default=10_000, ge=1)
    """More pages than this are not a listing but a loop."""

    @model_validator(mode="before")
    @classmethod
    def _by_style(cls, data: Any) -> Any:
        return _with_defaults(data, PAGING_DEFAULTS)


class Child(BaseModel):
    """Records within a record, landed in a file of their own."""

    model_config = STRICT

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    fields: Fields
    """JSON path in the child: landed name; or a list of names that stay as they are."""
    carried: Fields = Field(default_factory=dict)
    """JSON path in the record around it: landed name in the child's file."""
    present: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Landed name: names in the child. What lands is whether one of them has a value."""
    withheld: tuple[str, ...] = ()
    """Names that are known and never land, so that nobody is told of them."""


class Listing(BaseModel):
    """Records that come in pages.

    `fields` is the allow-list, JSON path (dotted): landed name; or a list of names that stay as
    they are, or `layout`, see `read_api`. What is not in it never touches a disk. Where two paths
    have one landed name, the first that a record has counts.
    """

    model_config = STRICT

    name: str = ""
    path: ApiPath
    parameters: Mapping[str, str] = Field(default_factory=dict)
    records: str
    """JSON path of the list in the answer; empty where the answer is the list."""
    fields: Fields
    children: Mapping[str, Child] = Field(default_factory=dict)
    """JSON path of a list of records within a record: what lands of it."""
    parts: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """Where the listing is asked for in parts: name of the landed file, and values of the part."""
    paging: Paging
    says: Says = Field(default_factory=dict)


class Lookup(BaseModel):
    """One question about one thing. `fields` is the allow-list, as in a listing."""

    model_config = STRICT

    name: str = ""
    path: ApiPath
    parameters: Mapping[str, str] = Field(default_factory=dict)
    fields: Fields = Field(default_factory=dict)
    children: Mapping[str, Child] = Field(default_factory=dict)
    as_list: bool = False
    """True where the answer is a list of records: what lands of them is said by the child `""`."""
    withheld: tuple[str, ...] = ()
    """Names that are known and never land, so that nobody is told of them."""
    writes: bool = False
    """True where asking changes something over there: it is asked once, and not again by itself."""
    says: Says = Field(default_factory=dict)


class Call(BaseModel):
    """One request that is neither."""

    model_config = STRICT

    name: str = ""
    path: ApiPath
    method: Literal["GET", "POST"] = "POST"
    body: Mapping[str, str] = Field(default_factory=dict)
    expects: Mapping[str, str] = Field(default_factory=dict)
    """JSON path: the JSON text that must stand there, such as `authorized: true`."""
    says: Says = Field(default_factory=dict)


class Http(BaseModel):
    """Time-outs in seconds, tries and limits, of one client."""

    model_config = STRICT

    connect_s: float = Field(default=10, gt=0)
    read_s: float = Field(default=60, gt=0)
    tries: int = Field(default=5, ge=1)
    """Times a request is made in all, while the answers are transient."""
    deadline_s: float = Field(default=300, gt=0)
    """All tries of one request and the waits between them."""
    backoff_s: float = Field(default=1, ge=0)
    """The wait after the first failure; it doubles with each, up to `backoff_most_s`."""
    backoff_most_s: float = Field(default=60, ge=0)
    jitter: float = Field(default=0.2, ge=0, le=1)
    """Share of a wait that chance adds, so that many clients do not come back at once."""
    failures_in_a_row: int = Field(default=10, ge=1)
    """After so many, over all requests, the client asks no more."""
    most_bytes: int = Field(default=100_000_000, ge=1)
    """Size of one answer, unpacked."""
    ca_file: str = ""
    """Certificates to trust instead of the public ones, where a network has its own."""


class ApiSpec(BaseModel):
    """One vendor's API."""

    model_config = STRICT

    title: str = "the API"
    base_url: BaseUrl = ""
    auth: Auth
    listings: Mapping[str, Listing] = Field(default_factory=dict)
    lookups: Mapping[str, Lookup] = Field(default_factory=dict)
    calls: Mapping[str, Call] = Field(default_factory=dict)
    http: Http = Http()


def read_api(
    text: str,
    path: Path = Path("api.yaml"),
    overrides: Mapping[str, Any] | None = None,
    layouts: Mapping[str, Mapping[str, str]] | None = None,
) -> ApiSpec:
    """The API that an api.yaml of that text describes; `path` only names it in errors.

    `overrides` has the same shape and is laid over the file: mappings key by key, anything else
    instead of what the file says, and null takes a key away. It may add fields and parameters,
    not listings, lookups or calls. `layouts` has, by listing, the fields of a listing that says
    `fields: layout`.

    Raises BadConfiguration, naming the key, for what is unknown, missing or of a wrong form.
    """
    parsed(text, path, ApiSpec)
    plain = _resolved(yaml.load(text, Loader=PLAIN_LOADER), layouts or {}, path)
    over = _resolved(overrides or {}, layouts or {}, path)
    for kind in NAMED:
        unknown = sorted(set(over.get(kind) or {}) - set(plain.get(kind, {})))
        if unknown:
            known = ", ".join(plain.get(kind, {})) or "none"
            raise BadConfiguration(
                f"what overrides {path}: {kind}.{unknown[0]}: unknown; known are: {known}"
            )
    merged = _merged(plain, over)
    for kind in NAMED:
        named = (merged.get(kind) or {}).items()
        merged[kind] = {name: {**one, "name": name} for name, one in named}
    try:
        return ApiSpec.model_validate(merged)
    except ValidationError as error:
        problems = [
            f"what overrides {path}: {'.'.join(map(str, one['loc']))}: "
            f"{_problem(one['type'], one['msg'])}"
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise BadConfiguration("\n".join(problems)) from None


def declared_api(
    source: str,
    overrides: Mapping[str, Any],
    layouts: Mapping[str, Mapping[str, str]] | None = None,
) -> ApiSpec:
    """The API that the source of that name declares in its api.yaml; else as `read_api`."""
    text = files("edpipeline.sources").joinpath(source, "api.yaml").read_text("utf-8")
    return read_api(text, Path("sources", source, "api.yaml"), overrides, layouts)


def places(listing: Listing) -> frozenset[str]:
    """The names of the values that a listing takes."""
    return frozenset(places_in(listing.path, *listing.parameters.values()))


def _with_defaults(data: Any, defaults: Mapping[str, Mapping[str, str]]) -> Any:
    if not isinstance(data, Mapping):
        return data
    return {**defaults.get(str(data.get("style")), {}), **data}


def _resolved(
    spec: Mapping[str, Any], layouts: Mapping[str, Mapping[str, str]], path: Path
) -> dict[str, Any]:
    """The specification with `fields: layout` replaced by what the caller says it is."""
    found = dict(spec)
    listings = found.get("listings")
    if not isinstance(listings, Mapping):
        return found
    found["listings"] = {**listings}
    for name, listing in listings.items():
        if isinstance(listing, Mapping) and _fields(listing.get("fields")) == {LAYOUT: LAYOUT}:
            if name not in layouts:
                raise BadConfiguration(
                    f"{path}: listings.{name}.fields: `layout` needs a layout of that listing, and"
                    " none is given"
                )
            found["listings"][name] = {**listing, "fields": dict(layouts[name])}
    return found


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        # Statuses are text in the file, and may be numbers in what overrides it.
        known = str(key)
        old = merged.get(known)
        if isinstance(old, list) and isinstance(value, Mapping):
            old = _fields(old)
        if value is None:
            merged.pop(known, None)
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            merged[known] = _merged(old, value)
        else:
            merged[known] = value
    return merged


def _problem(kind: str, message: str) -> str:
    known = {"extra_forbidden": "unknown key", "missing": "must be given"}
    message = message.removeprefix("Value error, ")
    return known.get(kind, message[:1].lower() + message[1:])
