"""How what stands in braces in an API's declaration is filled in when a request is made. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from edpipeline.errors import BadConfiguration

PLACE = re.compile(r"\{([a-z0-9_]+)\}")


def filled_path(template: str, values: Mapping[str, str]) -> str:
    """The path with its values quoted. Raises BadConfiguration for a value that is not given, or
    that would make a step empty or one of dots; the message has the name, never the value."""
    path = PLACE.sub(lambda place: quote(_value(place[1], values, template), safe=""), template)
    for step, wanted in zip(path.split("/"), template.split("/"), strict=True):
        if step in (".", "..") or (wanted and not step):
            raise BadConfiguration(f"{template}: the value of {wanted} is empty or made of dots")
    return path


def filled_parameters(templates: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The parameters whose values are all given and not empty."""
    return {
        name: PLACE.sub(lambda place: values[place[1]], template)
        for name, template in templates.items()
        if all(values.get(place) for place in places_in(template))
    }


def filled_body(templates: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The fields of a request. Raises BadConfiguration for a value that is not given."""
    return {
        name: PLACE.sub(lambda place: _value(place[1], values, "the request"), template)
        for name, template in templates.items()
    }


def _value(name: str, values: Mapping[str, str], where: str) -> str:
    if name not in values:
        raise BadConfiguration(f"{where}: no value is given for {name}")
    return values[name]


def places_in(*templates: str) -> list[str]:
    """The names of the values that templates take."""
    return [name for template in templates for name in PLACE.findall(template)]
