"""The values of each kind of search parameter, read into conditions: http://hl7.org/fhir/R4/search.html#ptypes."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from libs.fhir.definitions import is_resource_type
from libs.fhir.moments import asked
from libs.fhir.primitives import is_id
from libs.fhir.references import parse_local
from libs.fhir.search_parameters import (
    CONTENT_PATH,
    NARRATIVE_PATH,
    Part,
    SearchParameter,
    normalized,
    principal_code,
    principal_date,
)
from libs.fhir.search_values import pair_path
from services.records.rules import index_entries as index
from services.records.rules.errors import search_invalid
from services.records.rules.queries.conditions import (
    AllCondition,
    AnyCondition,
    Condition,
    DateCondition,
    IdCondition,
    MissingCondition,
    NearCondition,
    NumberCondition,
    NumberTest,
    PersonCondition,
    TextCondition,
    TokenCondition,
)

# So many alternatives of what is looked up as it stands: ids, codes, references, addresses; of all else, each of which is a
# test of its own, fewer.
MAX_ALTERNATIVES: Final = 1000
MAX_TESTS: Final = 200
_LOOKED_UP: Final = frozenset({"token", "reference", "uri"})
# As long as the longest address that anybody writes.
_LONGEST_VALUE: Final = 2048
# Parameters that name the person whom a resource is about: answered by where it is filed, for all that is the person's.
OF_THE_PERSON: Final = frozenset({"patient", "subject", "beneficiary"})
_PREFIXES: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
_PREFIX_LENGTH = 2
# How near is near, by the specification's advice for `ap`.
_NEARLY = 0.1
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_KILOMETRES = {"km": 1.0, "m": 0.001, "[mi_us]": 1.609344, "mi": 1.609344, "": 1.0}
# Without a distance, `near` means about a town.
_TOWN = "5"
NOT_SUPPORTED = "this modifier is not supported"


def split(text: str, at: str) -> list[str]:
    """The parts of a value between characters; one after a backslash is part of a part. Escapes stay."""
    parts, current, escaped = [], "", False
    for character in text:
        if escaped:
            current, escaped = current + "\\" + character, False
        elif character == "\\":
            escaped = True
        elif character == at:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current + ("\\" if escaped else ""))
    return parts


def unescaped(text: str) -> str:
    """The value that is meant."""
    return re.sub(r"\\([\\,$|])", r"\1", text)


def alternatives(name: str, value: str) -> list[str]:
    """The values between commas, still with their escapes."""
    if "\x00" in value:
        raise search_invalid(name, "a value holds a character that no resource holds")
    parts = split(value, ",")
    if any(not part for part in parts):
        raise search_invalid(name, "a value is empty")
    if len(parts) > MAX_ALTERNATIVES:
        raise search_invalid(name, f"more than {MAX_ALTERNATIVES} alternatives")
    if any(len(part) > _LONGEST_VALUE for part in parts):
        raise search_invalid(name, f"a value has more than {_LONGEST_VALUE} characters")
    return parts


def one_of(conditions: Iterable[Condition]) -> Condition:
    """Any of the conditions, as the simplest condition that says so."""
    parts = tuple(conditions)
    return parts[0] if len(parts) == 1 else AnyCondition(parts)


def missing(parameter: SearchParameter, values: Sequence[str], name: str) -> Condition:
    """`:missing=true`."""
    if len(values) != 1 or values[0] not in {"true", "false"} or not parameter.walks:
        raise search_invalid(name, "the value is true or false")
    return MissingCondition(tuple(walk.json_path for walk in parameter.walks), values[0] == "true")


def condition_of(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    """The conditions of one parameter. Raises InvalidArgumentError, reason SEARCH_INVALID."""
    is_read = parameter.name in {"_text", "_content"}
    is_looked_up = parameter.kind in _LOOKED_UP and modifier not in {"text", "below"} and not is_read
    if len(values) > MAX_TESTS and not is_looked_up:
        raise search_invalid(name, f"more than {MAX_TESTS} alternatives")
    if is_read:
        return [_read_by_people(resource_type, parameter, modifier, values, name)]
    if modifier == "missing":
        return [missing(parameter, values, name)]
    return _READERS[parameter.kind](resource_type, parameter, modifier, values, name)


def _read_by_people(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> Condition:
    if modifier:
        raise search_invalid(name, NOT_SUPPORTED)
    path = NARRATIVE_PATH if parameter.name == "_text" else CONTENT_PATH
    return TextCondition((index.place(resource_type, path, index.READ),), "contains", _texts(values, name))


def _texts(values: Sequence[str], name: str) -> tuple[str, ...]:
    wanted = tuple(normalized(unescaped(value)) for value in values)
    if any(not one for one in wanted):
        raise search_invalid(name, "a value is empty")
    return wanted


def ids(name: str, modifier: str, values: Sequence[str]) -> Condition:
    """`_id`: what cannot be an id is no resource's."""
    if modifier:
        raise search_invalid(name, NOT_SUPPORTED)
    return IdCondition(tuple(value for value in values if is_id(value)))


