"""Messages to people, by what they read: mail, chat, telephone; a hundred kinds, through apprise.

A process of its own sends them: the library takes proxies, passwords and settings from whatever
environment it finds and writes to logs, and a server that hangs would hold up whoever waits. Here
it gets a URL on its standard input, an environment with nothing in it, and seconds. URLs hold
passwords and tokens: what is said of a target is its name (`slack`, the second one `slack 2`).
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from edpipeline.settings import environment_to_send_in

SECONDS = 25.0
"""For all messages of one `send`. Dagster ends a tick after 60 seconds."""
SECONDS_EACH = 15.0
SHORTEST_SECRET = 3
MOST_WORDS = 300
SHOWN_HOSTS = frozenset({"mailto", "mailtos", "json", "jsons", "form", "forms", "xml", "xmls"})
"""Kinds of URL in which the host is one. In others, such as slack://, a token stands there."""


@dataclass(frozen=True)
class Message:
    """What is told: no student's data and no secret."""

    title: str
    body: str
    urgent: bool = True
    """False where the tables hold what came and a person should look."""


@dataclass(frozen=True)
class Target:
    """Where messages go. `name` can be shown."""

    name: str
    url: SecretStr


@dataclass(frozen=True)
class Sent:
    """What came of a `send`."""

    count: int
    """Messages, from the first on, that the target took."""
    trouble: str = ""
    """Why it did not take the next one; without a secret."""


def targets(urls: SecretStr) -> list[Target]:
    """The targets that the setting names, each by a name of its own."""
    seen: Counter[str] = Counter()
    found = []
    for url in urls.get_secret_value().split():
        kind = url.partition("://")[0].lower()
        seen[kind] += 1
        name = kind if seen[kind] == 1 else f"{kind} {seen[kind]}"
        found.append(Target(name, SecretStr(url)))
    return found


def send(target: Target, messages: Sequence[Message], seconds: float = SECONDS) -> Sent:
    """Send messages in their order, until one is not taken. Raises nothing for a target that does
    not work: see `Sent.trouble`."""
    url = target.url.get_secret_value()
    asked = json.dumps({"url": url, "messages": [asdict(message) for message in messages]})
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "edpipeline.alerting"],
            input=asked.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment_to_send_in(),
            timeout=seconds,
            check=False,
        )
        told, silence = finished.stdout, "the process that sends ended without a word"
    except subprocess.TimeoutExpired as late:
        told, silence = late.stdout or b"", f"no answer within {seconds:.0f} seconds"
    answers = [json.loads(line) for line in told.splitlines() if line.endswith(b"}")]
    count = sum(answer["sent"] for answer in answers)
    if count == len(messages):
        return Sent(count)
    why = answers[-1]["why"] if answers and not answers[-1]["sent"] else silence
    return Sent(count, f"{target.name}: {redacted(url, why)}")


def redacted(url: str, text: str) -> str:
    """A text without any part of the URL that may be a secret."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets(url: str) -> set[str]:
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    words = [url, url.partition("://")[2], *re.split(r"[:@]", credentials), parts.path]
    words += [*parts.path.split("/"), parts.query, parts.fragment]
    words += [value for _, value in parse_qsl(parts.query)]
    if parts.scheme.lower() not in SHOWN_HOSTS:
        words += [host, *host.split(":")]
    return {
        form for word in words for form in (word, unquote(word)) if len(form) >= SHORTEST_SECRET
    }


def _answers(url: str, messages: Sequence[dict[str, Any]]) -> Iterator[dict[str, object]]:
    """What became of each message, in the process that sends."""
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, PersistentStoreMode

    asset = AppriseAsset(
        app_id="edpipeline",
        app_desc="edpipeline",
        async_mode=False,
        http_redirects=False,
        pem_autogen=False,
        pgp_autogen=False,
        service_timeout=SECONDS_EACH,
        storage_mode=PersistentStoreMode.MEMORY,
    )
    sender = Apprise(asset=asset)
    if not sender.add(url) or len(sender) != 1:
        why = "its URL is of no kind that is known, or lacks something: compare docs/alerts.md"
        yield {"sent": False, "why": why}
        return
    for message in messages:
        result = sender.notify(
            body=message["body"],
            title=message["title"],
            notify_type=NotifyType.FAILURE if message["urgent"] else NotifyType.WARNING,
            body_format=NotifyFormat.TEXT,
        )
        said = " ".join(entry.message for entry in result.logs())[:MOST_WORDS]
        yield {"sent": bool(result), "why": said or f"{result.status.name.lower()}, without a word"}
        if not result:
            return


if __name__ == "__main__":
    request = json.load(sys.stdin)
    for answer in _answers(request["url"], request["messages"]):
        print(json.dumps(answer), flush=True)
