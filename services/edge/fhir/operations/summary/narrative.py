"""What a section says to a reader: a table of what, when, how it stands, and who filed it. XHTML, escaped."""

from collections.abc import Sequence
from html import escape
from typing import Any

Json = dict[str, Any]
_WHEN = (
    *("onsetDateTime", "occurrenceDateTime", "effectiveDateTime", "performedDateTime", "timingDateTime", "authoredOn"),
    *("recordedDate", "dateAsserted", "recordedOn", "issued", "date", "dateTime", "created"),
)
_PERIODS = ("onsetPeriod", "effectivePeriod", "performedPeriod", "timingPeriod", "period")
_WHAT = ("code", "vaccineCode", "medicationCodeableConcept", "type", "scope")
_DATE = len("YYYY-MM-DD")


def narrative(thai: str, title: str, bodies: Sequence[Json], named: dict[str, Json]) -> Json:
    """The text of a section; `named` holds the resources that entries refer to by `Type/id`."""
    rows = "".join(_row(one, named) for one in bodies)
    head = "<thead><tr><th>รายการ / What</th><th>วันที่ / When</th><th>สถานะ / Status</th><th>แหล่งข้อมูล / Source</th></tr></thead>"
    text = f"<table><caption>{escape(thai)} / {escape(title)}</caption>{head}<tbody>{rows}</tbody></table>"
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml" lang="th">{text}</div>'}


def nothing(thai: str, title: str) -> Json:
    """The text of a section of which nothing is known."""
    text = f"<p>{escape(thai)} / {escape(title)}: ไม่มีข้อมูล / no information</p>"
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml" lang="th">{text}</div>'}


def _row(body: Json, named: dict[str, Json]) -> str:
    source = str(body.get("meta", {}).get("source", "")).rpartition("/")[2]
    cells = (_what(body, named), _when(body), _status(body), source)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _what(body: Json, named: dict[str, Json]) -> str:
    concept = next((body[name] for name in _WHAT if isinstance(body.get(name), dict)), None)
    if concept is None:
        reference = body.get("medicationReference") or body.get("device") or {}
        drug = named.get(str(reference.get("reference", "")), {})
        concept = drug.get("code") or drug.get("type") or {"text": reference.get("display", "")}
    shown = called(concept) or str(body.get("title") or body.get("description") or body["resourceType"])
    value = _value(body)
    return f"{shown}: {value}" if value else shown


def called(concept: Json) -> str:
    """What a CodeableConcept says to a reader."""
    codings = concept.get("coding", ())
    names = (concept.get("text"), *(one.get("display") for one in codings), *(one.get("code") for one in codings))
    return next((str(one) for one in names if one), "")


def _value(body: Json) -> str:
    quantity = body.get("valueQuantity")
    if isinstance(quantity, dict) and "value" in quantity:
        unit = quantity.get("unit") or quantity.get("code") or ""
        return f"{quantity.get('comparator', '')}{quantity['value']} {unit}".strip()
    if isinstance(body.get("valueCodeableConcept"), dict):
        return called(body["valueCodeableConcept"])
    if body.get("component"):
        return ", ".join(
            filter(None, (f"{called(one.get('code', {}))} {_value(one)}".strip() for one in body["component"]))
        )
    return str(body.get("valueString") or body.get("valueDateTime") or body.get("conclusion") or "")


def _when(body: Json) -> str:
    for name in _WHEN:
        if isinstance(body.get(name), str):
            return str(body[name])[:_DATE]
    for name in _PERIODS:
        period = body.get(name)
        if isinstance(period, dict):
            return str(period.get("start") or period.get("end") or "")[:_DATE]
    return ""


def _status(body: Json) -> str:
    concept = body.get("clinicalStatus") or body.get("verificationStatus")
    status = called(concept) if isinstance(concept, dict) else str(body.get("status", ""))
    criticality = body.get("criticality")
    return f"{status}, {criticality}" if criticality else status