def _token(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    paths = parameter.paths[:1] if parameter.is_existence else parameter.paths
    if modifier == "text":
        places = tuple(index.place(resource_type, path, index.CALLED) for path in paths)
        return [TextCondition(places, "contains", _texts(values, name))]
    if modifier == "of-type":
        return [TokenCondition(tuple(_typed(resource_type, path, value, name) for value in values for path in paths))]
    if modifier not in {"", "not"}:
        raise search_invalid(name, NOT_SUPPORTED)
    hashes = tuple(token_hash(resource_type, path, value, name) for value in values for path in paths)
    orders: tuple[int, ...] = ()
    if not modifier and parameter.name == principal_code(resource_type):
        codes = [code for value in values if (code := _code(value))]
        if len(codes) == len(values):
            orders = tuple(
                index.token(resource_type, path, index.ANY_SYSTEM, code)
                for code in dict.fromkeys(codes)
                for path in paths
            )
    is_common = parameter.name != "identifier"
    return [TokenCondition(hashes, is_negated=modifier == "not", orders=orders, is_common=is_common)]


def _code(value: str) -> str:
    return unescaped(split(value, "|")[-1])


def token_parts(value: str, name: str) -> tuple[str | None, str]:
    """System and code of `system|code`; no system where none is asked for."""
    parts = split(value, "|")
    if len(parts) > 2:  # noqa: PLR2004 a system and a code
        # A bar within a code should be escaped; a system has none, so that the first one is meant.
        parts = [parts[0], "|".join(parts[1:])]
    if len(parts) == 1:
        return None, unescaped(parts[0])
    system, code = (unescaped(part) for part in parts)
    if not system and not code:
        raise search_invalid(name, "a value is empty")
    return system, code


def token_hash(resource_type: str, path: str, value: str, name: str) -> int:
    """The token that a value is found by."""
    system, code = token_parts(value, name)
    if system is None:
        return index.token(resource_type, path, index.ANY_SYSTEM, code)
    if code:
        return index.token(resource_type, path, index.WITH_SYSTEM, system, code)
    return index.token(resource_type, path, index.SYSTEM_ONLY, system)


def _typed(resource_type: str, path: str, value: str, name: str) -> int:
    parts = [unescaped(part) for part in split(value, "|")]
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 all three, says the specification
        raise search_invalid(name, "the value is system|code|value, of the identifier's type and of the identifier")
    return index.token(resource_type, path, index.TYPED, *parts)


def _reference(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier == "identifier":
        pairs = [token_parts(value, name) for value in values]
        hashes = [
            index.token(resource_type, path, index.IDENTIFIED, *((code,) if system is None else (system, code)))
            for system, code in pairs
            for path in parameter.paths
        ]
        return [TokenCondition(tuple(hashes))]
    if modifier in {"below", "above"}:
        return _uri(resource_type, parameter, modifier, values, name)
    if modifier and not (is_resource_type(modifier) and (not parameter.targets or modifier in parameter.targets)):
        raise search_invalid(name, "this modifier is not supported, or the reference is never to this type")
    targets = (modifier,) if modifier else parameter.targets
    texts = [text for value in values for text in _reference_texts(value, targets, name)]
    return reference_conditions(
        resource_type, parameter, texts, name, is_bare=all("/" not in value for value in values)
    )


def reference_conditions(
    resource_type: str, parameter: SearchParameter, texts: Sequence[str], name: str, *, is_bare: bool = False
) -> list[Condition]:
    """The conditions that a resource refers to one of the texts; a Patient among them means the person."""
    patients = [text.removeprefix("Patient/") for text in texts if text.startswith("Patient/")]
    if parameter.name in OF_THE_PERSON and patients:
        if len(patients) == len(texts) or parameter.targets == ("Patient",) or is_bare:
            markers = tuple(index.any_patient(resource_type, path) for path in parameter.paths)
            return [TokenCondition(markers), PersonCondition(tuple(dict.fromkeys(patients)))]
        raise search_invalid(name, "people and other subjects cannot be asked for in one value list")
    hashes = (index.reference(resource_type, path, text) for text in texts for path in parameter.paths)
    return [TokenCondition(tuple(hashes))]


def _reference_texts(value: str, targets: Sequence[str], name: str) -> list[str]:
    text = unescaped(value)
    local = parse_local(text)
    if local is not None:
        return [str(local)]
    if ":" in text:
        return [text]
    if is_id(text):
        if not targets:
            raise search_invalid(name, "the reference needs its type: Type/id")
        return [f"{target}/{text}" for target in targets]
    raise search_invalid(name, "the value is no reference")


def _string(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier == "exact":
        hashes = (
            index.token(resource_type, path, index.EXACT, unescaped(value))
            for value in values
            for path in parameter.paths
        )
        return [TokenCondition(tuple(hashes))]
    forms = {"": (index.STRING,), "contains": (index.STRING, index.REST)}.get(modifier)
    if forms is None:
        raise search_invalid(name, NOT_SUPPORTED)
    places = tuple(index.place(resource_type, path, form) for path in parameter.paths for form in forms)
    return [TextCondition(places, "whole" if modifier else "prefix", _texts(values, name))]


def _with_prefix(value: str) -> tuple[str, str]:
    has_prefix = value[:_PREFIX_LENGTH].isalpha()
    return (value[:_PREFIX_LENGTH], value[_PREFIX_LENGTH:]) if has_prefix else ("eq", value)


def _date(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier:
        raise search_invalid(name, NOT_SUPPORTED)
    spans = []
    for value in values:
        prefix, rest = _with_prefix(value)
        span = asked(rest)
        if prefix not in _PREFIXES or span is None:
            raise search_invalid(name, f"the value is no date with one of the prefixes {', '.join(sorted(_PREFIXES))}")
        spans.append((prefix, span))
    if parameter.name == "_lastUpdated":
        return [DateCondition((), is_principal=False, spans=tuple(spans))]
    is_principal = parameter.name == principal_date(resource_type)
    return [DateCondition(parameter.paths, is_principal, tuple(spans))]


def _uri(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    wanted = [unescaped(value) for value in values]
    is_reference = parameter.kind == "reference"
    if modifier == "below" and not is_reference:
        places = tuple(index.place(resource_type, path, index.URI) for path in parameter.paths)
        return [TextCondition(places, "below", tuple(wanted))]
    if modifier == "above":
        wanted = [one for text in wanted for one in _above(text)]
    elif modifier:
        raise search_invalid(name, NOT_SUPPORTED)
    if is_reference:
        hashes = [index.reference(resource_type, path, text) for text in wanted for path in parameter.paths]
    else:
        hashes = [index.text_token(resource_type, path, index.URI, text) for text in wanted for path in parameter.paths]
    return [TokenCondition(tuple(hashes))]


def _above(text: str) -> Iterator[str]:
    """An address and those that it lies under."""
    yield text
    while "/" in text.partition("://")[2]:
        text = text.rpartition("/")[0]
        yield text
        yield text + "/"


def number_test(value: str, name: str) -> NumberTest:
    """A number with its prefix; its implicit precision is half of its last digit: 5.40 is from 5.395 up to 5.405."""
    prefix, rest = _with_prefix(value)
    try:
        number = Decimal(rest) if _NUMBER.fullmatch(rest) else None
    except InvalidOperation:
        number = None
    if prefix not in _PREFIXES or number is None:
        raise search_invalid(name, f"the value is no number with one of the prefixes {', '.join(sorted(_PREFIXES))}")
    exponent = number.as_tuple().exponent
    half = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    if prefix == "ap":
        half = max(half, abs(number) * Decimal(str(_NEARLY)))
    return NumberTest(prefix, float(number), float(number - half), float(number + half))


def quantity_test(value: str, name: str) -> NumberTest:
    """`5.4|system|code`, `5.4||code` or `5.4`."""
    parts = split(value, "|")
    if len(parts) not in {1, 3}:
        raise search_invalid(name, "the value is number, number|system|code or number||code")
    found = number_test(parts[0], name)
    if len(parts) == 1:
        return found
    system, code = unescaped(parts[1]), unescaped(parts[2])
    if not code:
        raise search_invalid(name, "the value is number, number|system|code or number||code")
    keys = index.unit_keys(system, code, "") if system else index.unit_keys("", "", code)
    return NumberTest(found.prefix, found.value, found.low, found.high, (next(iter(keys)),))


def _number(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier:
        raise search_invalid(name, NOT_SUPPORTED)
    read = quantity_test if parameter.kind == "quantity" else number_test
    places = tuple(index.number_place(resource_type, path) for path in parameter.paths)
    return [NumberCondition(places, tuple((read(value, name),) for value in values))]


def _near(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier:
        raise search_invalid(name, NOT_SUPPORTED)
    points = []
    for value in values:
        parts = (*split(value, "|"), "", "", "")[:4]
        latitude, longitude, distance, unit = parts[0], parts[1], parts[2] or _TOWN, parts[3]
        is_sound = all(_NUMBER.fullmatch(one) for one in (latitude, longitude, distance)) and unit in _KILOMETRES
        if not is_sound or abs(float(latitude)) > 90 or abs(float(longitude)) > 180 or float(distance) < 0:  # noqa: PLR2004 degrees
            raise search_invalid(name, "the value is latitude|longitude|distance|km or m")
        points.append((float(latitude), float(longitude), float(distance) * _KILOMETRES[unit]))
    return [NearCondition(index.number_place(resource_type, parameter.paths[0]), tuple(points))]


def _composite(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier:
        raise search_invalid(name, NOT_SUPPORTED)
    found = []
    for value in values:
        parts = split(value, "$")
        if len(parts) != len(parameter.parts) or any(not part for part in parts):
            raise search_invalid(name, f"the value has {len(parameter.parts)} parts with $ between them")
        found += [_composed(resource_type, parameter, number, parts, name) for number in range(len(parameter.walks))]
    return [one_of(found)]


def _composed(
    resource_type: str, parameter: SearchParameter, number: int, parts: Sequence[str], name: str
) -> Condition:
    """The parts, of one element that one of the composite's walks leads to."""
    base, (first, *others) = parameter.walks[number], parameter.parts
    system, code = token_parts(parts[0], name)
    keys = (index.about_with(system, code),) if system is not None else ()
    about = index.about_any(code)
    if others[0].kind in {"quantity", "number"}:
        read = quantity_test if others[0].kind == "quantity" else number_test
        tests = tuple(_about(read(part, name), about, keys) for part in parts[1:])
        if len(others) > 1:
            return NumberCondition((index.number_place(resource_type, pair_path(base, parameter)),), (tests,))
        prefix = f"{base.path}." if base.path else ""
        places = tuple(index.number_place(resource_type, prefix + walk.path) for walk in others[0].walks)
        return NumberCondition(places, (tests,))
    if base.steps:
        left = code if system is None else f"{system}|{code}"
        if others[0].kind == "token":
            other_system, other = token_parts(parts[1], name)
            right = other if other_system is None else f"{other_system}|{other}"
        else:
            right = _reference_texts(parts[1], (), name)[0]
        return TokenCondition((index.token(resource_type, pair_path(base, parameter), index.PAIR, left, right),))
    return AllCondition(
        (
            *_of_part(resource_type, first, parts[0], name),
            *_of_part(resource_type, others[0], parts[1], name),
        )
    )


def _about(test: NumberTest, about: int, keys: tuple[int, ...]) -> NumberTest:
    return NumberTest(test.prefix, test.value, test.low, test.high, (*test.keys, *keys), about)


def _of_part(resource_type: str, part: Part, value: str, name: str) -> list[Condition]:
    alone = SearchParameter("", part.kind, (), part.walks)
    return _READERS[part.kind](resource_type, alone, "", [value], name)


Read = Callable[[str, SearchParameter, str, Sequence[str], str], list[Condition]]
_READERS: Final[dict[str, Read]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "date": _date,
    "uri": _uri,
    "number": _number,
    "quantity": _number,
    "composite": _composite,
    "special": _near,
}
