"""LOINC's table, `Loinc.csv` of a release."""

import csv
import io
from collections.abc import Iterator

from tools.terminology.reading import Json, Source, SourceError
from tools.terminology.tables import decoded

# Column → property, as https://terminology.hl7.org/LOINC.html names them.
_PROPERTIES = (
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "STATUS",
    "ORDER_OBS",
)
_INACTIVE = frozenset({"DEPRECATED", "DISCOURAGED"})


def concepts(source: Source) -> Iterator[Json]:
    """Each term with its axes."""
    with source.member("loinc.csv") as file:
        text = decoded(file.read(), source.path.name)
    reader = csv.DictReader(io.StringIO(text))
    if "LOINC_NUM" not in (reader.fieldnames or ()):
        raise SourceError(f"{source.path.name}: there is no column LOINC_NUM")
    for row in reader:
        yield {
            "code": row["LOINC_NUM"],
            "display": row.get("LONG_COMMON_NAME") or row.get("COMPONENT", ""),
            "designations": [{"language": "en", "text": row["SHORTNAME"]}] if row.get("SHORTNAME") else [],
            "properties": [{"name": name, "text": row[name]} for name in _PROPERTIES if row.get(name)],
            "isInactive": row.get("STATUS") in _INACTIVE,
        }
