"""What each file's row becomes, in the words of FHIR."""

from typing import Any

import pytest

from libs.f43.checks import compile_check
from libs.f43.schema import FILES
from libs.fhir.validation import validate
from services.exchange.mapping.files import RESOURCE_FILES, removals
from services.exchange.mapping.pieces import About, Draft, epoch_of, key_columns, stay_id, visit_id
from tests.services.exchange.files import HCODE, a_row

ABOUT = About(HCODE, "registration-1", visit_id(HCODE, "1001"))
EXAMPLES = sorted(set(RESOURCE_FILES) - {"NUTRITION"})


def drafts(file: str, about: About = ABOUT, **values: str) -> list[Draft]:
    return RESOURCE_FILES[file].drafts(a_row(file, **values), about)


def body(file: str, **values: str) -> dict[str, Any]:
    """The main resource of a row."""
    made = drafts(file, **values)[0].body
    assert made is not None
    return made


def at(document: Any, path: str) -> Any:
    """The value at `a.0.b`."""
    for part in path.split("."):
        document = document[int(part) if part.isdigit() else part]
    return document


@pytest.mark.parametrize("file", EXAMPLES)
def test_the_example_is_a_sound_row(file: str) -> None:
    assert compile_check(FILES[file])(a_row(file)) == ()


@pytest.mark.parametrize("file", EXAMPLES)
def test_every_resource_is_valid_r4(file: str) -> None:
    for draft in drafts(file):
        assert draft.body is not None
        assert draft.body["id"] == draft.id
        assert draft.body["resourceType"] == draft.type
        assert validate(draft.body, draft.type) == []
        assert draft.updated_at == epoch_of("20240301120000")


@pytest.mark.parametrize("file", EXAMPLES)
def test_optional_columns_may_be_empty(file: str) -> None:
    spec = FILES[file]
    needed = {column.name for column in spec.columns if column.is_required or column.is_key}
    row = [value if name in needed else "" for name, value in zip(spec.names, a_row(file), strict=True)]
    for draft in RESOURCE_FILES[file].drafts(row, About(HCODE, "registration-1")):
        assert draft.body is not None
        assert validate(draft.body, draft.type) == []


@pytest.mark.parametrize("file", EXAMPLES)
def test_a_correction_removes_just_what_the_row_became(file: str) -> None:
    row = a_row(file)
    keys = {
        name: row[FILES[file].index[name]] for name in (*key_columns(file), "SEQ", "AN") if name in FILES[file].index
    }
    removed = removals(file, HCODE, keys, 1)
    assert removed is not None
    made = {(draft.type, draft.id) for draft in RESOURCE_FILES[file].drafts(row, ABOUT)}
    assert made <= {(draft.type, draft.id) for draft in removed}
    assert all(draft.body is None for draft in removed)


@pytest.mark.parametrize("file", EXAMPLES)
def test_another_facility_or_key_never_gives_the_same_id(file: str) -> None:
    ids = {draft.id for draft in drafts(file)}
    elsewhere = {draft.id for draft in drafts(file, About("99002", "registration-1"))}
    assert ids.isdisjoint(elsewhere)


