"""What a search asks of a resource, as conditions on the index."""

from dataclasses import dataclass, field
from typing import Final

from libs.fhir.moments import Span
from libs.fhir.search_parameters import SearchParameter

DEFAULT_COUNT: Final = 20
MAX_COUNT: Final = 1000


@dataclass(frozen=True, slots=True)
class TokenCondition:
    """At least one of the hashes stands in the resource's tokens; or none, if negated."""

    hashes: tuple[int, ...]
    is_negated: bool = False
    # The tokens among which resources of this value are also walked by date; empty where they are not.
    orders: tuple[int, ...] = ()
    # True for codes, which many resources may carry; a number belongs to one.
    is_common: bool = False


@dataclass(frozen=True, slots=True)
class TextCondition:
    """A text at one of the places begins with one of the values, or contains all words of one of them."""

    places: tuple[int, ...]
    # prefix, contains, below (an address and what lies under it).
    mode: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonCondition:
    """Filed under one of the registrations, or under another of the same person."""

    registration_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdCondition:
    """One of the ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TypeCondition:
    """Of this type, where several are searched."""

    type: str


@dataclass(frozen=True, slots=True)
class ListCondition:
    """An item of one of the Lists."""

    list_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DateCondition:
    """A span of one of the paths stands to one of the spans as its prefix says."""

    # Empty for the time that the resource was recorded.
    paths: tuple[str, ...]
    is_principal: bool
    spans: tuple[tuple[str, Span], ...]


@dataclass(frozen=True, slots=True)
class NumberTest:
    """One number asked for: the value, and the range that it stands for by the digits that it is written with."""

    prefix: str
    value: float
    low: float
    high: float
    # What the unit must be, and the code beside it with its system.
    keys: tuple[int, ...] = ()
    # The code beside it; 0 for any.
    about: int = 0


@dataclass(frozen=True, slots=True)
class NumberCondition:
    """A number at one of the places meets one of the tests; each is one test, or two of the low and the high end."""

    places: tuple[int, ...]
    tests: tuple[tuple[NumberTest, ...], ...]


@dataclass(frozen=True, slots=True)
class NearCondition:
    """Within the distance of one of the points: latitude, longitude, kilometres."""

    place: int
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class MissingCondition:
    """Nothing stands at any of the SQL/JSON paths; or something does."""

    json_paths: tuple[str, ...]
    is_missing: bool


@dataclass(frozen=True, slots=True)
class ChainCondition:
    """Refers to a resource of the type that meets the conditions."""

    # The places of such references, and the marker of references to a Patient where persons are meant; 0 where not.
    places: tuple[int, ...]
    markers: tuple[int, ...]
    type: str
    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class HasCondition:
    """A resource of the type that meets the conditions refers to it by the parameter."""

    target: str
    type: str
    json_paths: tuple[str, ...]
    # As in a ChainCondition.
    markers: tuple[int, ...]
    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyCondition:
    """One of the parts is met."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AllCondition:
    """All parts are met."""

    parts: "tuple[Condition, ...]"


Condition = (
    TokenCondition
    | TextCondition
    | PersonCondition
    | IdCondition
    | TypeCondition
    | ListCondition
    | DateCondition
    | NumberCondition
    | NearCondition
    | MissingCondition
    | ChainCondition
    | HasCondition
    | AnyCondition
    | AllCondition
)


@dataclass(frozen=True, slots=True)
class Inclusion:
    """`_include` (from the matches to what they refer to) or `_revinclude` (to the matches from what refers to them)."""

    source: str
    # None for all references of the source.
    parameter: SearchParameter | None
    # Empty for any.
    target: str
    is_reverse: bool
    # Also of what was included.
    iterates: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """A key that results are sorted by."""

    # recorded, occurred, id, or the kind of the parameter.
    kind: str
    is_descending: bool
    paths: tuple[str, ...] = ()
    json_paths: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


@dataclass(slots=True)
class Query:
    """A search that is understood."""

    type: str
    # More than one for a search of several types at once; the first is `type`.
    types: tuple[str, ...] = ()
    conditions: list[Condition] = field(default_factory=list)
    # recorded, occurred, id, or keys: those of `sorts`; empty for whichever costs least.
    order: str = ""
    is_descending: bool = True
    sorts: tuple[Sort, ...] = ()
    count: int = DEFAULT_COUNT
    wants_total: bool = False
    refuses_total: bool = False
    wants_matches: bool = True
    # false, true, text, data or count.
    summary: str = "false"
    elements: tuple[str, ...] = ()
    inclusions: list[Inclusion] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    explains: bool = False
