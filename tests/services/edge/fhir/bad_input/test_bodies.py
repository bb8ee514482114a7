"""Bodies that are no resource: each is refused with its place, and nothing is stored."""

import gzip
import json

from tests.services.edge.fhir.bad_input.refusing import BASE, a_hospital, told

DEPTH = 10_000
_EXTENDED = '"extension":[' + '{"url":"urn:e","extension":[' * 40 + '{"url":"urn:e","valueCode":"a"}' + "]}" * 40 + "]"
_DEEP = '{"linkId":"a","type":"group","item":[' * 40 + '{"linkId":"b","type":"display"}' + "]}" * 40

# What is added to a sound Observation → status, code, place.
REFUSED = {
    '"status":"final"': (400, "structure", "Observation.status"),
    '"note":[{"text":"a"},{"text":"a","text":"b"}]': (400, "structure", "Observation.note[1].text"),
    '"note":' + "[" * DEPTH + "]" * DEPTH: (400, "structure", "Observation.note" + "[0]" * 63),
    '"note":' + '{"a":' * DEPTH + "1" + "}" * DEPTH: (400, "structure", "Observation.note" + ".a" * 63),
    _EXTENDED: (400, "structure", "Observation" + ".extension[0]" * 32),
    '"note":[{"text":"a\\u0000b"}]': (400, "invalid", "Observation.note[0].text"),
    '"note":[{"text":"\\ud800"}]': (400, "invalid", "Observation.note[0].text"),
    '"note":[{"text":"\\udc00x"}]': (400, "invalid", "Observation.note[0].text"),
    '"note":[{"text":"a\\u0001b"}]': (400, "value", "Observation.note[0].text"),
    '"note":[{"text":"a\\bb"}]': (400, "value", "Observation.note[0].text"),
    '"note":[{"text":"' + "x" * 10_000_000 + '"}]': (400, "value", "Observation.note[0].text"),
    '"valueQuantity":{"value":1e999}': (400, "invalid", "Observation.valueQuantity.value"),
    '"valueQuantity":{"value":-1e999}': (400, "invalid", "Observation.valueQuantity.value"),
    '"valueQuantity":{"value":' + "9" * 41 + "}": (400, "invalid", "Observation.valueQuantity.value"),
    '"valueQuantity":{"value":' + "9" * 5000 + "}": (400, "structure", "Observation.valueQuantity.value"),
    '"valueQuantity":{"value":NaN}': (400, "structure", "Observation.valueQuantity.value"),
    '"valueQuantity":{"value":-Infinity}': (400, "structure", "Observation.valueQuantity.value"),
    '"valueInteger":2147483648': (400, "value", "Observation.value.ofType(integer)"),
    '"valueInteger":-0': (400, "value", "Observation.value.ofType(integer)"),
    '"valueInteger":1.0': (400, "value", "Observation.value.ofType(integer)"),
    '"note":null': (400, "structure", "Observation.note"),
    '"__proto__":{"admin":true}': (400, "structure", "Observation.__proto__"),
    '"contained":[{"resourceType":"Basic","id":"a","code":{"text":"x"},"contained":[]}]': (
        *(400, "structure", "Observation.contained[0].contained"),
    ),
}
# The whole text → status, code, place.
NO_JSON = {
    "": (400, "structure", "line 1, column 1"),
    "[]": (400, "structure", ""),
    '{"resourceType":"Observation",\n "status": fin': (400, "structure", "line 2, column 12"),
    '{"resourceType":"Observation","status":"fin': (400, "structure", "line 1, column 40"),
    "{'resourceType':'Observation'}": (400, "structure", "line 1, column 2"),
    '{"resourceType":"Observation"}{}': (400, "structure", "line 1, column 31"),
    '{"resourceType":"Observation","valueInteger":+1}': (400, "structure", "line 1, column 46"),
    '{"resourceType":"Observation","valueInteger":01}': (400, "structure", "line 1, column 47"),
    '{"resourceType":"Observation","valueString":"a\tb"}': (400, "structure", "line 1, column 47"),
    "[" * 1_000_000: (400, "structure", "[0]" * 64),
}


async def test_what_is_no_resource_is_refused_where_it_is_wrong_and_changes_nothing(whole):
    hospital = await a_hospital(whole)
    before = await hospital.versions()
    for more, expected in REFUSED.items():
        assert told(await hospital.post(hospital.text(more))) == expected, more[:80]
    for text, expected in NO_JSON.items():
        assert told(await hospital.post(text)) == expected, text[:80]
    deep = '{"resourceType":"Questionnaire","status":"draft","item":[' + _DEEP + "]}"
    place = "Questionnaire" + ".item[0]" * 32
    assert told(await hospital.post(deep, "/Questionnaire")) == (400, "structure", place)
    assert told(await hospital.post(hospital.text().encode("utf-16"))) == (400, "structure", "line 1, column 1")
    broken = hospital.text('"note":[{"text":"?"}]').encode().replace(b"?", b"\xc3\x28")
    column = broken.index(b"\xc3") + 1
    assert told(await hospital.post(broken)) == (400, "structure", f"line 1, column {column}")
    assert await hospital.versions() == before


