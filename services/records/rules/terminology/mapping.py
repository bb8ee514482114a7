"""Maps from codes to codes: https://hl7.org/fhir/R4/conceptmap.html."""

from collections.abc import Iterator
from dataclasses import dataclass

from libs.fhir.body import Json

# http://hl7.org/fhir/concept-map-equivalence, seen from the other side.
_REVERSED = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """One line of a map."""

    map_url: str
    source_system: str
    source_code: str
    target_system: str
    target_code: str
    equivalence: str
    target_display: str = ""

    def reversed(self) -> "Mapped":
        """The same line read from target to source."""
        return Mapped(
            self.map_url,
            self.target_system,
            self.target_code,
            self.source_system,
            self.source_code,
            _REVERSED.get(self.equivalence, self.equivalence),
        )


def mappings_of(resource: Json) -> Iterator[Mapped]:
    """The lines of a ConceptMap. What it says has no target is none."""
    for group in resource.get("group", ()):
        for element in group.get("element", ()):
            for target in element.get("target", ()):
                if target.get("code") and element.get("code"):
                    yield Mapped(
                        resource.get("url", ""),
                        group.get("source", ""),
                        element["code"],
                        group.get("target", ""),
                        target["code"],
                        target.get("equivalence", "equivalent"),
                        target.get("display", ""),
                    )
