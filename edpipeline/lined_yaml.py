"""A YAML file of settings, read so that every error names its line, its key and what is allowed.

Everything is text until the model validates it, so `0101` never becomes a number.
"""

import difflib
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from edpipeline.errors import BadConfiguration

SECRET_KEYS = {"password": "password_env", "private_key": "private_key_env"}
REMEDIES = {
    "tuple_type": "write a list: each of its items on a line that begins with `- `",
    "model_type": "write keys and values, one `key: value` a line",
    "dataclass_type": "write keys and values, one `key: value` a line",
    "mapping_type": "write keys and values, one `key: value` a line",
    "date_from_datetime_inexact": "write a date such as 2026-07-01",
    "date_from_datetime_parsing": "write a date such as 2026-07-01",
    "string_too_short": "must not be empty",
}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PLAIN_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Everything is text. Both are in C, which takes a tenth of the time, where that came with the
library."""
Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Lines:
    """The file's nodes as plain text, lists and mappings, and the line of every key."""

    path: Path
    lines: dict[Location, int]

    def error(self, at: Location, message: str, line: int | None = None) -> BadConfiguration:
        """The error about a key."""
        number = line or self.line_of(at)
        where = f"{self.path}, line {number}" if number else str(self.path)
        key = ".".join(str(step) if isinstance(step, str) else f"[{step + 1}]" for step in at)
        return BadConfiguration(
            f"{where}: {key.replace('.[', '[')}: {message}" if key else f"{where}: {message}"
        )

    def line_of(self, at: Location) -> int | None:
        """The line of the key, or of the nearest one around it."""
        return next((self.lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.lines), 1)

    def plain(self, node: yaml.Node | None, at: Location) -> Any:
        """A node as text, list or mapping."""
        if node is None or node.tag.endswith(":null"):
            return None
        self.lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*at, place)) for place, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, at))
        return node.value

    def _pairs(self, node: yaml.MappingNode, at: Location) -> Iterator[tuple[str, Any]]:
        seen = set()
        for key_node, value in node.value:
            key = str(key_node.value)
            below: Location = (*at, key)
            line = key_node.start_mark.line + 1
            self.lines[below] = line
            if key in seen:
                raise self.error(below, "is there twice; remove one of them", line)
            if at and at[-1] == "schools" and not key_node.tag.endswith(":str"):
                raise self.error(
                    below,
                    f"other programs read an id like this as a number and lose its zeros; quote"
                    f' it: "{key}"',
                    line,
                )
            seen.add(key)
            yield key, self.plain(value, below)


def parsed(text: str, path: Path, model: type[Model]) -> tuple[Model, Lines]:
    """The file's text as a model, and its lines. Raises BadConfiguration, naming every problem."""
    reading = Lines(path, {})
    try:
        node = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise reading.error((), f"not YAML ({error.problem})", line) from None
    except yaml.YAMLError:
        raise reading.error((), "not YAML: it holds characters that no text has") from None
    try:
        return model.model_validate(reading.plain(node, ()) or {}), reading
    except ValidationError as error:
        problems = [_explained(reading, one, model) for one in error.errors(include_url=False)]
        raise BadConfiguration("\n".join(dict.fromkeys(problems))) from None


def _explained(reading: Lines, problem: Any, model: type[BaseModel]) -> str:
    at: Location = tuple(problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        message = _unknown_key(str(at[-1]), _keys_at(at[:-1], model))
    elif problem["type"] == "missing":
        message = "must be given"
    elif problem["type"] == "string_pattern_mismatch":
        message = "write 1 to 40 lower-case letters, digits and hyphens"
    else:
        message = REMEDIES.get(problem["type"], message[:1].lower() + message[1:])
    return str(reading.error(at, message))


def _unknown_key(key: str, known: tuple[str, ...]) -> str:
    if key in SECRET_KEYS:
        return (
            "no secret may stand in this file; put it into an environment variable and name that"
            f" here: {SECRET_KEYS[key]}: NAME_OF_THE_VARIABLE"
        )
    close = difflib.get_close_matches(key, known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"unknown key; {meant}Known here: {', '.join(known)}"


def _keys_at(at: Location, model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that may stand at a place in the file."""
    return _keys(functools.reduce(_below, at, typing.cast(Any, model)))


def _below(kind: Any, step: str | int) -> Any:
    for field in getattr(kind, "model_fields", {}).items():
        if step in (field[0], field[1].alias):
            return _inner(field[1].annotation)
    return kind


def _inner(annotation: Any) -> Any:
    """The model within `tuple[Model, ...]`, `Model | None` or `Mapping[str, Model]`."""
    if typing.get_origin(annotation) is Mapping:
        return typing.get_args(annotation)[1]
    if typing.get_origin(annotation) in (tuple, types.UnionType, typing.Union):
        return typing.get_args(annotation)[0]
    return annotation


def _keys(kind: Any) -> tuple[str, ...]:
    fields = getattr(kind, "model_fields", None) or getattr(kind, "__pydantic_fields__", {})
    return tuple(field.alias or name for name, field in fields.items())
