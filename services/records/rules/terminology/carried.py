"""The code systems, value sets and maps that the platform carries: HL7's own of FHIR R4, and the Thai code lists.

Read when first asked for: 754 KB and 229 KB packed, about a tenth of a second. Made by `tools/terminology_tables.py`.
"""

import functools
import gzip
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

import orjson

from libs.fhir.body import Json
from services.records.rules.terminology.concepts import Table, table_of_rows
from services.records.rules.terminology.mapping import Mapped, mappings_of

_TABLES = ("hl7", "thai")


@functools.cache
def _carried() -> Mapping[str, Json]:
    whole: dict[str, Json] = {"systems": {}, "sets": {}, "maps": {}}
    for name in _TABLES:
        packed = resources.files("services.records").joinpath(f"data/terminology/{name}.json.gz").read_bytes()
        for part, found in orjson.loads(gzip.decompress(packed)).items():
            whole[part].update(found)
    return MappingProxyType(whole)


@functools.lru_cache(maxsize=256)
def system(url: str) -> Table | None:
    """A code system; None for one that is not carried."""
    row = _carried()["systems"].get(url)
    return table_of_rows(url, row) if row is not None else None


def systems() -> Mapping[str, Json]:
    """URL → version, title and concepts of what is carried."""
    return _carried()["systems"]


def value_set(url: str) -> Json | None:
    """A value set as a resource; None for one that is not carried."""
    row = _carried()["sets"].get(url)
    if row is None:
        return None
    compose = {part: row[part] for part in ("include", "exclude") if part in row}
    return {"url": url, "version": row["version"], "title": row["title"], "compose": compose}


@functools.cache
def mappings() -> tuple[Mapped, ...]:
    """Every mapping of the maps that are carried: HL7's, and those from the codes of the 43 files to FHIR's."""
    found = [one for url, row in _carried()["maps"].items() for one in mappings_of({"url": url, **row})]
    lines = resources.files("services.records").joinpath("data/terminology/f43_maps.tsv").read_text(encoding="utf-8")
    return (*found, *(Mapped(*line.split("\t")) for line in lines.splitlines()[1:]))
