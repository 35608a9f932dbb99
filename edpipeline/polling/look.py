"""Progress of one pair, read, which changes nothing over there; what goes wrong becomes words."""

from dataclasses import dataclass, field

from edpipeline.errors import EdpipelineError, Garbled, NotFound, Refused, Transient
from edpipeline.landing.http import Client
from edpipeline.landing.looked import Looked, plain
from edpipeline.polling.pairs import Pair
from edpipeline.sources.powerpath import decisions
from edpipeline.sources.powerpath.decisions import Failed, NotUnderstood, Progress


@dataclass(frozen=True)
class Seen:
    """What one reading of progress came to."""

    pair: Pair
    told: Progress | NotUnderstood | Failed
    looked: Looked | None = field(default=None, repr=False)


def look(client: Client, pair: Pair, attempt: str = "") -> Seen:
    """Read progress, of the current attempt where none is named.

    Raises what nobody can go on after: BadCredentials, BadConfiguration, and other Permanents that
    are not about the pair.
    """
    asked = {"student_id": pair.student_id, "lesson_id": pair.lesson_id, "attempt": attempt}
    try:
        looked = client.look_up("progress", asked)
    except NotFound as error:
        return Seen(pair, Failed("not_found", f"PowerPath answered {error.status} to progress"))
    except Refused as error:
        return Seen(pair, Failed("not_assigned", f"PowerPath answered {error.status} to progress"))
    except Garbled:
        why = "the answer is not what PowerPath documents: it is no JSON object"
        return Seen(pair, NotUnderstood("schema_drift", why))
    except Transient as error:
        return Seen(pair, Failed("vendor_error", shortly(error)))
    questions = looked.children.get("questions")
    listed = None if questions is None else [plain(question) for question in questions]
    return Seen(pair, decisions.understood(plain(looked.record), listed), looked)


def shortly(error: EdpipelineError) -> str:
    """What happened, without what was done about it."""
    return str(error).partition(";")[0]
