"""Parameters of operations (https://hl7.org/fhir/R4/parameters.html), from a query or from a body, and back."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.moments import asked
from services.edge.fhir.interaction import require_type

MAX_WHOLE = 1_000_000
Json = dict[str, Any]


class Arguments:
    """What an operation is called with: each name with its values, texts from a query or JSON from a body."""

    def __init__(self) -> None:
        self._values: dict[str, list[Any]] = {}

    def put(self, name: str, value: Any) -> None:
        """One more value of a name."""
        self._values.setdefault(name, []).append(value)

    def add(self, other: "Arguments") -> None:
        """Takes over what the other holds."""
        for name in other.names():
            for value in other.all(name):
                self.put(name, value)

    def require_known(self, known: Iterable[str]) -> None:
        """Raises InvalidArgumentError, reason PARAMETER_UNKNOWN, for a name that the operation does not have."""
        for name in self._values.keys() - set(known):
            raise refused(name, "PARAMETER_UNKNOWN", "the operation has no such parameter")

    def names(self) -> list[str]:
        """The names given."""
        return list(self._values)

    def all(self, name: str) -> list[Any]:
        """Every value of a name."""
        return self._values.get(name, [])

    def one(self, name: str) -> Any:
        """The value of a name that stands once; None where it is absent."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise refused(name, "PARAMETER_REPEATED", "the parameter stands once")
        return values[0] if values else None

    def text(self, name: str) -> str:
        """A text; empty where it is absent."""
        value = self.one(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise refused(name, "PARAMETER_INVALID", "a text belongs here")
        return value

    def texts(self, name: str) -> list[str]:
        """Texts, of repeated parameters and of lists with commas."""
        found = []
        for value in self.all(name):
            if not isinstance(value, str):
                raise refused(name, "PARAMETER_INVALID", "a text belongs here")
            found += [part.strip() for part in value.split(",") if part.strip()]
        return found

    def whole(self, name: str, absent: int = 0) -> int:
        """A whole number from 0."""
        value = self.one(name)
        if value is None:
            return absent
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_WHOLE)):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WHOLE:
            raise refused(name, "PARAMETER_INVALID", "a whole number belongs here")
        return value

    def flag(self, name: str, *, absent: bool = False) -> bool:
        """True or false."""
        value = self.one(name)
        if value is None:
            return absent
        if value in (True, "true"):
            return True
        if value in (False, "false"):
            return False
        raise refused(name, "PARAMETER_INVALID", "true or false")

    def moment(self, name: str, *, end: bool = False) -> datetime | None:
        """Where a date or time begins, or with `end`, where it is over; None where it is absent."""
        value = self.text(name)
        if not value:
            return None
        span = asked(value)
        if span is None:
            raise refused(name, "PARAMETER_INVALID", "a date or time belongs here")
        return span.high if end else span.low

    def object(self, name: str) -> Json | None:
        """An element or a resource."""
        value = self.one(name)
        if value is not None and not isinstance(value, dict):
            raise refused(name, "PARAMETER_INVALID", "an element of its own type belongs here")
        return value


def from_query(pairs: Sequence[tuple[str, str]]) -> Arguments:
    """The arguments of a query."""
    found = Arguments()
    for name, value in pairs:
        found.put(name, value)
    return found


def from_parameters(document: Json) -> Arguments:
    """The arguments of a Parameters resource. Raises InvalidArgumentError, reason TYPE_MISMATCH, PARAMETER_INVALID."""
    require_type(document, "Parameters", "Parameters")
    found = Arguments()
    listed = document.get("parameter", [])
    if not isinstance(listed, list):
        raise refused("Parameters.parameter", "PARAMETER_INVALID", "a list belongs here")
    for index, one in enumerate(listed):
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise refused(f"Parameters.parameter[{index}].name", "PARAMETER_INVALID", "a name belongs here")
        found.put(name, value_of(one, index))
    return found


def value_of(parameter: Json, index: int) -> Any:
    """What a parameter holds: its value, its resource, or its parts by name."""
    if "part" in parameter:
        parts = parameter["part"]
        if not isinstance(parts, list) or not all(isinstance(one, dict) for one in parts):
            raise refused(f"Parameters.parameter[{index}].part", "PARAMETER_INVALID", "a list belongs here")
        return {str(one.get("name")): value_of(one, index) for one in parts}
    held = [value for key, value in parameter.items() if key == "resource" or key.startswith("value")]
    if len(held) != 1:
        raise refused(f"Parameters.parameter[{index}]", "PARAMETER_INVALID", "one value or resource belongs here")
    return held[0]


def named_once(document: Json) -> dict[str, Json]:
    """The parameters of a Parameters resource by name. Raises InvalidArgumentError, reason PARAMETER_REPEATED."""
    require_type(document, "Parameters", "Parameters")
    listed = document.get("parameter")
    found: dict[str, Json] = {}
    for parameter in listed if isinstance(listed, list) else []:
        if isinstance(parameter, dict) and isinstance(parameter.get("name"), str):
            if parameter["name"] in found:
                violation = FieldViolation("Parameters.parameter", "PARAMETER_REPEATED", "each parameter stands once")
                raise InvalidArgumentError("PARAMETER_REPEATED", "a parameter stands twice", fields=[violation])
            found[parameter["name"]] = parameter
    return found


def told(parameters: Sequence[Json]) -> bytes:
    """A Parameters resource."""
    return orjson.dumps({"resourceType": "Parameters", "parameter": list(parameters)})


def refused(name: str, reason: str, description: str) -> InvalidArgumentError:
    """A parameter that is not taken, named."""
    return InvalidArgumentError(reason, f"{name}: {description}", fields=[FieldViolation(name, reason, description)])
