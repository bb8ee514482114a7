"""XML ⇄ JSON: what is sound comes back as it was, and what is not is refused with its place."""

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.fhir.body import BodyError, dump, parse
from libs.fhir.definitions import definitions
from libs.fhir.primitives import TESTS
from libs.fhir.xml import from_xml, to_xml

HEAD = '<Patient xmlns="http://hl7.org/fhir">'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p class="a">x &lt; y<br/></p></div>'
PATIENT = (
    '{"resourceType":"Patient","id":"p","text":{"status":"generated","div":' + dump(DIV).decode() + "},"
    '"contained":[{"resourceType":"Organization","id":"o","name":"x"}],'
    '"extension":[{"url":"urn:x","valueDecimal":1.10}],"active":true,'
    '"name":[{"id":"n","family":"ใจดี","given":["a",null],"_given":[null,{"extension":[{"url":"urn:y","valueCode":"z"}]}]}],'
    '"_gender":{"id":"g"},"birthDate":"1984-02-29","_birthDate":{"extension":[{"url":"urn:y","valueInteger":3}]},'
    '"multipleBirthInteger":2}'
)


def test_what_is_sound_comes_back_as_it_was():
    body = parse(PATIENT.encode())
    xml = to_xml(body)
    assert dump(from_xml(xml)) == dump(body)
    assert from_xml(to_xml(body, is_pretty=True)) == body
    text = xml.decode()
    assert (
        text.index("<contained><Organization>")
        < text.index("<extension")
        < text.index("<active")
        < text.index("<name id")
    )
    assert '<extension url="urn:x"><valueDecimal value="1.10"/></extension>' in text
    assert '<name id="n"><family value="ใจดี"/><given value="a"/><given><extension url="urn:y">' in text
    assert DIV in text


def to_div(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{escaped}</div>'


def values(type_name: str) -> st.SearchStrategy[Any]:
    texts = st.text(string.ascii_letters + "กขค<&\"'é", min_size=1, max_size=8)
    return {
        "boolean": st.booleans(),
        "integer": st.integers(-(2**31), 2**31 - 1),
        "positiveInt": st.integers(1, 2**31 - 1),
        "unsignedInt": st.integers(0, 2**31 - 1),
        "decimal": st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6, allow_nan=False).map(lambda one: round(one, 4)),
        "xhtml": texts.map(to_div),
    }.get(type_name, texts)


@st.composite
def objects(draw: Any, type_name: str, depth: int = 0) -> dict[str, Any]:
    """Some elements of a type, whether or not they make sense together: XML holds what JSON holds."""
    found: dict[str, Any] = {}
    elements = [
        one for one in definitions().structures[type_name] if one.name not in {"contained", "id", "url", "resource"}
    ]
    for element in draw(st.lists(st.sampled_from(elements), max_size=4, unique_by=lambda one: one.name)):
        key, kind = draw(st.sampled_from(sorted(element.json_names().items())))
        name = kind.removeprefix("@")
        if name not in TESTS and (depth > 2 or name == "Resource" or name in definitions().resource_types):
            continue
        one = values(name) if name in TESTS else objects(name, depth + 1)
        value = draw(st.lists(one, min_size=1, max_size=2) if element.is_list else one)
        if value and value != [{}] and {} not in (value if isinstance(value, list) else [value]):
            found[key] = value
    return found


@settings(max_examples=60)
@given(st.data())
def test_any_resource_comes_back_as_it_was(data):
    name = data.draw(
        st.sampled_from(["Patient", "Observation", "Questionnaire", "MedicationRequest", "ValueSet", "Claim"])
    )
    body = {"resourceType": name, **data.draw(objects(name))}
    assert from_xml(to_xml(body)) == body


@pytest.mark.parametrize(
    ("xml", "place"),
    [
        ("<Patient>", ""),
        ("<Patient/>", ""),
        (f"{HEAD}<colour value='red'/></Patient>", "Patient"),
        (f"{HEAD}<active value='true'/><active value='true'/></Patient>", "Patient.active"),
        (f"{HEAD}<active value='true' colour='red'/></Patient>", "Patient.active"),
        (f"{HEAD}<active/></Patient>", "Patient.active"),
        (f"{HEAD}text</Patient>", "Patient"),
        (f"{HEAD}<name colour='x'><family value='x'/></name></Patient>", "Patient.name"),
        (f"{HEAD}<contained/></Patient>", "Patient.contained"),
        (f"{HEAD}<text><status value='generated'/><div>x</div></text></Patient>", "Patient.text"),
        ('<Thing xmlns="http://hl7.org/fhir"/>', ""),
        ('<!DOCTYPE Patient SYSTEM "file:///etc/passwd"><Patient xmlns="http://hl7.org/fhir"/>', ""),
        ('<!DOCTYPE p [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><Patient xmlns="http://hl7.org/fhir"/>', ""),
        ("<" + "a>" * 300, ""),
        ("", ""),
    ],
)
def test_what_is_no_resource_is_refused_with_its_place(xml, place):
    with pytest.raises(BodyError) as refused:
        from_xml(xml.encode())
    assert refused.value.issue.expression == place