@pytest.mark.parametrize(
    ("file", "values", "path", "expected"),
    [
        ("SERVICE", {}, "class.code", "AMB"),
        ("SERVICE", {"TYPEIN": "4"}, "class.code", "EMER"),
        ("SERVICE", {"TYPEIN": "5"}, "class.code", "VR"),
        ("SERVICE", {}, "status", "finished"),
        ("SERVICE", {}, "period.start", "2024-02-15T09:30:00+07:00"),
        ("SERVICE", {"TIME_SERV": ""}, "period.start", "2024-02-15"),
        ("SERVICE", {}, "reasonCode.0.text", "ไข้ 3 วัน"),
        ("SERVICE", {}, "serviceProvider.identifier.value", HCODE),
        ("SERVICE", {"REFEROUTHOSP": "99002"}, "hospitalization.destination.identifier.value", "99002"),
        ("ADMISSION", {}, "class.code", "IMP"),
        ("ADMISSION", {}, "period.end", "2024-02-18T09:00:00+07:00"),
        ("DIAGNOSIS_OPD", {}, "code.coding.0.code", "A97.0"),
        ("DIAGNOSIS_OPD", {"DIAGCODE": "I10"}, "code.coding.0.code", "I10"),
        ("DIAGNOSIS_OPD", {}, "code.coding.0.system", "http://hl7.org/fhir/sid/icd-10"),
        ("DIAGNOSIS_OPD", {}, "encounter.reference", f"Encounter/{visit_id(HCODE, '1001')}"),
        ("DIAGNOSIS_OPD", {"DIAGTYPE": "4"}, "category.1.coding.0.code", "4"),
        ("CHRONIC", {}, "clinicalStatus.coding.0.code", "active"),
        ("CHRONIC", {"TYPEDISCH": "01", "DATE_DISCH": "20230101"}, "clinicalStatus.coding.0.code", "resolved"),
        ("CHRONIC", {"TYPEDISCH": "08", "DATE_DISCH": "20230101"}, "abatementDateTime", "2023-01-01"),
        ("CHRONIC", {}, "category.0.coding.0.code", "problem-list-item"),
        ("CHRONIC", {}, "onsetDateTime", "2015-06-01"),
        ("SURVEILLANCE", {}, "verificationStatus.coding.0.code", "provisional"),
        ("SURVEILLANCE", {"DIAGCODELAST": "A971"}, "verificationStatus.coding.0.code", "confirmed"),
        ("SURVEILLANCE", {"DIAGCODELAST": "A971"}, "code.coding.0.code", "A97.1"),
        ("SURVEILLANCE", {}, "onsetDateTime", "2024-02-12"),
        ("SURVEILLANCE", {}, "extension.0", {
            "url": "https://nhip.th/fhir/StructureDefinition/illness-place", "valueCode": "500101",
        }),
        ("DRUG_OPD", {}, "medicationCodeableConcept.coding.0.system",
         "https://terms.sil-th.org/core/CodeSystem/cs-th-24drug"),
        ("DRUG_OPD", {"DIDSTD": "737390"}, "medicationCodeableConcept.coding.0.system",
         "https://terms.sil-th.org/core/CodeSystem/cs-th-tmt"),
        ("DRUG_OPD", {"DIDSTD": "PARA"}, "medicationCodeableConcept.coding.0.system",
         f"https://terms.sil-th.org/hcode/5/{HCODE}/Drug"),
        ("DRUG_OPD", {}, "intent", "order"),
        ("DRUG_OPD", {}, "dispenseRequest.quantity", {"value": 20, "unit": "เม็ด"}),
        ("DRUG_IPD", {"TYPEDRUG": "2"}, "category.0.coding.0.code", "discharge"),
        ("DRUGALLERGY", {}, "criticality", "high"),
        ("DRUGALLERGY", {"ALEVEL": "1"}, "criticality", "low"),
        ("DRUGALLERGY", {"ALEVEL": ""}, "criticality", "unable-to-assess"),
        ("DRUGALLERGY", {}, "verificationStatus.coding.0.code", "confirmed"),
        ("DRUGALLERGY", {"TYPEDX": "3"}, "verificationStatus.coding.0.code", "unconfirmed"),
        ("DRUGALLERGY", {}, "reaction.0.severity", "severe"),
        ("DRUGALLERGY", {}, "code.text", "AMOXICILLIN"),
        ("PROCEDURE_OPD", {}, "code.coding.0", {"system": "http://hl7.org/fhir/sid/icd-9-cm", "code": "86.22"}),
        ("PROCEDURE_OPD", {"PROCEDCODE": "2387010"}, "code.coding.0.system",
         "https://terms.sil-th.org/core/CodeSystem/cs-th-icd10tm"),
        ("PROCEDURE_IPD", {}, "performedPeriod", {
            "start": "2024-02-16T08:00:00+07:00", "end": "2024-02-16T09:30:00+07:00",
        }),
        ("LABFU", {}, "valueQuantity", {
            "value": 126.5, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL",
        }),
        ("LABFU", {"LABRESULT": "Negative"}, "valueString", "Negative"),
        ("LABFU", {"LABTEST": "0746299", "LABRESULT": "1.5"}, "valueQuantity", {"value": 1.5}),
        ("LABFU", {}, "code.text", "Glucose, serum/plasma"),
        ("EPI", {}, "primarySource", True),
        ("EPI", {"VACCINEPLACE": "99002"}, "primarySource", False),
        ("EPI", {}, "occurrenceDateTime", "2024-02-15"),
        ("APPOINTMENT", {}, "start", "2024-03-15T00:00:00+07:00"),
        ("APPOINTMENT", {}, "participant.0.actor.reference", "Patient/registration-1"),
        ("REFER_HISTORY", {}, "priority", "stat"),
        ("REFER_HISTORY", {}, "performer.0.identifier.value", "99002"),
    ],
)  # fmt: skip
def test_a_column_stands_where_fhir_has_it(file: str, values: dict[str, str], path: str, expected: Any) -> None:
    assert at(body(file, **values), path) == expected


def test_a_visit_brings_its_vital_signs() -> None:
    found = {}
    for draft in drafts("SERVICE")[1:]:
        assert draft.body is not None
        found[draft.body["code"]["coding"][0]["code"]] = draft.body
        assert draft.body["encounter"]["reference"] == f"Encounter/{visit_id(HCODE, '1001')}"
    assert set(found) == {"85354-9", "8310-5", "8867-4", "9279-1"}
    assert [one["valueQuantity"]["value"] for one in found["85354-9"]["component"]] == [120, 80]
    assert found["8310-5"]["valueQuantity"]["value"] == 37.5


def test_a_zero_is_a_sign_that_was_not_taken() -> None:
    assert len(drafts("SERVICE", SBP="0", DBP="0", BTEMP="0", PR="", RR="0")) == 1


def test_screening_without_a_sugar_test_brings_no_sugar() -> None:
    codes = [at(draft.body, "code.coding.0.code") for draft in drafts("NCDSCREEN", BSTEST="9", BSLEVEL="0")]
    assert codes == ["29463-7", "8302-2", "8280-0", "85354-9", "85354-9"]


def test_an_unknown_place_of_illness_is_not_guessed() -> None:
    assert "extension" not in body("SURVEILLANCE", ILLTAMBON="99")


def test_a_visit_and_an_admission_never_share_an_id() -> None:
    assert visit_id(HCODE, "660000001") != stay_id(HCODE, "660000001")