async def test_in_bundles_the_place_is_within_the_entry(whole):
    hospital = await a_hospital(whole)
    before = await hospital.versions()
    sound = hospital.text()

    async def sent(broken: str, kind: str = "transaction") -> tuple[int, str, str]:
        entries = ",".join(
            f'{{"resource":{one},"request":{{"method":"POST","url":"Observation"}}}}' for one in (sound, broken)
        )
        return told(await hospital.post(f'{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}', ""))

    place = "Bundle.entry[1].resource"
    assert await sent(hospital.text('"status":"final"')) == (400, "structure", f"{place}.status")
    assert await sent(hospital.text('"status":"final"'), "batch") == (400, "structure", f"{place}.status")
    assert await sent(hospital.text('"valueQuantity":{"value":1e999}')) == (
        *(400, "invalid", f"{place}.valueQuantity.value"),
    )
    assert await sent(hospital.text('"note":[{"text":"a\\u0001b"}]')) == (400, "value", f"{place}.note[0].text")
    assert await sent(hospital.text(_EXTENDED)) == (*(400, "structure", place + ".extension[0]" * 32),)
    assert await hospital.versions() == before


async def test_a_body_is_named_and_packed_as_it_says_and_never_larger_than_is_taken(whole):
    hospital = await a_hospital(whole)
    before = await hospital.versions()
    sound = hospital.text()
    large = hospital.text('"note":[{"text":"' + "x" * 17_000_000 + '"}]').encode()
    refused = {
        ("text/csv", "", sound.encode()): (415, "invalid"),
        ("text/plain", "", sound.encode()): (415, "invalid"),
        ("", "", sound.encode()): (415, "invalid"),
        ("application/fhir+json; fhirVersion=3.0", "", sound.encode()): (415, "invalid"),
        ("application/fhir+json; charset=tis-620", "", sound.encode()): (415, "invalid"),
        ("application/fhir+xml", "", sound.encode()): (400, "structure"),
        ("application/fhir+json", "br", sound.encode()): (415, "invalid"),
        ("application/fhir+json", "gzip", sound.encode()): (400, "invalid"),
        ("application/fhir+json", "gzip", gzip.compress(sound.encode())[:-4]): (400, "invalid"),
        ("application/fhir+json", "gzip", gzip.compress(sound.encode()) + b"more"): (400, "invalid"),
        # A bomb: 200 MB that come as 200 KB.
        ("application/fhir+json", "gzip", gzip.compress(b"[" + b" " * 200_000_000, 1)): (413, "too-long"),
        ("application/fhir+json", "", large): (413, "too-long"),
    }
    for (kind, encoding, body), expected in refused.items():
        answer = await hospital.post(body, **{"content-type": kind, "content-encoding": encoding})
        assert told(answer)[:2] == expected, (kind, encoding, answer.text)
    answer = await hospital.post(sound, **{"content-encoding": "br"})
    assert answer.headers["accept-encoding"] == "gzip, identity"
    assert await hospital.versions() == before
    for body, encoding in (
        (gzip.compress(sound.encode()), "gzip"),
        (sound.encode(), "identity"),
        (b"\xef\xbb\xbf" + sound.encode(), ""),
    ):
        answer = await hospital.post(body, **{"content-encoding": encoding})
        assert answer.status_code == 201, answer.text


async def test_what_only_looks_wrong_is_stored_as_it_was_written(whole):
    hospital = await a_hospital(whole)
    for number in ("1.00", "-0", "-0.0", "1e-999", "1.0e2", "0.1", "9" * 30, "3." + "1" * 30):
        created = await hospital.post(hospital.text(f'"valueQuantity":{{"value":{number}}}'))
        assert created.status_code == 201, (number, created.text)
        read = await hospital.client.get(f"{BASE}/Observation/{created.json()['id']}")
        assert f'"value":{number}}}' in read.text, (number, read.text)
    for text in ("😀 ก้ำ", 'a\\"b', "tab\tline\n", "' OR 1=1 --", "<script>", "${jndi:x}", "\u202e", "a\\u0000b"):
        created = await hospital.post(hospital.text(f'"valueString":{json.dumps(text)}'))
        assert created.status_code == 201, (text, created.text)
        assert created.json()["valueString"] == text
