"""Concepts, the tables that hold them in memory, and what may be asked of a code system."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.body import Json
from libs.fhir.search_parameters import normalized

# Operators of http://hl7.org/fhir/filter-operator that are understood. `regex` is not: a pattern is a way to keep a
# server busy, and no set that the platform carries needs one.
OPERATORS = frozenset({"=", "is-a", "descendent-of", "is-not-a", "generalizes", "in", "not-in", "exists"})
HIERARCHICAL = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes"})
# Names by which filters call the concept itself.
_ITSELF = frozenset({"concept", "code"})


@dataclass(frozen=True, slots=True)
class Concept:
    """One code and what is said of it."""

    code: str
    display: str = ""
    definition: str = ""
    parents: tuple[str, ...] = ()
    # (language, text).
    designations: tuple[tuple[str, str], ...] = ()
    # (name, text).
    properties: tuple[tuple[str, str], ...] = ()
    is_inactive: bool = False

    def words(self) -> str:
        """What a text search looks through."""
        return normalized(" ".join((self.code, self.display, *(text for _, text in self.designations))))

    def values(self, name: str) -> list[str]:
        """The values of a property; code, display and parent are properties too."""
        own = {"code": (self.code,), "concept": (self.code,), "display": (self.display,), "parent": self.parents}
        return [*own.get(name, ()), *(text for known, text in self.properties if known == name)]

    def is_called(self, display: str) -> bool:
        """True if this is one of its names, whatever the case and the blanks."""
        names = (self.display, *(text for _, text in self.designations))
        return _plain(display) in {_plain(name) for name in names}


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on a property: `concept is-a J01`."""

    name: str
    operator: str
    value: str

    @property
    def values(self) -> list[str]:
        """The values of a list."""
        return [one.strip() for one in self.value.split(",") if one.strip()]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which concepts of one code system are meant."""

    # None means all.
    codes: tuple[str, ...] | None = None
    filters: tuple[Filter, ...] = ()
    # Normalised words, all of which must stand in what the concept is called.
    words: tuple[str, ...] = ()
    active_only: bool = False


@dataclass(slots=True)
class Table:
    """A code system in memory."""

    url: str
    version: str
    title: str
    concepts: dict[str, Concept]
    _children: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for concept in self.concepts.values():
            for parent in concept.parents:
                self._children.setdefault(parent, []).append(concept.code)

    def children(self, code: str) -> list[str]:
        """The codes right below."""
        return self._children.get(code, [])

    def descendants(self, code: str) -> set[str]:
        """The codes below, without the code itself."""
        return _closure(code, self._children)

    def ancestors(self, code: str) -> set[str]:
        """The codes above, without the code itself."""
        return _closure(code, {one.code: one.parents for one in self.concepts.values()})

    def select(self, wanted: Selection) -> Iterator[Concept]:
        """The concepts that are meant, in their order."""
        sets = [self._codes_of(one) for one in wanted.filters if one.operator in HIERARCHICAL]
        plain = [one for one in wanted.filters if one.operator not in HIERARCHICAL]
        listed = self.concepts if wanted.codes is None else dict.fromkeys(wanted.codes)
        for code in listed:
            concept = self.concepts.get(code)
            if (
                concept is not None
                and all(code in one for one in sets)
                and all(holds(concept, one) for one in plain)
                and not (wanted.active_only and concept.is_inactive)
                and has_words(concept, wanted.words)
            ):
                yield concept

    def _codes_of(self, one: Filter) -> set[str]:
        if one.operator == "generalizes":
            return {one.value, *self.ancestors(one.value)}
        below = self.descendants(one.value)
        if one.operator == "descendent-of":
            return below
        with_itself = {one.value, *below} if one.value in self.concepts else below
        return self.concepts.keys() - with_itself if one.operator == "is-not-a" else with_itself


def has_words(concept: Concept, words: Sequence[str]) -> bool:
    """True if all the words stand in what the concept is called."""
    if not words:
        return True
    text = concept.words()
    return all(word in text for word in words)


def holds(concept: Concept, one: Filter) -> bool:
    """True if a filter that asks for no hierarchy holds."""
    values = concept.values(one.name)
    if one.operator == "=":
        return one.value in values
    if one.operator == "exists":
        return bool(values) == (one.value == "true")
    is_in = any(value in one.values for value in values)
    return is_in if one.operator == "in" else not is_in


def filter_of(part: Json, place: str) -> Filter:
    """A filter of ValueSet.compose. Raises InvalidArgumentError, reason FILTER_UNSUPPORTED."""
    found = Filter(str(part.get("property", "")), str(part.get("op", "")), str(part.get("value", "")))
    is_of_itself = found.operator not in HIERARCHICAL or found.name in _ITSELF
    if found.operator not in OPERATORS or not found.name or not is_of_itself:
        message = f"the filter {found.name} {found.operator} is not understood"
        raise InvalidArgumentError(
            "FILTER_UNSUPPORTED", message, fields=[FieldViolation(place, "FILTER_UNSUPPORTED", message)]
        )
    return found


def table_of(resource: Json) -> Table:
    """The table of a CodeSystem resource."""
    concepts: dict[str, Concept] = {}
    for concept in _flat(resource.get("concept", ()), ()):
        concepts.setdefault(concept.code, concept)
    return Table(
        resource.get("url", ""),
        resource.get("version", ""),
        resource.get("title") or resource.get("name", ""),
        concepts,
    )


def table_of_rows(url: str, row: Mapping[str, object]) -> Table:
    """The table of a code system that the platform carries: rows of code, display, parents, definition."""
    rows: Iterable[Sequence[str]] = row["concepts"]  # type: ignore[assignment]  # as tools.terminology_tables writes it
    concepts = {
        code: Concept(code, display, definition, tuple(parents.split())) for code, display, parents, definition in rows
    }
    return Table(url, str(row["version"]), str(row["title"]), concepts)


def _flat(concepts: Iterable[Json], parents: tuple[str, ...]) -> Iterator[Concept]:
    for one in concepts:
        properties = tuple(_properties(one))
        above = (*parents, *(text for name, text in properties if name in {"subsumedBy", "parent"}))
        yield Concept(
            code=one["code"],
            display=one.get("display", ""),
            definition=one.get("definition", ""),
            parents=tuple(dict.fromkeys(above)),
            designations=tuple((part.get("language", ""), part["value"]) for part in one.get("designation", ())),
            properties=properties,
            is_inactive=("inactive", "true") in properties or ("status", "retired") in properties,
        )
        yield from _flat(one.get("concept", ()), (one["code"],))


def _properties(concept: Json) -> Iterator[tuple[str, str]]:
    for part in concept.get("property", ()):
        for name, value in part.items():
            if name.startswith("value"):
                shown = value.get("code", "") if isinstance(value, dict) else value
                yield part.get("code", ""), str(shown).lower() if isinstance(shown, bool) else str(shown)


def _closure(code: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [code]
    while waiting:
        for reached in edges.get(waiting.pop(), ()):
            if reached not in found:
                found.add(reached)
                waiting.append(reached)
    # A hierarchy that runs in a circle puts nothing below itself.
    found.discard(code)
    return found


def _plain(text: str) -> str:
    return " ".join(normalized(text).split())
