"""Resources as XML (http://hl7.org/fhir/R4/xml.html) ⇄ as JSON, by the specification's definitions.

Elements stand in their order, ids of elements and the url of an extension are attributes, a primitive's value is one too, a
narrative is XHTML as it is. Reading takes no document type, so no entities: neither files nor bombs come in by one.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lxml import etree

from libs.fhir.body import MAX_BYTES, BodyError, Json, PreciseNumber
from libs.fhir.definitions import definitions
from libs.fhir.issues import STRUCTURE, TOO_LONG, Issue
from libs.fhir.misfits import MAX_DEPTH
from libs.fhir.primitives import TESTS

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST_NUMBER: Final = 40
_BOOLEANS: Final = {"true": True, "false": False}
_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt", "decimal"})
# What XML cannot hold, and FHIR neither.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class _Slot(NamedTuple):
    """What stands under a name."""

    name: str
    type: str
    is_list: bool


@functools.cache
def _slots(type_name: str) -> Mapping[str, _Slot]:
    """JSON name → slot, in the order of the specification."""
    return {
        key: _Slot(key, "Resource" if kind in definitions().resource_types else kind.removeprefix("@"), element.is_list)
        for element in definitions().structures.get(type_name, ())
        for key, kind in element.json_names().items()
    }


@functools.cache
def _attributes(type_name: str) -> frozenset[str]:
    """Members that are attributes: the id of what is no resource, the url of an extension."""
    if type_name in definitions().resource_types:
        return frozenset()
    return frozenset({"id", "url"}) if type_name == "Extension" else frozenset({"id"})


def to_xml(body: Json, *, is_pretty: bool = False) -> bytes:
    """The XML of a sound resource."""
    name = body["resourceType"]
    root = etree.Element(f"{{{FHIR}}}{name}", nsmap={None: FHIR})
    _write(root, body, name)
    if is_pretty:
        _indent(root, "\n")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _indent(element: etree._Element, line: str) -> None:
    """Sets each element on a line of its own; a narrative stays as it is."""
    children = list(element)
    if not children or etree.QName(element).namespace != FHIR:
        return
    element.text = line + "  "
    for child in children:
        _indent(child, line + "  ")
        child.tail = line + "  "
    children[-1].tail = line


def _write(element: etree._Element, value: Json, type_name: str) -> None:
    attributes = _attributes(type_name)
    for name, slot in _slots(type_name).items():
        if name in attributes:
            if name in value:
                element.set(name, _UNWRITABLE.sub("", str(value[name])))
            continue
        sibling = "_" + name
        if name not in value and sibling not in value:
            continue
        if slot.type in TESTS:
            for one, more in _pairs(value.get(name), value.get(sibling)):
                _write_primitive(element, slot, one, more)
        else:
            for one in value[name] if type(value[name]) is list else [value[name]]:
                _write_complex(etree.SubElement(element, f"{{{FHIR}}}{name}"), slot, one)


def _pairs(values: Any, siblings: Any) -> Iterator[tuple[Any, Any]]:
    """Each value of a primitive with what belongs to it."""
    if type(values) is not list and type(siblings) is not list:
        yield values, siblings
        return
    values, siblings = values or [], siblings or []
    for at in range(max(len(values), len(siblings))):
        yield values[at] if at < len(values) else None, siblings[at] if at < len(siblings) else None


def _write_primitive(parent: etree._Element, slot: _Slot, value: Any, more: Any) -> None:
    if slot.type == "xhtml":
        parent.append(_narrative(str(value)))
        return
    element = etree.SubElement(parent, f"{{{FHIR}}}{slot.name}")
    if more is not None:
        _write(element, more, "Element")
    if value is not None:
        element.set("value", _UNWRITABLE.sub("", _text(value)))


def _text(value: Any) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    return value.text if isinstance(value, PreciseNumber) else str(value)


def _write_complex(element: etree._Element, slot: _Slot, value: Json) -> None:
    if slot.type == "Resource":
        name = value["resourceType"]
        _write(etree.SubElement(element, f"{{{FHIR}}}{name}"), value, name)
    else:
        _write(element, value, slot.type)


def _narrative(text: str) -> etree._Element:
    try:
        return etree.fromstring(text, _parser())
    except etree.XMLSyntaxError:
        # What is stored was checked; what is not XHTML after all is told as text.
        element = etree.Element(f"{{{XHTML}}}div", nsmap={None: XHTML})
        element.text = _UNWRITABLE.sub("", text)
        return element


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )


def from_xml(raw: bytes) -> Json:
    """The resource in XML bytes. Raises BodyError with the place: not XML, a document type, elements that are none."""
    if len(raw) > MAX_BYTES:
        raise BodyError(Issue("", TOO_LONG, f"a resource has at most {MAX_BYTES} bytes"))
    try:
        root = etree.fromstring(raw, _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        line, column = getattr(error, "position", None) or (1, 1)
        raise BodyError(Issue("", STRUCTURE, f"the body is not XML: line {line}, column {column}")) from None
    if root.getroottree().docinfo.doctype:
        raise BodyError(Issue("", STRUCTURE, "a resource has no document type"))
    return _resource(root, "", 0)


def _resource(element: etree._Element, place: str, depth: int) -> Json:
    name = _local(element, place, FHIR)
    if name not in definitions().resource_types:
        raise BodyError(Issue(place, STRUCTURE, "there is no such resource type in FHIR R4"))
    if element.attrib:
        raise BodyError(Issue(place or name, STRUCTURE, "a resource has no attributes"))
    return {"resourceType": name, **_read(element, name, place or name, depth)}


def _local(element: etree._Element, place: str, namespace: str) -> str:
    name = etree.QName(element)
    if name.namespace != namespace:
        raise BodyError(Issue(place, STRUCTURE, f"elements are of the namespace {namespace}"))
    return name.localname


def _read(element: etree._Element, type_name: str, place: str, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise BodyError(Issue("", STRUCTURE, f"elements are nested deeper than {MAX_DEPTH}"))
    _require_no_text(element, place)
    value: Json = {name: str(element.attrib[name]) for name in sorted(_attributes(type_name)) if name in element.attrib}
    slots = _slots(type_name)
    groups: dict[str, list[etree._Element]] = {}
    for child in element:
        is_narrative = type_name == "Narrative" and etree.QName(child).localname == "div"
        name = _local(child, place, XHTML if is_narrative else FHIR)
        if name not in slots or name in _attributes(type_name):
            raise BodyError(Issue(place, STRUCTURE, f"{type_name.rpartition('.')[2]} has no element {name[:64]}"))
        groups.setdefault(name, []).append(child)
    for name, some in groups.items():
        slot = slots[name]
        if len(some) > 1 and not slot.is_list:
            raise BodyError(Issue(f"{place}.{name}", STRUCTURE, "only one may stand here"))
        if slot.type in TESTS:
            _read_primitives(value, slot, some, f"{place}.{name}", depth)
        else:
            found = [_complex(one, slot, f"{place}.{name}", depth + 1) for one in some]
            value[name] = found if slot.is_list else found[0]
    return value


def _require_no_text(element: etree._Element, place: str) -> None:
    texts = [element.text, *(child.tail for child in element)]
    if any(text and not text.isspace() for text in texts):
        raise BodyError(Issue(place, STRUCTURE, "text stands in the attribute value, not between elements"))


def _complex(element: etree._Element, slot: _Slot, place: str, depth: int) -> Json:
    if slot.type == "Resource":
        inner = list(element)
        if len(inner) != 1 or element.attrib:
            raise BodyError(Issue(place, STRUCTURE, "one resource stands here"))
        return _resource(inner[0], place, depth)
    _require_attributes(element, place, _attributes(slot.type))
    return _read(element, slot.type, place, depth)


def _require_attributes(element: etree._Element, place: str, known: frozenset[str]) -> None:
    if not known.issuperset(map(str, element.attrib)):
        raise BodyError(Issue(place, STRUCTURE, f"the attributes here are {', '.join(sorted(known))}"))


def _read_primitives(value: Json, slot: _Slot, elements: list[etree._Element], place: str, depth: int) -> None:
    values: list[Any] = []
    siblings: list[Json | None] = []
    for element in elements:
        if slot.type == "xhtml":
            values.append(_xhtml(element))
            siblings.append(None)
            continue
        _require_attributes(element, place, frozenset({"id", "value"}))
        more = _read(element, "Element", place, depth + 1)
        text = element.attrib.get("value")
        if text is None and not more:
            raise BodyError(Issue(place, STRUCTURE, "an element has a value, an id or extensions"))
        values.append(_typed(str(text), slot.type, place) if text is not None else None)
        siblings.append(more or None)
    if any(one is not None for one in values):
        value[slot.name] = values if slot.is_list else values[0]
    if any(siblings):
        value["_" + slot.name] = siblings if slot.is_list else siblings[0]


def _xhtml(element: etree._Element) -> str:
    copied = etree.fromstring(etree.tostring(element, with_tail=False), _parser())
    etree.cleanup_namespaces(copied, top_nsmap={None: XHTML})
    return etree.tostring(copied, encoding="unicode")


def _typed(text: str, type_name: str, place: str) -> Any:
    """The JSON value; what is none of its type stays text, for validation to say so."""
    if type_name == "boolean":
        return _BOOLEANS.get(text, text)
    if type_name not in _NUMBERS:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if type_name != "decimal" or not _DECIMAL.fullmatch(text):
        return text
    number = float(text) if len(text) <= _LONGEST_NUMBER else float("inf")
    if number in (float("inf"), float("-inf")):
        raise BodyError(Issue(place, STRUCTURE, "a number has more digits than can be meant"))
    return number if repr(number) == text else PreciseNumber.of(text)
