"""What the score report service hands out that must never be kept: tokens, links and reports. Pure.

Nothing is remembered of a link: it says itself until when it holds, and is signed.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urlencode

from edpipeline.sandbox.vendors.world import CANARY

FILES = "score-report-files"
"""First part of the path of every link."""
_STAMP = "%Y%m%dT%H%M%SZ"


def identity_token(username: str, number: int, now: int, life: int, says_end: bool) -> str:
    """A JWT as Cognito makes them; `number` counts them, `now` is in milliseconds."""
    issued = now // 1000
    claims: dict[str, Any] = {
        "sub": _digest(username, 16),
        "aud": "sandbox",
        "email_verified": False,
        "event_id": _digest(f"{username} {number}", 16),
        "token_use": "id",
        "auth_time": issued,
        "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_sandbox",
        "cognito:username": username,
        "iat": issued,
        "email": f"{CANARY}coordinator@quillmere.example",
    }
    if says_end:
        claims["exp"] = issued + life
    signature = f"{CANARY}score-reports-token-{number}-{_digest(f'{claims}', 32)}"
    return f"{_part({'kid': 'sandbox', 'alg': 'RS256'})}.{_part(claims)}.{signature}"


def link(base: str, ssid: str, report: Mapping[str, Any], now: int, life: int) -> str:
    """A signed link to a report, which holds for `life` seconds; `now` is in milliseconds."""
    kind, language, year = (str(report.get(it, "")) for it in ("type", "lang", "year"))
    form = str(report.get("format", "PDF"))
    name = f"{kind}-{language}-{year}.{'html' if form == 'HTML' else 'pdf'}"
    key = _digest(f"{ssid} {name} {report.get('contentArea', '')}", 16)
    path = f"/{FILES}/{CANARY}{key}/{name}"
    at, terms = _terms(now // 1000, life)
    signature = _signature(path, at, str(life))
    return f"{base}{quote(path)}?{terms}&X-Amz-Signature={signature}"


def refusal(method: str, path: str, query: Mapping[str, str], now: int) -> tuple[str, str] | None:
    """Why a link is refused, as code and message; None while it holds."""
    at, life = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
    signature = query.get("X-Amz-Signature", "")
    if not signature:
        return "AccessDenied", "Access Denied"
    if method != "GET" or signature != _signature(path, at, life):
        return "SignatureDoesNotMatch", "The request signature we calculated does not match."
    begun = datetime.strptime(at, _STAMP).replace(tzinfo=UTC).timestamp()
    if not begun <= now / 1000 < begun + int(life):
        return "AccessDenied", "Request has expired"
    return None


def refused_xml(code: str, message: str) -> bytes:
    """A refusal as S3 words it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message>"
        f"<RequestId>{CANARY}s3-request</RequestId></Error>"
    ).encode()


def document(path: str) -> tuple[bytes, str]:
    """The report behind a link, and its media type: one page that says which one it is."""
    name = path.rpartition("/")[2]
    title = f"{CANARY}report Student Score Report {name.rpartition('.')[0]}"
    if name.endswith(".html"):
        page = f"<!DOCTYPE html><html><title>{title}</title><body><h1>{title}</h1></body></html>"
        return page.encode(), "text/html; charset=utf-8"
    return _pdf(title.encode("ascii", "replace")), "application/pdf"


def _pdf(title: bytes) -> bytes:
    """A PDF of one page with this text, without parentheses or backslashes in it."""
    drawn = b"BT /F1 14 Tf 72 720 Td (%s) Tj ET" % title
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(b"%010d 00000 n \n" % len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    size = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, b"".join(places))
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    return body + table + tail


@lru_cache(maxsize=64)
def _terms(second: int, life: int) -> tuple[str, str]:
    """When a link is signed, and all that its query says but the signature."""
    at = datetime.fromtimestamp(second, UTC).strftime(_STAMP)
    terms = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{CANARY}key/{at[:8]}/us-west-2/s3/aws4_request",
        "X-Amz-Date": at,
        "X-Amz-Expires": life,
        "X-Amz-Security-Token": f"{CANARY}{_digest(at, 32)}",
        "X-Amz-SignedHeaders": "host",
    }
    return at, urlencode(terms)


def _signature(path: str, at: str, life: str) -> str:
    return f"{CANARY}{_digest(f'signature {path} {at} {life}', 20)}"


def _digest(text: str, size: int) -> str:
    return blake2b(text.encode(), digest_size=size).hexdigest()


def _part(content: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
